"""What somebody who follows a session asks for, and is told."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from session_svc.domain.events import (
    Cleared,
    Deleted,
    MessagesTruncated,
    ReplyEnded,
    ReplyExtended,
    ReplyStarted,
    Updated,
)
from session_svc.domain.message import Message
from session_svc.domain.position import Position
from session_svc.domain.reply import ReplySnapshot


@dataclass(frozen=True, slots=True)
class After:
    """Begin after this position; empty: with the first message."""

    position: str


@dataclass(frozen=True, slots=True)
class Tail:
    """Begin with the last so many messages."""

    count: int


Start = After | Tail


@dataclass(frozen=True, slots=True)
class Forget:
    """The log is another one than the watcher knew: all its messages follow."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Messages in order, at least one, together small enough for one frame."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What was there has been delivered; what follows is live."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened for a while."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing a watcher is told.

    position  where the watcher is after it, None while there is no session. Safe to resume from: after a
              `Forget` it is before the first message, not the head.
    event     a ReplySnapshot replaces what the watcher has of that reply; the message of a ReplyEnded is told by it
              alone
    """

    position: Position | None
    event: (
        Forget
        | Delivered
        | ReplySnapshot
        | CaughtUp
        | Heartbeat
        | ReplyStarted
        | ReplyExtended
        | ReplyEnded
        | Cleared
        | MessagesTruncated
        | Updated
        | Deleted
    )


Observations = AsyncGenerator[Observation, None]
