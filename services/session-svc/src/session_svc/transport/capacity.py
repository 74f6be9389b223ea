"""How much one process serves, and how long it waits for its callers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one process serves at once, whoever calls."""

    calls: int
    """With one answer each."""
    streams: int
    connections: int


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds."""

    request: float = 10.0
    """How long a stream may be open before its first message is there."""
    call: float = 60.0
    """How long a call with one answer may take in all: to arrive, to be answered, and for its answer to be taken."""
    writing: float = 30.0
    """How long the client of a stream may take to make room for one message."""
    last_words: float = 10.0
    """How long after its end a client may take to hear why."""
