"""One open stream: a cursor in each ring it follows, and the socket that it is written to."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, MutableMapping
from typing import Any, Final

import structlog

from stream_gateway import metrics, sse
from stream_gateway.ring import Ring

MAX_OWED_BYTES: Final = 8 * 1024 * 1024

log = structlog.get_logger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Viewer:
    """Writes what its rings hold, as far as the socket takes it.

    Writing is driven from whoever has news (`pump`), without a task: `send` finishes at once unless the socket is full.
    When it is full, a task of the viewer's own waits for it and goes on, so that nobody else waits.

    `send`: ASGI's. `abort`: drops the connection, whatever is still unsent.
    """

    __slots__ = (
        "_abort",
        "_closed",
        "_drained",
        "_last_words",
        "_opened",
        "_owed",
        "_owed_bytes",
        "_places",
        "_send",
        "_writer",
        "_writing_since",
    )

    def __init__(self, send: Send, abort: Callable[[], None]) -> None:
        self._send = send
        self._abort = abort
        self._places: dict[Ring, _Place] = {}
        self._owed: deque[bytes] = deque()
        self._owed_bytes = 0
        self._last_words: bytes | None = None
        self._opened = False
        self._closed = False
        self._writer: asyncio.Task[None] | None = None
        self._writing_since: float | None = None
        self._drained: asyncio.Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether its body has begun and not ended."""
        return self._opened and not self._closed

    async def open(self, headers: Iterable[tuple[bytes, bytes]], first: bytes) -> None:
        """Sends the headers and the first frame; what it was to be told until now follows."""
        await self._send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        self._opened = True
        self._owed.appendleft(first)
        self._owed_bytes += len(first)
        self.pump()

    def follow(self, ring: Ring, lost: Callable[[], bytes]) -> None:
        """Reads `ring` from now on. `lost()` is said in place of frames that were dropped before they were written."""
        self._places[ring] = _Place(ring.end, lost)

    def say(self, frame: bytes) -> None:
        """Writes a frame of this viewer's own, before what the rings hold.

        A viewer that does not take its own frames either is disconnected: it comes back and resumes.
        """
        self._owed.append(frame)
        self._owed_bytes += len(frame)
        if self._owed_bytes > MAX_OWED_BYTES and len(self._owed) > 1:
            self.disconnect()
        self.pump()

    async def drained(self) -> None:
        """Returns once every frame of its own is written, or never will be."""
        while self._owed and not self._closed:
            self._drained = self._drained or asyncio.Event()
            await self._drained.wait()

    def pump(self) -> None:
        """Writes all there is to write, as far as the socket takes it now. Never raises: others have news too."""
        while self._opened and self._writer is None and not self._closed:
            message = self._next()
            if message is None:
                return
            try:
                attempt = _drive(self._send(message))
            except Exception:
                log.exception("viewer_failed")
                self.disconnect()
                return
            if attempt is not None:
                metrics.SLOW_WRITES.inc()
                self._writing_since = time.monotonic()
                self._writer = asyncio.create_task(self._go_on(attempt))

    def heartbeat(self) -> None:
        """Shows that the stream is alive, unless something is being written anyway."""
        if self._opened and self._writer is None:
            self.say(sse.HEARTBEAT)

    def finish(self, last_words: bytes) -> None:
        """Ends the body after everything that is owed, and `last_words`."""
        if self._last_words is None:
            self._last_words = last_words
            self.pump()

    def stuck_for(self, now: float) -> float:
        """For how many seconds the socket has taken nothing. `now`: of the monotonic clock."""
        return now - self._writing_since if self._writing_since is not None else 0.0

    def disconnect(self) -> None:
        """Drops the connection at once."""
        self._closed = True
        self._release()
        self._abort()

    async def close(self) -> None:
        """Lets go of everything; call it when the connection is gone."""
        self._closed = True
        self._release()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    def _next(self) -> MutableMapping[str, Any] | None:
        data = self._next_bytes()
        if data is not None:
            metrics.TALLY.bytes += len(data)
            return {"type": "http.response.body", "body": data, "more_body": True}
        if self._last_words is not None:
            self._closed = True
            return {"type": "http.response.body", "body": self._last_words, "more_body": False}
        return None

    def _next_bytes(self) -> bytes | None:
        if self._owed:
            data = self._owed.popleft()
            self._owed_bytes -= len(data)
            if not self._owed:
                self._release()
            return data
        for ring, place in self._places.items():
            if not ring.holds(place.cursor):
                metrics.FALLEN_BEHIND.inc()
                place.cursor = ring.end
                return place.lost()
            if place.cursor < ring.end:
                data, cursor = ring.read(place.cursor)
                metrics.TALLY.frames += cursor - place.cursor
                place.cursor = cursor
                return data
        return None

    def _release(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    async def _go_on(self, attempt: "_Suspended") -> None:
        try:
            await attempt
        finally:
            self._writer = None
            self._writing_since = None
        self.pump()


class _Place:
    """Where a viewer is in one ring."""

    __slots__ = ("cursor", "lost")

    def __init__(self, cursor: int, lost: Callable[[], bytes]) -> None:
        self.cursor = cursor
        self.lost = lost


class _Suspended:
    """A coroutine that was started by hand and waits for something: await this to go on with it."""

    __slots__ = ("_coroutine", "_waiting_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], waiting_for: object) -> None:
        self._coroutine = coroutine
        self._waiting_for = waiting_for

    def __await__(self) -> Generator[Any, Any, None]:
        waiting_for = self._waiting_for
        while True:
            failure: BaseException | None = None
            try:
                yield waiting_for
            except BaseException as error:  # noqa: BLE001 - A cancellation belongs to the coroutine, as in `yield from`.
                failure = error
            try:
                waiting_for = self._coroutine.throw(failure) if failure else self._coroutine.send(None)
            except StopIteration:
                return


def _drive(awaitable: Awaitable[None]) -> _Suspended | None:
    """Runs an awaitable until it ends (None) or has to wait."""
    coroutine: Any = awaitable
    try:
        return _Suspended(coroutine, coroutine.send(None))
    except StopIteration:
        return None
