"""One open stream: a cursor in each ring it follows, and the connection that it is written to."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from stream_gateway import metrics, sse, wire
from stream_gateway.owed import Owed  # noqa: TC001 - Types of attributes are plain to read this way.
from stream_gateway.ring import Ring

MAX_OWED_BYTES: Final = 8 * 1024 * 1024
HIGH_WATER_BYTES: Final = 32 * 1024
"""What may wait in this process for a viewer's socket: more would only be older when it is read."""
PIECE_BYTES: Final = 64 * 1024
"""How much is handed to a socket that is not full: no more waits for it than this and the high water."""
_HEARTBEAT: Final = wire.chunk(sse.HEARTBEAT)


class Viewer(asyncio.Protocol):
    """Writes what its rings hold, as far as the connection takes it.

    It is the connection's protocol from `open` on, and all that the process keeps of an open stream. Writing is driven
    from whoever has news (`pump`), without a task: while the socket is full nothing is written, so that nobody else
    waits, and as soon as it is no more, what came since the cursor goes, piece by piece.

    Whatever was registered by `at_end` is called once, when it is over.
    """

    __slots__ = (
        "_closed",
        "_drained",
        "_ends",
        "_last_words",
        "_owed",
        "_owed_bytes",
        "_paused",
        "_paused_since",
        "_places",
        "_taken",
        "_transport",
        "_unsent",
        "_unsent_since",
        "account",
        "slow",
    )

    def __init__(self) -> None:
        self._ends: tuple[Callable[[Viewer], None], ...] = ()
        self._transport: asyncio.Transport | None = None
        self._places: tuple[_Place, ...] = ()
        self._owed: deque[bytes] | None = None
        self._owed_bytes = 0
        self._taken = 0
        self._last_words: bytes | None = None
        self._closed = False
        self._paused = False
        self._paused_since = 0.0
        self._unsent = 0
        self._unsent_since = 0.0
        self._drained: asyncio.Event | None = None
        self.slow: set[Viewer] | None = None
        """Where it is to be found while its socket is full."""
        self.account: Owed | None = None
        """Where what it is owed is counted; told before it is owed anything."""

    @property
    def is_open(self) -> bool:
        """Whether its body has begun and not ended."""
        return self._transport is not None and not self._closed

    @property
    def is_closed(self) -> bool:
        """Whether its body has ended, or never will begin."""
        return self._closed

    def open(self, transport: asyncio.Transport, head: bytes, first: bytes) -> None:
        """Begins with the head of the answer and the first frame; what it was to be told until now follows."""
        self._transport = transport
        if self._closed or transport.is_closing():
            transport.abort()
            self.end()
            return
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        transport.write(head + wire.chunk(first))
        self.pump()

    def follow(self, ring: Ring) -> None:
        """Reads `ring` from now on. Its `summary` is said in place of frames dropped before they were written."""
        self._places = (*self._places, _Place(ring))

    @property
    def buffered(self) -> int:
        """How many bytes wait in this process for its socket."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def held(self) -> int:
        """How many bytes wait in this process for it."""
        return self._owed_bytes + self.buffered

    def say(self, *frames: bytes) -> None:
        """Writes frames of this viewer's own, before what the rings hold.

        A viewer that does not take its own frames either is disconnected: it comes back and resumes.
        """
        if self._closed:
            return
        if self._owed_bytes > MAX_OWED_BYTES:
            self.disconnect()
            return
        self._owe(frames)
        self.pump()

    async def drained(self) -> None:
        """Returns once every frame of its own is written and the socket takes more, or never will."""
        while (self._owed or self._paused) and not self._closed:
            self._drained = self._drained or asyncio.Event()
            await self._drained.wait()

    def pump(self) -> None:
        """Writes all there is to write, as far as the socket takes it now."""
        transport = self._transport
        if transport is None:
            return
        while not self._paused and not self._closed:
            data = self._next()
            if data is None:
                return
            metrics.TALLY.bytes += len(data)
            transport.write(data)

    def heartbeat(self) -> None:
        """Shows that the stream is alive, unless something is being written anyway."""
        if self._transport is not None and not (self._closed or self._paused or self._owed):
            metrics.TALLY.bytes += len(_HEARTBEAT)
            self._transport.write(_HEARTBEAT)

    def finish(self, last_words: bytes) -> None:
        """Ends the body after everything that is owed, and `last_words`."""
        if self._last_words is None:
            self._last_words = last_words
            self.pump()

    def stuck_for(self, now: float) -> float:
        """For how many seconds the socket has taken nothing, as far as was asked. `now`: of the monotonic clock."""
        if not self._paused or self._transport is None:
            return 0.0
        unsent = self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        return now - self._unsent_since

    def paused_for(self, now: float) -> float:
        """For how many seconds the socket has been full. `now`: of the monotonic clock."""
        return now - self._paused_since if self._paused else 0.0

    def disconnect(self) -> None:
        """Drops the connection at once."""
        self._close()
        if self._transport is not None:
            self._transport.abort()

    def at_end(self, call: Callable[["Viewer"], None]) -> None:
        """Has `call` called when it is over, also when it never begins."""
        self._ends = (*self._ends, call)

    def end(self) -> None:
        """Says that the connection is over, or will never be the viewer's."""
        self._close()
        self._transport = None
        if self.slow is not None:
            self.slow.discard(self)
        ends, self._ends = self._ends, ()
        for call in reversed(ends):
            call(self)

    # asyncio.Protocol

    def pause_writing(self) -> None:
        """The socket is full."""
        metrics.SLOW_WRITES.inc()
        self._paused = True
        if self.slow is not None:
            self.slow.add(self)
        self._unsent = self.buffered
        self._unsent_since = self._paused_since = time.monotonic()

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._paused = False
        if self.slow is not None:
            self.slow.discard(self)
        self.pump()
        self._release()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        del exc
        self.end()

    def _next(self) -> bytes | None:
        if self._owed:
            return self._piece(self._owed)
        for place in self._places:
            ring, cursor = place.ring, place.cursor
            if cursor == ring.end:
                continue
            if cursor < ring.start:
                self._catch_up(place)
                return self._piece(self._owed) if self._owed else None
            place.was_lost = False
            data, place.cursor, is_chunk = ring.read(cursor)
            metrics.TALLY.frames += place.cursor - cursor
            return data if is_chunk else self._piece(self._owe((data,)))
        if self._last_words is not None:
            self._end(self._last_words)
        return None

    def _owe(self, frames: Iterable[bytes]) -> deque[bytes]:
        owed = self._owed = deque() if self._owed is None else self._owed
        for frame in frames:
            owed.append(frame)
            self._owed_bytes += len(frame)
            if self.account is not None:
                self.account.hold(frame)
        return owed

    def _piece(self, owed: deque[bytes]) -> bytes:
        """The next of what it is owed, as a chunk, up to a comfortable write."""
        parts: list[memoryview] = []
        room = PIECE_BYTES
        while owed and room:
            frame = owed[0]
            part = memoryview(frame)[self._taken : self._taken + room]
            parts.append(part)
            room -= len(part)
            self._taken += len(part)
            if self._taken == len(frame):
                owed.popleft()
                self._taken = 0
                self._owed_bytes -= len(frame)
                self._settle((frame,))
        if not owed:
            self._owed = None
            self._release()
        return wire.chunk_of(parts)

    def _settle(self, frames: Iterable[bytes]) -> None:
        if self.account is not None:
            self.account.release(frames)

    def _catch_up(self, place: "_Place") -> None:
        """Jumps to the end of a ring, unless it is lost again before it has taken what it was told the last time."""
        if place.was_lost:
            metrics.STUCK.inc()
            self.disconnect()
            return
        metrics.FALLEN_BEHIND.inc()
        place.was_lost, place.cursor = True, place.ring.end
        self._owe((place.ring.summary(),))

    def _end(self, last_words: bytes) -> None:
        self._close()
        if self._transport is not None:
            self._transport.write(wire.chunk(last_words) + wire.LAST_CHUNK)
            self._transport.close()

    def _close(self) -> None:
        self._closed = True
        owed, self._owed, self._owed_bytes = self._owed, None, 0
        self._places = ()
        self._settle(owed or ())
        self._release()

    def _release(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None


class _Place:
    """Where a viewer is in one ring. `was_lost`: it was told a summary, and has read nothing since."""

    __slots__ = ("cursor", "ring", "was_lost")

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.cursor = ring.end
        self.was_lost = False
