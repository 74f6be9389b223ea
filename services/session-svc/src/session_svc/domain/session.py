"""Sessions: as they are, and what may be changed of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from session_svc.domain.message import Message, Receipt, Role
from session_svc.domain.position import Position
from session_svc.domain.reply import ReplySnapshot

NEVER = 0
"""The ttl of a session that never expires, whatever the server's default."""


class TitleSource(StrEnum):
    """Where a title comes from; the value is the word in Redis and JSON."""

    NONE = ""
    USER = "user"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply being written. start_time in ms."""

    id: str
    author: str
    model: str
    start_time: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session at one moment. All times in ms since 1970.

    expire_time  None: never
    ttl          its own time to live in ms; NEVER (0); None: the server's default applies
    last_role    None when there is no message or the last one is unreadable
    """

    name: str
    position: Position
    create_time: int
    last_active_time: int
    title: str = ""
    title_source: TitleSource = TitleSource.NONE
    owner: str = ""
    expire_time: int | None = None
    ttl: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    last_role: Role | None = None
    preview: str = ""
    awaiting_reply: bool = False
    reply: Reply | None = None

    @property
    def message_count(self) -> int:
        """How many messages it holds: sequences have no holes."""
        return self.position.sequence


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a creator may say of a session, checked against every limit. ttl as in Session."""

    title: str = ""
    ttl: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""


class Keep:
    """The type of KEEP: a field that an update leaves as it is."""

    __slots__ = ()


KEEP = Keep()


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What an update sets; KEEP leaves a field as it is.

    title   empty: back to the automatic one
    ttl     as in Session
    labels  replaces all
    """

    title: str | Keep = KEEP
    ttl: int | Keep | None = KEEP
    labels: Mapping[str, str] | Keep = KEEP


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcome of an append, or of its repetition with the same request id."""

    receipts: tuple[Receipt, ...]
    position: Position
    session: Session


@dataclass(frozen=True, slots=True)
class Truncated:
    """The outcome of a truncation: what was removed, oldest first, and the session as it is now."""

    removed: tuple[Message, ...]
    session: Session


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session, its newest messages, oldest first, and the reply in progress, all of one moment."""

    session: Session
    messages: tuple[Message, ...]
    reply: ReplySnapshot | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages in the order asked for; `more` says whether others follow; `head` when it was read."""

    messages: tuple[Message, ...]
    head: Position
    more: bool


@dataclass(frozen=True, slots=True)
class Activity:
    """A place in the list of sessions: last activity in ms, then name, both descending."""

    time: int
    name: str


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions, latest activity first; `next` is where to go on, None at the end."""

    sessions: tuple[Session, ...]
    next: Activity | None
