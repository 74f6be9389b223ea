"""The messages of sessions, in memory."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from session_svc.domain.errors import PositionConflict, RequestIdReused, SessionNotFound
from session_svc.domain.events import Cleared, MessageAppended, MessagesTruncated
from session_svc.domain.excerpts import automatic_title
from session_svc.domain.limits import MESSAGES_PER_TRUNCATE, MIB
from session_svc.domain.message import Message, NewMessage, Receipt, Role
from session_svc.domain.position import Position
from session_svc.domain.reply import ReplySnapshot, joined
from session_svc.domain.session import Appended, MessagePage, NewSession, Session, Snapshot, TitleSource, Truncated
from session_svc.domain.weight import message_bytes
from session_svc.storage.base import Append, Expected, MessageHistory
from session_svc.storage.memory.requests import Answer
from session_svc.storage.memory.state import Record, State, check_expected

_PAGE_BYTES: Final = 3 * MIB


class InMemoryMessageHistory(MessageHistory):
    """MessageHistory over the state it shares with InMemorySessionStore."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def append(self, append: Append) -> Appended:
        now = self._state.begin()
        record = self._state.find(append.session)
        if record and append.request_id:
            answer = self._state.requests.find(append.session, append.request_id)
            if answer:
                if answer.fingerprint != append.fingerprint:
                    raise RequestIdReused(append.request_id)
                return Appended(answer.receipts, answer.position, record.session())
        if record is None and append.require_existing:
            raise SessionNotFound(append.session)
        target = record or self._state.create(append.session, NewSession(owner=append.owner), now)
        check_expected(append.expected, record)
        if append.request_id:
            self._state.requests.check_room(append.session, now)

        first = len(target.log) + 1
        messages = [stored(new, sequence, now) for sequence, new in enumerate(append.messages, first)]
        target.log.extend(messages)
        target.last_active_time = now
        target.awaiting_reply = awaits(messages, target.awaiting_reply)
        if target.reply and target.awaiting_reply:
            target.reply.asked_again = True
        title_if_none(target, messages)
        receipts = tuple(Receipt(kept.id, kept.sequence, _time(kept, now)) for kept in messages)
        if append.request_id:
            answered = Answer(append.fingerprint, receipts, target.head)
            self._state.requests.remember(append.session, append.request_id, answered, now)
        events = [MessageAppended(Position(target.epoch, message.sequence), message) for message in messages]
        return Appended(receipts, target.head, self._state.save(target, now, events))

    async def page(
        self, name: str, *, start: int, limit: int, newest_first: bool, epoch: str | None = None
    ) -> MessagePage:
        self._state.begin()
        record = self._state.existing(name)
        log, head = record.log, record.head
        if (epoch is not None and epoch != head.epoch) or start > head.sequence + 1:
            raise PositionConflict(head)
        if newest_first:
            first = min(start or head.sequence, head.sequence)
            candidates = (log[place] for place in range(first - 1, -1, -1))
        else:
            first = max(start, 1)
            candidates = (log[place] for place in range(first - 1, len(log)))
        messages = _fitting(islice(candidates, limit))
        left = first - len(messages) if newest_first else head.sequence - (first - 1) - len(messages)
        return MessagePage(messages, head, more=left > 0)

    async def snapshot(self, name: str, *, tail: int) -> Snapshot:
        self._state.begin()
        record = self._state.existing(name)
        return Snapshot(record.session(), _newest(record.log, tail), _reply(record))

    async def clear(self, name: str, *, expected: Expected = None) -> Session:
        now = self._state.begin()
        record = self._state.existing(name)
        check_expected(expected, record)
        self._state.abandon_reply(record, now)
        record.log.clear()
        record.epoch = self._state.new_epoch(now)
        record.last_active_time = now
        record.awaiting_reply = False
        return self._state.save(record, now, [Cleared(record.head)])

    async def truncate(
        self, name: str, *, keep: int | None = None, remove_last: int | None = None, expected: Expected = None
    ) -> Truncated:
        now = self._state.begin()
        record = self._state.existing(name)
        check_expected(expected, record)
        left = max(0, len(record.log) - (remove_last or 0)) if keep is None else keep
        if left >= len(record.log):
            return Truncated((), record.session())
        self._state.abandon_reply(record, now)
        removed = _newest(record.log[left:], MESSAGES_PER_TRUNCATE)
        del record.log[left:]
        record.epoch = self._state.new_epoch(now)
        record.awaiting_reply = bool(record.log) and record.log[-1].role is Role.USER
        return Truncated(removed, self._state.save(record, now, [MessagesTruncated(record.head, left)]))


def _time(message: Message | NewMessage, now: int) -> int:
    return now if message.create_time is None else message.create_time


def stored(new: NewMessage, sequence: int, now: int) -> Message:
    return Message(
        id=new.id,
        sequence=sequence,
        role=new.role,
        content=new.content,
        author=new.author,
        model=new.model,
        create_time=_time(new, now),
        status=new.status,
        status_reason=new.status_reason,
        attributes=new.attributes,
    )


def awaits(messages: Iterable[Message], awaited: bool) -> bool:
    for message in messages:
        if message.role is Role.USER:
            awaited = True
        elif message.role is Role.ASSISTANT:
            awaited = False
    return awaited


def title_if_none(record: Record, messages: Iterable[Message]) -> None:
    if not record.title:
        record.title = automatic_title(messages)
        record.title_source = TitleSource.AUTO if record.title else TitleSource.NONE


def _reply(record: Record) -> ReplySnapshot | None:
    slot = record.reply
    if slot is None:
        return None
    return ReplySnapshot(slot.id, slot.author, slot.model, joined(slot.chunks), len(slot.chunks))


def _fitting(messages: Iterable[Message]) -> tuple[Message, ...]:
    """As many from the first on as make up about 3 MiB, but at least one."""
    fitting: list[Message] = []
    size = 0
    for message in messages:
        size += message_bytes(message)
        if size > _PAGE_BYTES and fitting:
            break
        fitting.append(message)
    return tuple(fitting)


def _newest(log: list[Message], limit: int) -> tuple[Message, ...]:
    """The newest of `log` that fit, at most `limit`, oldest first."""
    return tuple(reversed(_fitting(islice(reversed(log), limit))))
