"""One watcher of one session: where it is, and how it gets from there to the head."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import Final

from session_svc.application.observations import (
    After,
    CaughtUp,
    Delivered,
    Forget,
    Observation,
    Observations,
    Start,
    Tail,
)
from session_svc.application.places import NOWHERE
from session_svc.application.sizes import batches, sendable
from session_svc.application.verdict import Followed, Verdict, is_newer, judge
from session_svc.bus.base import Gap
from session_svc.domain.errors import PositionConflict, SessionNotFound
from session_svc.domain.events import (
    Cleared,
    Deleted,
    MessageAppended,
    MessagesTruncated,
    ReplyEnded,
    ReplyExtended,
    ReplyStarted,
    SessionEvent,
    Updated,
)
from session_svc.domain.limits import PAGE_SIZE
from session_svc.domain.message import Message, Role
from session_svc.domain.position import Position
from session_svc.domain.reply import ReplySnapshot
from session_svc.domain.session import Session, Snapshot
from session_svc.storage.base import MessageHistory

_STALE_READS: Final = 3
_STALE_PAUSE: Final = 0.1


class Watcher:
    """Reads the store to where it is, goes on event by event, and reads again where one is missing.

    at     what it has been told of: None when it knows of no session
    ended  whether it has been told that the session is gone
    """

    def __init__(self, name: str, history: MessageHistory) -> None:
        self.name = name
        self.at: Position | None = None
        self.ended = False
        self._history = history
        self._reply: Followed | None = None
        self._details: tuple[object, ...] | None = None
        self._catching_up = False

    async def join(self, start: Start) -> Observations:
        """From nothing to the head."""
        try:
            snapshot = await self._history.snapshot(self.name, tail=0)
        except SessionNotFound:
            if isinstance(start, After) and start.position:
                yield Observation(None, Forget())
        else:
            self._details = _details(snapshot.session)
            self.at = _beginning(start, snapshot.session.position)
            async with aclosing(self._advance(snapshot)) as observations:
                async for observation in observations:
                    yield observation
        self._catching_up = False
        if not self.ended:
            yield Observation(self.at, CaughtUp())

    async def resume(self) -> Observations:
        """From where it is to the head, whatever has happened in between."""
        try:
            snapshot = await self._read()
        except SessionNotFound:
            if self.at is not None:
                for observation in self._gone(self.at):
                    yield observation
            return
        async with aclosing(self._advance(snapshot)) as observations:
            async for observation in observations:
                yield observation
        if self._catching_up and not self.ended:
            self._catching_up = False
            yield Observation(self.at, CaughtUp())

    async def accept(self, event: SessionEvent | Gap) -> Observations:
        """One event further."""
        verdict = Verdict.READ if isinstance(event, Gap) else judge(self.at, self._reply, event)
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
                yield from self._gone(event.position)
            case MessageAppended():
                self.at = event.position
                for group in batches([event.message]):
                    yield Observation(self.at, Delivered(group))
            case ReplyStarted():
                self._reply = Followed(event.reply_id, 0)
                yield Observation(self.at, event)
            case ReplyExtended():
                self._reply = Followed(event.reply_id, event.end)
                yield Observation(self.at, event)
            case ReplyEnded():
                self.at = event.position
                yield from self._end_reply(event.message)
            case Updated():
                self._details = _details(event.session)
                yield Observation(event.position, event)
            case Cleared() | MessagesTruncated():
                yield from self._end_reply()
                self.at = event.position
                yield Observation(self.at, event)

    def _end_reply(self, message: Message | None = None) -> Iterator[Observation]:
        """Tells the end of the reply that it follows, if it follows one."""
        if self._reply is not None and self.at is not None:
            reply, self._reply = self._reply, None
            yield Observation(self.at, ReplyEnded(self.at, reply.id, sendable(message) if message else None))

    def _gone(self, position: Position) -> Iterator[Observation]:
        yield from self._end_reply()
        self.ended = True
        yield Observation(position, Deleted(position))

    async def _read(self) -> Snapshot:
        """The session, and not as it was before what the watcher knows: a store may lag behind after a failover."""
        for _ in range(_STALE_READS):
            snapshot = await self._history.snapshot(self.name, tail=0)
            if self.at is None or not _is_before(snapshot.session.position, self.at):
                return snapshot
            await asyncio.sleep(_STALE_PAUSE)
        return await self._history.snapshot(self.name, tail=0)

    async def _advance(self, snapshot: Snapshot) -> Observations:
        """Delivers everything up to the head of `snapshot`, or of a later one: messages, then the reply."""
        while True:
            for observation in self._take_up(snapshot):
                yield observation
            try:
                async with aclosing(self._messages(snapshot)) as observations:
                    async for observation in observations:
                        yield observation
                break
            except (PositionConflict, SessionNotFound):
                try:
                    snapshot = await self._history.snapshot(self.name, tail=0)
                except SessionNotFound:
                    for observation in self._gone(snapshot.session.position):
                        yield observation
                    return
        for observation in (*self._show_reply(snapshot.reply), *self._show_details(snapshot.session)):
            yield observation

    def _take_up(self, snapshot: Snapshot) -> Iterator[Observation]:
        """Makes its place one in the log of `snapshot`: before the first message, when it was in another."""
        head = snapshot.session.position
        if self.at is None:
            self.at = Position(head.epoch, 0)
        elif self.at.epoch != head.epoch or self.at.sequence > head.sequence:
            if self._has_ended(snapshot.reply):
                yield from self._end_reply()
            self._reply = None
            self._catching_up = True
            self.at = Position(head.epoch, 0)
            yield Observation(self.at, Forget())

    async def _messages(self, snapshot: Snapshot) -> Observations:
        """The messages up to the head of `snapshot` and no further: its reply is the one in progress there."""
        head, reply_has_ended = snapshot.session.position, self._has_ended(snapshot.reply)
        at = self.at or Position(head.epoch, 0)
        while at.sequence < head.sequence:
            limit = min(PAGE_SIZE, head.sequence - at.sequence)
            page = await self._history.page(
                self.name, start=at.sequence + 1, limit=limit, newest_first=False, epoch=head.epoch
            )
            if not page.messages:
                raise PositionConflict(page.head)
            for observation in self._tell(page.messages, head.epoch, reply_has_ended):
                yield observation
            at = Position(head.epoch, page.messages[-1].sequence)

    def _tell(self, messages: Sequence[Message], epoch: str, reply_has_ended: bool) -> Iterator[Observation]:
        """Messages in order, the one that the reply has become as its end."""
        reply = self._reply if reply_has_ended else None
        end = next(
            (place for place, message in enumerate(messages) if reply and _is_reply(message, reply)), len(messages)
        )
        yield from self._tell_plainly(messages[:end], epoch)
        if end < len(messages):
            self.at = Position(epoch, messages[end].sequence)
            yield from self._end_reply(messages[end])
            yield from self._tell_plainly(messages[end + 1 :], epoch)

    def _tell_plainly(self, messages: Sequence[Message], epoch: str) -> Iterator[Observation]:
        for group in batches(messages):
            self.at = Position(epoch, group[-1].sequence)
            yield Observation(self.at, Delivered(group))

    def _has_ended(self, reply: ReplySnapshot | None) -> bool:
        """Whether the reply that it follows is over, when `reply` is the one in progress."""
        return self._reply is not None and (reply is None or reply.id != self._reply.id)

    def _show_reply(self, reply: ReplySnapshot | None) -> Iterator[Observation]:
        if self._has_ended(reply):
            yield from self._end_reply()
        if reply is not None and (self._reply is None or self._reply.next != reply.next_chunk):
            self._reply = Followed(reply.id, reply.next_chunk)
            yield Observation(self.at, reply)

    def _show_details(self, session: Session) -> Iterator[Observation]:
        before, self._details = self._details, _details(session)
        if self.at is not None and before not in {None, self._details}:
            yield Observation(self.at, Updated(self.at, session))


def _beginning(start: Start, head: Position) -> Position:
    if isinstance(start, Tail):
        return Position(head.epoch, max(head.sequence - start.count, 0))
    if not start.position:
        return Position(head.epoch, 0)
    return Position.parse(start.position) or NOWHERE


def _is_before(position: Position, other: Position) -> bool:
    if position.epoch == other.epoch:
        return position.sequence < other.sequence
    return is_newer(other.epoch, position.epoch)


def _is_reply(message: Message, reply: Followed) -> bool:
    return message.id == reply.id and message.role is Role.ASSISTANT


def _details(session: Session) -> tuple[object, ...]:
    """What `Updated` is about."""
    return session.title, session.title_source, session.ttl, tuple(sorted(session.labels.items()))
