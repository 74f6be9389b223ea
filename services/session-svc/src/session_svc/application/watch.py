"""Following one session: what is there, then what happens. No message is missed and none comes twice."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from session_svc.application.foreign import ANNOUNCING, ForeignWrites
from session_svc.application.listener import Listener
from session_svc.application.places import NOWHERE
from session_svc.application.sizes import batches
from session_svc.bus.base import Gap, StreamBus
from session_svc.domain.errors import PositionConflict, SessionNotFound, StoreUnavailable, WatcherTooSlow
from session_svc.domain.events import (
    Cleared,
    Deleted,
    Foreign,
    MessageAppended,
    MessagesTruncated,
    ReplyEnded,
    ReplyExtended,
    ReplyStarted,
    SessionEvent,
    Updated,
)
from session_svc.domain.limits import PAGE_SIZE
from session_svc.domain.message import Message
from session_svc.domain.position import Position
from session_svc.domain.session import Session
from session_svc.entropy import jitter
from session_svc.storage.base import MessageHistory, SessionStore

HEARTBEAT_SECONDS: Final = 15.0
OUTAGE_SECONDS: Final = 30.0
"""How long after its last event a watch waits for the store to answer, before it ends with StoreUnavailable."""

_OUTAGE_PAUSE: Final = 1.0

_STALE_READS: Final = 3
_STALE_PAUSE: Final = 0.1


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
    """

    position: Position | None
    event: Forget | Delivered | CaughtUp | Heartbeat | Cleared | MessagesTruncated | Updated | Deleted


Observations = AsyncGenerator[Observation, None]


class Verdict(Enum):
    """What to do with an event."""

    DROP = auto()
    """It is part of what the watcher has."""
    DELIVER = auto()
    """It follows on what the watcher has."""
    READ = auto()
    """Something before it is missing: read the store."""


def judge(at: Position | None, event: SessionEvent) -> Verdict:
    """What `event` is to a watcher at `at`; None: to one that knows of no session."""
    if isinstance(event, Foreign | ReplyStarted | ReplyExtended | ReplyEnded):
        return Verdict.DROP
    if at is None:
        return Verdict.READ
    then = event.position
    if then.epoch != at.epoch:
        if not _is_newer(then.epoch, at.epoch):
            return Verdict.DROP
        if isinstance(event, MessagesTruncated) and event.keep > at.sequence:
            return Verdict.READ
        return Verdict.DELIVER if isinstance(event, Cleared | MessagesTruncated | Deleted) else Verdict.READ
    if isinstance(event, MessageAppended):
        if then.sequence > at.sequence + 1:
            return Verdict.READ
        return Verdict.DELIVER if then.sequence == at.sequence + 1 else Verdict.DROP
    if isinstance(event, Updated | Deleted):
        if then.sequence > at.sequence:
            return Verdict.READ
        return Verdict.DELIVER if then.sequence == at.sequence else Verdict.DROP
    return Verdict.DROP


class SessionWatch:
    """Opens watches of single sessions."""

    def __init__(self, history: MessageHistory, store: SessionStore, bus: StreamBus, foreign: ForeignWrites) -> None:
        self._history = history
        self._store = store
        self._bus = bus
        self._foreign = foreign

    async def watch(self, name: str, start: Start) -> Observations:
        """Yields what `name` holds from `start` on, then `CaughtUp`, then what happens, until it is deleted.

        Raises StoreUnavailable.
        """
        watcher = _Watcher(name, self._history, self._store)
        loop = asyncio.get_running_loop()
        joined, last_read = False, loop.time()
        while not watcher.ended:
            try:
                async with self._bus.session(name) as events, Listener(events) as listener:
                    async with aclosing(watcher.resume() if joined else watcher.join(start)) as beginning:
                        async for observation in beginning:
                            yield observation
                    joined = True
                    async with aclosing(self._follow(watcher, listener)) as live:
                        async for observation in live:
                            last_read = loop.time()
                            yield observation
            except WatcherTooSlow:
                continue  # Its events were dropped, but the store has them: subscribe and read again.
            except StoreUnavailable:
                # The bus may be back before the store is, which is no reason to send every watcher away.
                if not joined or loop.time() - last_read > OUTAGE_SECONDS:
                    raise
                await asyncio.sleep(jitter(_OUTAGE_PAUSE))

    async def _follow(self, watcher: "_Watcher", listener: Listener[SessionEvent | Gap]) -> Observations:
        while not watcher.ended:
            event = await listener.next(HEARTBEAT_SECONDS)
            if event is None:
                yield Observation(watcher.at, Heartbeat())
                continue
            if isinstance(event, Foreign) and event.type in ANNOUNCING:
                self._foreign.expect_move(watcher.name, watcher.at)
            async with aclosing(watcher.accept(event)) as observations:
                async for observation in observations:
                    yield observation


