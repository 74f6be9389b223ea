"""What both in-memory ports share: the sessions, their order, their expiry, and how a step ends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from session_svc.bus.memory import InMemoryStreamBus
from session_svc.domain.errors import InvalidName, PositionConflict, SessionNotFound
from session_svc.domain.events import (
    Deleted,
    MessageAppended,
    ReplyEnded,
    ReplyExtended,
    SessionChanged,
    SessionCreated,
    SessionEvent,
    SessionRemoved,
    Updated,
)
from session_svc.domain.excerpts import preview
from session_svc.domain.message import Message, Receipt
from session_svc.domain.names import is_creatable
from session_svc.domain.position import SALT_LENGTH, Position, base36, next_epoch
from session_svc.domain.reply import Chunk, Text
from session_svc.domain.session import NewSession, Reply, Session, TitleSource
from session_svc.domain.weight import message_bytes, session_bytes
from session_svc.entropy import Clock, Digits
from session_svc.storage.base import EMPTY, Expected
from session_svc.storage.memory.index import TimeIndex
from session_svc.storage.memory.requests import Answer, AnsweredRequests

_EVENT_BYTES: Final = 512


@dataclass(slots=True)
class Slot:
    """A reply in progress.

    fence        of the stream that may write
    lease        ms; it is over at `lease_until`
    frames       how many delta and part frames the chunks hold
    asked_again  whether a USER message came after it began
    """

    id: str
    writer_key: str
    fence: str
    author: str
    model: str
    start_time: int
    lease: int
    lease_until: int
    chunks: list[Chunk] = field(default_factory=list)
    frames: int = 0
    text_bytes: int = 0
    bytes: int = 0
    asked_again: bool = False


@dataclass(slots=True)
class Record:
    """A session as it is kept; the fields are those of Session."""

    name: str
    epoch: str
    create_time: int
    last_active_time: int
    owner: str = ""
    title: str = ""
    title_source: TitleSource = TitleSource.NONE
    ttl: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    expire_time: int | None = None
    awaiting_reply: bool = False
    log: list[Message] = field(default_factory=list)
    reply: Slot | None = None

    @property
    def head(self) -> Position:
        """The position of the last message."""
        return Position(self.epoch, len(self.log))

    def session(self) -> Session:
        """The session at this moment."""
        last = self.log[-1] if self.log else None
        return Session(
            name=self.name,
            position=self.head,
            create_time=self.create_time,
            last_active_time=self.last_active_time,
            title=self.title,
            title_source=self.title_source,
            owner=self.owner,
            expire_time=self.expire_time,
            ttl=self.ttl,
            labels=self.labels,
            last_role=last.role if last else None,
            preview=preview(last.content) if last else "",
            awaiting_reply=self.awaiting_reply,
            reply=Reply(self.reply.id, self.reply.author, self.reply.model, self.reply.start_time)
            if self.reply
            else None,
        )


class State:
    """The sessions of this process. Every public method of the ports is one step on it, without an await."""

    def __init__(self, bus: InMemoryStreamBus, default_ttl_ms: int | None, clock: Clock, digits: Digits) -> None:
        self._bus = bus
        self._default_ttl = default_ttl_ms
        self._clock = clock
        self.digits = digits
        self._records: dict[str, Record] = {}
        self._expiry = TimeIndex()
        self._last_epoch = ""
        self.activity = TimeIndex()
        self.leases = TimeIndex()
        self.requests = AnsweredRequests()
        self.endings = AnsweredRequests()

    def begin(self) -> int:
        """Begins a step: what has expired is gone before it. Returns the time of the step in ms."""
        now = self._clock()
        for name in self._expiry.until(now):
            self.drop(self._records[name], now)
        self.requests.forget_old(now)
        self.endings.forget_old(now)
        return now

    def find(self, name: str) -> Record | None:
        """The session, if there is one."""
        return self._records.get(name)

    def existing(self, name: str) -> Record:
        """The session. Raises SessionNotFound."""
        record = self._records.get(name)
        if record is None:
            raise SessionNotFound(name)
        return record

    def create(self, name: str, new: NewSession, now: int) -> Record:
        """A new session; the caller saves it. Raises InvalidName."""
        if not is_creatable(name):
            raise InvalidName
        return Record(
            name=name,
            epoch=self.new_epoch(now),
            create_time=now,
            last_active_time=now,
            owner=new.owner,
            title=new.title,
            title_source=TitleSource.USER if new.title else TitleSource.NONE,
            ttl=new.ttl,
            labels=dict(new.labels),
        )

    def new_epoch(self, now: int) -> str:
        """An epoch greater than any other of this process, also within one millisecond."""
        epoch = next_epoch(now, self.digits(SALT_LENGTH))
        if epoch <= self._last_epoch:
            epoch = base36(int(self._last_epoch, 36) + 1)
        self._last_epoch = epoch
        return epoch

    def restart_clock(self, record: Record, now: int) -> None:
        """Restarts the expiry of a session: its own ttl, else the default, else none; none while a reply is written."""
        ttl = self._default_ttl if record.ttl is None else record.ttl
        record.expire_time = now + ttl if ttl and record.reply is None else None
        if record.expire_time is None:
            self._expiry.remove(record.name)
        else:
            self._expiry.put(record.name, record.expire_time)

    def save(self, record: Record, now: int, events: Iterable[SessionEvent] | None = None) -> Session:
        """Ends a step that wrote: restarts the clock, files the session and publishes what happened.

        events  the session's; None: that it is now as it is
        """
        created = record.name not in self._records
        self._records[record.name] = record
        self.activity.put(record.name, record.last_active_time)
        self.restart_clock(record, now)
        session = record.session()
        for event in [Updated(record.head, session)] if events is None else events:
            self.publish(record.name, event)
        change = SessionCreated(session) if created else SessionChanged(session)
        self._bus.publish_list(change, session_bytes(session))
        return session

    def publish(self, name: str, event: SessionEvent) -> None:
        """Tells those who follow a session."""
        match event:
            case MessageAppended(message=message):
                size = message_bytes(message)
            case Updated(session=session):
                size = session_bytes(session)
            case ReplyExtended(chunk=chunk):
                size = _EVENT_BYTES + len(chunk.text if isinstance(chunk, Text) else chunk.data)
            case ReplyEnded(message=Message() as message):
                size = message_bytes(message)
            case _:
                size = _EVENT_BYTES
        self._bus.publish(name, event, size)

    def remember_end(self, record: Record, reply: Slot, how: str, receipts: tuple[Receipt, ...], now: int) -> None:
        """Keeps how a reply ended, for its writer who may not have heard of it."""
        answer = Answer(f"{how} {reply.writer_key}", receipts, record.head)
        self.endings.remember(record.name, reply.id, answer, now)

    def abandon_reply(self, record: Record, now: int) -> None:
        """Drops the reply in progress without a message; its writer must not begin it anew."""
        if record.reply is not None:
            reply, record.reply = record.reply, None
            self.remember_end(record, reply, "lost", (), now)
            self.leases.remove(record.name)
            self.publish(record.name, ReplyEnded(record.head, reply.id, None))

    def drop(self, record: Record, now: int) -> None:
        """Removes every trace of a session and says so."""
        self.abandon_reply(record, now)
        del self._records[record.name]
        self.activity.remove(record.name)
        self._expiry.remove(record.name)
        self.requests.forget_session(record.name)
        self.endings.forget_session(record.name)
        # A new epoch: whoever has just read the last head must not take this event for an older one.
        self.publish(record.name, Deleted(Position(self.new_epoch(now), 0)))
        self._bus.publish_list(SessionRemoved(record.name), _EVENT_BYTES)


def check_expected(expected: Expected, record: Record | None) -> None:
    """Raises PositionConflict when the head is not where the writer expects it."""
    if expected is None:
        return
    head = record.head if record else None
    if expected == EMPTY and (head is None or head.sequence == 0):
        return
    if expected != head:
        raise PositionConflict(head)
