"""Replies: messages while they are written, chunk by chunk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from session_svc.domain.message import NewMessage, Receipt
from session_svc.domain.position import Position


@dataclass(frozen=True, slots=True)
class Text:
    """A chunk of answer text; `frames` of the writer's deltas were joined into it."""

    text: str
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk that is not answer text; `data` is a JSON object as text."""

    type: str
    data: str


Chunk = Text | Part


def joined(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """`chunks` in order, neighbouring texts as one."""
    result: list[Chunk] = []
    texts: list[Text] = []
    for chunk in (*chunks, None):
        if isinstance(chunk, Text):
            texts.append(chunk)
            continue
        if texts:
            result.append(Text("".join(text.text for text in texts), sum(text.frames for text in texts)))
            texts.clear()
        if chunk is not None:
            result.append(chunk)
    return tuple(result)


@dataclass(frozen=True, slots=True)
class ReplyStart:
    """What a writer says to take a session's reply slot, or to resume its reply.

    writer_key  a secret with which a broken stream is resumed; empty: it cannot be
    messages    the user's turn, stored in the same step; each with an id
    expected    as storage.base.Append
    lease       ms that the slot is held without a frame
    """

    session: str
    reply_id: str
    writer_key: str
    author: str
    model: str
    lease: int
    messages: Sequence[NewMessage] = ()
    expected: Position | str | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class ReplyLease:
    """The slot, held. `fence` is this stream's own: whoever takes the slot after it gets another.

    accepted           how many delta and part frames are stored
    text_bytes, bytes  how much text they hold, and how much in all (weight.chunk_bytes)
    """

    session: str
    reply_id: str
    fence: str
    position: Position
    accepted: int
    text_bytes: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """A reply that has ended: what was stored, nothing where nothing had been said, and the head then."""

    receipts: tuple[Receipt, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class ReplySnapshot:
    """A reply in progress, whole."""

    id: str
    author: str
    model: str
    chunks: tuple[Chunk, ...]
    next_chunk: int
