"""Writing one reply: frames in, from a writer that may break off; chunks out, as fast as the store takes them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from session_svc.application.ids import with_ids
from session_svc.application.outbox import Outbox
from session_svc.bus.base import Gap, StreamBus
from session_svc.domain.errors import InvalidField, ReplyLost, StoreUnavailable, WatcherTooSlow
from session_svc.domain.events import ReplyEnded
from session_svc.domain.message import Message, NewMessage
from session_svc.domain.reply import Chunk, ReplyEnd, ReplyLease, ReplyStart
from session_svc.storage.base import ReplyBuffer

LISTEN_AGAIN_SECONDS: Final = 0.5
WRITE_INTERVAL_SECONDS: Final = 0.01
"""From one write of a reply to the next: viewers are told later chunks less often than this anyway."""
SILENCE_SECONDS: Final = 5.0
"""How long after the end of its lease a silent writer is told that the store does not answer: else it would have said
that the reply has ended."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Keeps the lease while there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The reply is complete; fields as ReplyBuffer.finish."""

    attributes: str = ""
    messages: tuple[NewMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """The reply failed; fields as ReplyBuffer.fail."""

    reason: str = ""
    attributes: str = ""


Frame = Chunk | Renew | Finish | Fail


class Replies:
    """Takes replies from their writers."""

    def __init__(self, buffer: ReplyBuffer, bus: StreamBus) -> None:
        self._buffer = buffer
        self._bus = bus

    async def write(self, start: ReplyStart, frames: AsyncIterator[Frame]) -> AsyncGenerator[ReplyLease | ReplyEnd]:
        """Yields the lease once the slot is held, and at last the end; after an end, the end alone.

        A chunk goes to the store at once, unless one went within the last 10 ms or is still on its way: then with those
        that come meanwhile. When the reply ends otherwise, this stream hears of it within a second; when another one
        takes it over, with its next frame. What comes after Finish or Fail is not read. Messages without an id get one.

        Raises what ReplyBuffer raises, and what `frames` raises; InvalidField when `frames` end without an ending: the
        reply then goes on until its lease is over.
        """
        lease = await self._buffer.start(replace(start, messages=with_ids(start.messages)))
        yield lease
        if isinstance(lease, ReplyLease):
            yield await _Writing(self._buffer, lease, start.lease / 1000, frames, self._bus).run()

    async def stop(self, name: str, reply_id: str) -> Message | None:
        """Ends the reply in progress; see ReplyBuffer.stop."""
        return await self._buffer.stop(name, reply_id)


class _Writing:
    """One stream of one writer, from its lease to its end."""

    def __init__(
        self,
        buffer: ReplyBuffer,
        lease: ReplyLease,
        seconds: float,
        frames: AsyncIterator[Frame],
        bus: StreamBus,
    ) -> None:
        self._buffer = buffer
        self._lease = lease
        self._frames = frames
        self._bus = bus
        self._outbox = Outbox(lease.text_bytes, lease.bytes)
        self._accepted = lease.accepted
        self._patience = seconds + SILENCE_SECONDS
        self._heard = 0.0

    async def run(self) -> ReplyEnd:
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write())
        ending = asyncio.create_task(self._hear_of_its_end())
        silence = asyncio.create_task(self._miss_the_writer())
        try:
            await asyncio.wait((reading, writing, ending, silence), return_when=asyncio.FIRST_COMPLETED)
            if silence.done():
                silence.result()
            if reading.done():
                self._outbox.close()
                await asyncio.wait((writing, ending), return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
            else:
                # It was ended by someone else: the store knows by whom and tells its writer.
                ending.result()
                await self._check()
                raise ReplyLost
            last = reading.result()
        finally:
            for task in (reading, writing, ending, silence):
                task.cancel()
            await asyncio.gather(reading, writing, ending, silence, return_exceptions=True)
        if isinstance(last, Finish):
            messages = with_ids(_ending_with(last.messages, self._lease.reply_id))
            return await self._buffer.finish(self._lease, attributes=last.attributes, messages=messages)
        return await self._buffer.fail(self._lease, reason=last.reason, attributes=last.attributes)

    async def _read(self) -> Finish | Fail:
        async for frame in self._frames:
            self._heard = asyncio.get_running_loop().time()
            if isinstance(frame, Finish | Fail):
                return frame
            if isinstance(frame, Renew):
                self._outbox.renew()
            else:
                await self._outbox.add(frame)
        raise InvalidField("frame", "the stream ended without finish or fail; resume the reply, or let its lease end")

    async def _write(self) -> None:
        """Writes until the outbox is closed and empty: while one write is in flight, what comes waits for the next."""
        loop = asyncio.get_running_loop()
        while await self._outbox.wait():
            due = loop.time() + WRITE_INTERVAL_SECONDS
            self._accepted = await self._buffer.write(self._lease, self._accepted, self._outbox.take())
            await self._outbox.rest(due - loop.time())

    async def _hear_of_its_end(self) -> None:
        """Returns, or raises what the writer is told, once the reply has ended without this stream having ended it."""
        while True:
            try:
                async with self._bus.session(self._lease.session) as events:
                    await self._check()
                    async for event in events:
                        if event is Gap.LOST:
                            await self._check()
                        elif isinstance(event, ReplyEnded) and event.reply_id == self._lease.reply_id:
                            return
            except (WatcherTooSlow, StoreUnavailable):
                await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _miss_the_writer(self) -> None:
        """Raises StoreUnavailable once the writer has been silent for longer than its lease could last."""
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while True:
            rest = self._heard + self._patience - loop.time()
            if rest <= 0:
                raise StoreUnavailable("the lease is over and the store does not say how the reply ended")
            await asyncio.sleep(rest)

    async def _check(self) -> None:
        """Raises what the writer is told when the reply has ended."""
        await self._buffer.write(self._lease, self._accepted, ())


def _ending_with(messages: Sequence[NewMessage], reply_id: str) -> Sequence[NewMessage]:
    """The last of `messages` is what the reply becomes: without an id of its own it has the reply's."""
    if not messages or messages[-1].id or any(message.id == reply_id for message in messages):
        return messages
    return [*messages[:-1], replace(messages[-1], id=reply_id)]