class _Watcher:
    """Where one watcher is, and how it gets from there to the head.

    at     what it has been told of: None when it knows of no session
    ended  whether it has been told that the session is gone
    """

    def __init__(self, name: str, history: MessageHistory, store: SessionStore) -> None:
        self.name = name
        self.at: Position | None = None
        self.ended = False
        self._history = history
        self._store = store
        self._details: tuple[object, ...] | None = None

    async def join(self, start: Start) -> Observations:
        """From nothing to the head."""
        try:
            session = await self._store.get(self.name)
        except SessionNotFound:
            if isinstance(start, After) and start.position:
                yield Observation(None, Forget())
        else:
            self._details = _details(session)
            self.at = _beginning(start, session.position)
            async with aclosing(self._advance(session)) as observations:
                async for observation in observations:
                    yield observation
        if not self.ended:
            yield Observation(self.at, CaughtUp())

    async def resume(self) -> Observations:
        """From where it is to the head, whatever has happened in between."""
        try:
            session = await self._read()
        except SessionNotFound:
            if self.at is not None:
                yield self._end(Deleted(self.at))
            return
        forgotten = False
        async with aclosing(self._advance(session)) as observations:
            async for observation in observations:
                forgotten = forgotten or isinstance(observation.event, Forget)
                yield observation
        if forgotten and not self.ended:
            yield Observation(self.at, CaughtUp())

    async def accept(self, event: SessionEvent | Gap) -> Observations:
        """One event further."""
        if isinstance(event, ReplyEnded) and event.message:
            event = MessageAppended(event.position, event.message)
        verdict = Verdict.READ if isinstance(event, Gap) else judge(self.at, event)
        if verdict is Verdict.READ:
            async with aclosing(self.resume()) as observations:
                async for observation in observations:
                    yield observation
        elif verdict is Verdict.DELIVER:
            for observation in self._deliver(event):
                yield observation

    def _deliver(self, event: SessionEvent | Gap) -> Iterator[Observation]:
        match event:
            case Deleted():
                yield self._end(event)
            case MessageAppended():
                self.at = event.position
                for group in batches([event.message]):
                    yield Observation(self.at, Delivered(group))
            case Updated():
                self._details = _details(event.session)
                yield Observation(event.position, event)
            case Cleared() | MessagesTruncated():
                self.at = event.position
                yield Observation(self.at, event)

    def _end(self, event: Deleted) -> Observation:
        self.ended = True
        return Observation(event.position, event)

    async def _read(self) -> Session:
        """The session, and not as it was before what the watcher knows: a store may lag behind after a failover."""
        for _ in range(_STALE_READS):
            session = await self._store.get(self.name)
            if self.at is None or not _is_before(session.position, self.at):
                return session
            await asyncio.sleep(_STALE_PAUSE)
        return await self._store.get(self.name)

    async def _advance(self, session: Session) -> Observations:
        """Delivers everything up to the head of `session` or beyond."""
        while True:
            head = session.position
            if self.at is None:
                self.at = Position(head.epoch, 0)
            elif self.at.epoch != head.epoch or self.at.sequence > head.sequence:
                self.at = Position(head.epoch, 0)
                yield Observation(self.at, Forget())
            try:
                async with aclosing(self._pages(head.epoch, self.at.sequence)) as pages:
                    async for observation in pages:
                        yield observation
                break
            except (PositionConflict, SessionNotFound):
                try:
                    session = await self._store.get(self.name)
                except SessionNotFound:
                    yield self._end(Deleted(self.at))
                    return
        if self._details not in {None, _details(session)}:
            yield Observation(self.at, Updated(self.at, session))
        self._details = _details(session)

    async def _pages(self, epoch: str, seen: int) -> Observations:
        more = True
        while more:
            page = await self._history.page(self.name, start=seen + 1, limit=PAGE_SIZE, newest_first=False, epoch=epoch)
            for group in batches(page.messages):
                seen = group[-1].sequence
                self.at = Position(epoch, seen)
                yield Observation(self.at, Delivered(group))
            more = page.more


def _beginning(start: Start, head: Position) -> Position:
    if isinstance(start, Tail):
        return Position(head.epoch, max(head.sequence - start.count, 0))
    if not start.position:
        return Position(head.epoch, 0)
    return Position.parse(start.position) or NOWHERE


def _is_newer(epoch: str, than: str) -> bool:
    return (len(epoch), epoch) > (len(than), than)


def _is_before(position: Position, other: Position) -> bool:
    if position.epoch == other.epoch:
        return position.sequence < other.sequence
    return _is_newer(other.epoch, position.epoch)


def _details(session: Session) -> tuple[object, ...]:
    """What `Updated` is about."""
    return session.title, session.title_source, session.ttl, tuple(sorted(session.labels.items()))
