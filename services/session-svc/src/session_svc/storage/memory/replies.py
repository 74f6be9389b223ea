"""Replies while they are written, in memory."""

from collections.abc import Sequence
from typing import Final, Literal

from session_svc.domain.errors import (
    ReplyInProgress,
    ReplyLost,
    ReplyNotFound,
    ReplyStopped,
    SessionNotFound,
    TooLarge,
)
from session_svc.domain.events import MessageAppended, ReplyEnded, ReplyExtended, ReplyStarted, SessionEvent
from session_svc.domain.limits import REPLY_BYTES, REPLY_TEXT_BYTES
from session_svc.domain.message import Message, NewMessage, Receipt, Role, Status
from session_svc.domain.position import Position
from session_svc.domain.reply import Chunk, Part, ReplyEnd, ReplyLease, ReplyStart, Text
from session_svc.domain.session import NewSession
from session_svc.domain.weight import chunk_bytes
from session_svc.storage.base import ReplyBuffer
from session_svc.storage.memory.history import awaits, stored, title_if_none
from session_svc.storage.memory.requests import Answer
from session_svc.storage.memory.state import Record, Slot, State, check_expected

FENCE_CHARACTERS: Final = 12

How = Literal["finished", "failed", "stopped", "lost", "large"]


class InMemoryReplyBuffer(ReplyBuffer):
    """ReplyBuffer over the state it shares with InMemoryMessageHistory."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def start(self, start: ReplyStart) -> ReplyLease | ReplyEnd:
        now = self._state.begin()
        record = self._state.find(start.session)
        if record is not None:
            self._end_if_lost(record, now)
            slot = record.reply
            if slot and start.writer_key and (slot.id, slot.writer_key) == (start.reply_id, start.writer_key):
                slot.fence = self._state.digits(FENCE_CHARACTERS)
                slot.lease = start.lease
                self._renew(record, slot, now)
                return ReplyLease(
                    record.name, slot.id, slot.fence, record.head, slot.frames, slot.text_bytes, slot.bytes
                )
            ending = self._ending(record.name, start.reply_id)
            if ending is not None:
                if not start.writer_key or ending.fingerprint.partition(" ")[2] != start.writer_key:
                    raise ReplyLost
                return _told(ending)
            if slot:
                raise ReplyInProgress(start.session)
        elif not start.messages:
            raise SessionNotFound(start.session)
        target = record or self._state.create(start.session, NewSession(owner=start.owner), now)
        check_expected(start.expected, record)

        first = len(target.log) + 1
        messages = [stored(new, sequence, now) for sequence, new in enumerate(start.messages, start=first)]
        target.log.extend(messages)
        target.last_active_time = now
        target.awaiting_reply = awaits(messages, target.awaiting_reply)
        title_if_none(target, messages)
        slot = Slot(
            id=start.reply_id,
            writer_key=start.writer_key,
            fence=self._state.digits(FENCE_CHARACTERS),
            author=start.author,
            model=start.model,
            start_time=now,
            lease=start.lease,
            lease_until=now + start.lease,
        )
        target.reply = slot
        events: list[SessionEvent] = [
            MessageAppended(Position(target.epoch, message.sequence), message) for message in messages
        ]
        events.append(ReplyStarted(target.head, slot.id, slot.author, slot.model, now))
        self._state.save(target, now, events)
        self._renew(target, slot, now)
        return ReplyLease(target.name, slot.id, slot.fence, target.head, 0)

    async def write(self, lease: ReplyLease, accepted: int, chunks: Sequence[Chunk]) -> int:
        now = self._state.begin()
        record, slot = self._held(lease)
        frames = sum(_frames(chunk) for chunk in chunks)
        if frames and accepted + frames == slot.frames:
            return slot.frames
        if frames and accepted != slot.frames:
            raise ReplyLost
        for chunk in chunks:
            size = chunk_bytes(chunk)
            slot.text_bytes += size if isinstance(chunk, Text) else 0
            slot.bytes += size
            if slot.text_bytes > REPLY_TEXT_BYTES or slot.bytes > REPLY_BYTES:
                self._end(record, now, "large", "the reply exceeded its size")
                _told(self._known_ending(lease))
            if chunk == Text("", _frames(chunk)):
                continue  # Nothing to keep or to tell: it only counts as a frame.
            slot.chunks.append(chunk)
            number = len(slot.chunks)
            self._state.publish(record.name, ReplyExtended(record.head, slot.id, chunk, number - 1, number))
        slot.frames += frames
        self._renew(record, slot, now)
        return slot.frames

    async def finish(self, lease: ReplyLease, *, attributes: str, messages: Sequence[NewMessage]) -> ReplyEnd:
        return self._finish(lease, "finished", "", attributes, messages)

    async def fail(self, lease: ReplyLease, *, reason: str, attributes: str) -> ReplyEnd:
        return self._finish(lease, "failed", reason, attributes)

    async def stop(self, name: str, reply_id: str) -> Message | None:
        now = self._state.begin()
        record = self._state.existing(name)
        if record.reply is None or reply_id not in {"", record.reply.id}:
            raise ReplyNotFound(name)
        return self._end(record, now, "stopped", "stopped")

    def settle(self) -> None:
        """Ends the replies whose lease is over."""
        now = self._state.begin()
        for name in self._state.leases.until(now):
            record = self._state.find(name)
            if record is not None:
                self._end_if_lost(record, now)

    def _finish(
        self, lease: ReplyLease, how: How, reason: str, attributes: str, messages: Sequence[NewMessage] = ()
    ) -> ReplyEnd:
        now = self._state.begin()
        if (ending := self._ending(lease.session, lease.reply_id)) is not None:
            return _told(ending)
        record, _ = self._held(lease)
        self._end(record, now, how, reason, attributes, messages)
        return _told(self._known_ending(lease))

    def _held(self, lease: ReplyLease) -> tuple[Record, Slot]:
        """The session and the slot that `lease` holds. Raises what its writer is told when it holds none."""
        record = self._state.find(lease.session)
        slot = record.reply if record else None
        if record and slot and (slot.id, slot.fence) == (lease.reply_id, lease.fence):
            return record, slot
        ending = self._ending(lease.session, lease.reply_id)
        if ending is not None:
            _told(ending)
        raise ReplyLost

    def _renew(self, record: Record, slot: Slot, now: int) -> None:
        slot.lease_until = now + slot.lease
        self._state.leases.put(record.name, slot.lease_until)

    def _end_if_lost(self, record: Record, now: int) -> None:
        if record.reply and record.reply.lease_until <= now:
            self._end(record, now, "lost", "the writer was lost")

    def _end(
        self,
        record: Record,
        now: int,
        how: How,
        reason: str,
        attributes: str = "",
        instead: Sequence[NewMessage] = (),
    ) -> Message | None:
        """Ends the reply of `record` and returns the last message stored."""
        slot = record.reply
        if slot is None:
            raise AssertionError("there is a reply to end")
        first = len(record.log) + 1
        new = instead or _said(slot, how, reason, attributes)
        messages = [stored(message, sequence, now) for sequence, message in enumerate(new, start=first)]
        record.log.extend(messages)
        record.reply = None
        record.last_active_time = now
        record.awaiting_reply = record.awaiting_reply and slot.asked_again
        receipts = tuple(Receipt(message.id, message.sequence, message.create_time or now) for message in messages)
        self._state.remember_end(record, slot, how, receipts, now)
        self._state.leases.remove(record.name)
        events: list[SessionEvent] = [
            MessageAppended(Position(record.epoch, message.sequence), message) for message in messages[:-1]
        ]
        last = messages[-1] if messages else None
        events.append(ReplyEnded(record.head, slot.id, last))
        self._state.save(record, now, events)
        return last

    def _ending(self, session: str, reply_id: str) -> Answer | None:
        return self._state.endings.find(session, reply_id)

    def _known_ending(self, lease: ReplyLease) -> Answer:
        ending = self._ending(lease.session, lease.reply_id)
        if ending is None:
            raise ReplyLost
        return ending


def _told(ending: Answer) -> ReplyEnd:
    """What a writer is told of the end of its reply. Raises what ended it in the writer's place."""
    match ending.fingerprint.partition(" ")[0]:
        case "stopped":
            raise ReplyStopped
        case "lost":
            raise ReplyLost
        case "large":
            raise TooLarge("delta", REPLY_BYTES + 1, REPLY_BYTES)
    return ReplyEnd(ending.receipts, ending.position)


def _frames(chunk: Chunk) -> int:
    return chunk.frames if isinstance(chunk, Text) else 1


def _said(slot: Slot, how: How, reason: str, attributes: str) -> tuple[NewMessage, ...]:
    """The message that the reply becomes; none when nothing was said and nobody ended it on purpose."""
    content = "".join(chunk.text for chunk in slot.chunks if isinstance(chunk, Text))
    parts = ",".join(
        f'{{"type":"{chunk.type}","data":{chunk.data}}}' for chunk in slot.chunks if isinstance(chunk, Part)
    )
    if not (content or parts or how in {"finished", "failed"}):
        return ()
    status = {"finished": Status.COMPLETE, "failed": Status.FAILED}.get(how, Status.INTERRUPTED)
    return (
        NewMessage(
            role=Role.ASSISTANT,
            content=content,
            id=slot.id,
            author=slot.author,
            model=slot.model,
            status=status,
            status_reason=reason,
            attributes=attributes or (f'{{"parts":[{parts}]}}' if parts else ""),
        ),
    )
