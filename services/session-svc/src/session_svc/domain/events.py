"""What happens to a session, as it travels on the bus. One class per event of contract section 4."""

from dataclasses import dataclass

from session_svc.domain.message import Message
from session_svc.domain.position import Position
from session_svc.domain.reply import Chunk
from session_svc.domain.session import Session


@dataclass(frozen=True, slots=True)
class MessageAppended:
    """A message is there. `user` or `message` on the channel, by its role."""

    position: Position
    message: Message


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """A reply began. start_time in ms."""

    position: Position
    reply_id: str
    author: str
    model: str
    start_time: int


@dataclass(frozen=True, slots=True)
class ReplyExtended:
    """A chunk of a reply: number `first` up to `end`, exclusive."""

    position: Position
    reply_id: str
    chunk: Chunk
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """A reply ended as `message`; None: nothing had been said, and the head stays."""

    position: Position
    reply_id: str
    message: Message | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """All messages were removed; the epoch is new."""

    position: Position


@dataclass(frozen=True, slots=True)
class MessagesTruncated:
    """The last messages were removed, `keep` are left; the epoch is new."""

    position: Position
    keep: int


@dataclass(frozen=True, slots=True)
class Reset:
    """The log is another one than it was: whoever follows it reads it again."""

    position: Position


@dataclass(frozen=True, slots=True)
class Updated:
    """Title, ttl or labels changed."""

    position: Position
    session: Session


@dataclass(frozen=True, slots=True)
class Deleted:
    """The session is gone: deleted or expired. `position` is in a new epoch, greater than any it had."""

    position: Position


@dataclass(frozen=True, slots=True)
class Foreign:
    """chat.ai's own event, without a position: `type` is its word for it."""

    type: str


ReplyEvent = ReplyStarted | ReplyExtended | ReplyEnded
SessionEvent = MessageAppended | ReplyEvent | Cleared | MessagesTruncated | Reset | Updated | Deleted | Foreign


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A session is new in the list."""

    session: Session


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A listed session changed."""

    session: Session


@dataclass(frozen=True, slots=True)
class SessionRemoved:
    """A session left the list."""

    name: str


ListEvent = SessionCreated | SessionChanged | SessionRemoved
