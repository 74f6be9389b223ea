"""The bus over Redis pub/sub: one connection for every subscription of the process."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import structlog
from redis.exceptions import RedisError

from session_svc.bus import codec
from session_svc.bus.base import Gap, StreamBus
from session_svc.bus.channel import Channel
from session_svc.bus.link import Frame, Link
from session_svc.bus.pulse import Pulse
from session_svc.domain.errors import StoreUnavailable
from session_svc.domain.events import ListEvent, SessionEvent
from session_svc.entropy import jitter

_LIST_CHANNEL: Final = b"ai-chat:sessions"
_SESSION_CHANNEL: Final = "ai-chat:stream:"

_FRAMES_AT_A_STRETCH: Final = 64
"""After so many frames the subscribers get their turn; else a burst would end them all as too slow."""

_FIRST_PAUSE: Final = 0.1
_GARBAGE_LOGGED_EVERY: Final = 60.0

Event = TypeVar("Event")

_log = structlog.get_logger(__name__)


class _Silent(Exception):
    """The server did not answer a ping: the connection is dead, whatever the socket says."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the bus waits for what, in seconds.

    confirm    for a subscription to be confirmed, before the caller is told that the store does not answer
    linger     before a channel that nobody listens to is given back
    ping       between two pings
    pong       for the answer to a ping, and for each step of connecting
    reconnect  before connecting again: anywhere from 0 to this, and shorter at first
    """

    confirm: float = 5.0
    linger: float = 30.0
    ping: float = 5.0
    pong: float = 5.0
    reconnect: float = 3.0


class RedisStreamBus(StreamBus):
    """Use as an async context manager: within it one task owns the connection, and connects again when it is lost.

    url       redis://, rediss:// or unix://
    patience  how long to wait for what
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self._url = url
        self._patience = patience or Patience()
        self._channels: dict[bytes, Channel[Any]] = {}
        self._requests: list[Channel[Any]] = []
        self._idle: dict[bytes, float] = {}  # When each channel without listeners is given back, soonest first.
        self._changed = asyncio.Event()
        self._outage_logged = False
        self._garbage = 0
        self._garbage_logged: float | None = None
        self._owner: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        self._owner = asyncio.create_task(self._stay_connected(), name="redis-stream-bus")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait([self._owner])
        for channel in self._channels.values():
            channel.close()

    def session(self, name: str) -> AbstractAsyncContextManager[AsyncIterator[SessionEvent | Gap]]:
        return self._subscription((_SESSION_CHANNEL + name).encode(), codec.session_event)

    def sessions(self) -> AbstractAsyncContextManager[AsyncIterator[ListEvent | Gap]]:
        return self._subscription(_LIST_CHANNEL, codec.list_event)

    @asynccontextmanager
    async def _subscription(
        self, name: bytes, decode: Callable[[bytes], Event | None]
    ) -> AsyncGenerator[AsyncIterator[Event | Gap], None]:
        channel = self._want(name, decode)
        try:
            await self._until_live(channel)
            subscriber = channel.join()
            try:
                yield subscriber
            finally:
                channel.leave(subscriber)
        finally:
            self._unwant(channel)

    def _want(self, name: bytes, decode: Callable[[bytes], Event | None]) -> Channel[Event]:
        channel: Channel[Event] | None = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(name, decode)
            self._requests.append(channel)
            self._changed.set()
        channel.wanted += 1
        self._idle.pop(name, None)
        return channel

    def _unwant(self, channel: Channel[Any]) -> None:
        channel.wanted -= 1
        if channel.wanted == 0 and self._channels.get(channel.name) is channel:
            self._idle[channel.name] = _now() + self._patience.linger
            self._changed.set()

    async def _until_live(self, channel: Channel[Any]) -> None:
        try:
            async with asyncio.timeout(self._patience.confirm):
                # A loop, because it may be lost between its confirmation and this task's turn.
                while not channel.live.is_set():
                    await channel.live.wait()
        except TimeoutError:
            raise StoreUnavailable("the store confirms no subscription") from None

    async def _stay_connected(self) -> None:
        attempts = 0
        # Not "for ever": a cancellation that meets an error in the group of tasks below comes out as the error.
        while not self._closed:
            began = _now()
            try:
                link = await Link.open(self._url, within=self._patience.pong)
                try:
                    await self._use(link)
                finally:
                    await link.close()
            except* (RedisError, OSError, _Silent) as errors:
                self._log_outage(errors)
            except* Exception:  # noqa: BLE001 - logged, and the owner must outlive any defect.
                # A defect of ours. It is no reason for those who listen to wait for ever.
                _log.exception("pubsub_failed")
            finally:
                self._forget_connection()
            attempts = 0 if _now() - began > self._patience.reconnect else attempts + 1
            await asyncio.sleep(jitter(min(self._patience.reconnect, _FIRST_PAUSE * 2 ** min(attempts, 16))))

    async def _use(self, link: Link) -> None:
        if self._outage_logged:
            _log.info("pubsub_restored")
            self._outage_logged = False
        self._requests = list(self._channels.values())
        pulse = Pulse(every=self._patience.ping, within=self._patience.pong, now=_now())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(link, pulse))
            tasks.create_task(self._write(link, pulse))

    def _forget_connection(self) -> None:
        for channel in list(self._channels.values()):
            channel.live.clear()
            if channel.wanted == 0:
                self._drop(channel)

    def _drop(self, channel: Channel[Any]) -> None:
        del self._channels[channel.name]
        self._idle.pop(channel.name, None)

    async def _read(self, link: Link, pulse: Pulse) -> None:
        stretch = 0
        async for frame in link.frames():
            pulse.heard(_now())
            if frame.kind == b"pong":
                pulse.answered()
                self._changed.set()
            else:
                self._take(frame)
            stretch += 1
            if stretch == _FRAMES_AT_A_STRETCH:
                stretch = 0
                await asyncio.sleep(0)

    def _take(self, frame: Frame) -> None:
        channel = self._channels.get(frame.channel)
        if channel is None:
            return
        if frame.kind == b"subscribe":
            channel.confirm()
        elif frame.kind == b"message" and isinstance(frame.data, bytes):
            try:
                channel.deliver(frame.data)
            except codec.NotAnEvent as error:
                self._log_garbage(channel, error)

    async def _write(self, link: Link, pulse: Pulse) -> None:
        while True:
            self._changed.clear()
            requests, self._requests = self._requests, []
            await link.subscribe([channel.name for channel in requests])
            await link.unsubscribe(self._expire_idle())
            if pulse.ping_is_due(_now()):
                await link.ping()
            elif pulse.is_gone(_now()):
                raise _Silent("no answer to a ping")
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min([pulse.next_look(), *islice(self._idle.values(), 1)])):
                    await self._changed.wait()

    def _expire_idle(self) -> list[bytes]:
        """The channels to give back now."""
        now = _now()
        expired = []
        for name in [name for name, until in self._idle.items() if until <= now]:
            channel = self._channels[name]
            if channel.live.is_set():
                self._drop(channel)
                expired.append(name)
            else:
                # Its confirmation is under way, and must not be taken for that of a later subscription.
                del self._idle[name]
                self._idle[name] = now + self._patience.confirm
        return expired

    def _log_outage(self, errors: BaseExceptionGroup[Exception]) -> None:
        if not self._outage_logged:
            self._outage_logged = True
            _log.warning("pubsub_lost", error=_cause(errors))

    def _log_garbage(self, channel: Channel[Any], error: codec.NotAnEvent) -> None:
        self._garbage += 1
        now = _now()
        if self._garbage_logged is None or now - self._garbage_logged >= _GARBAGE_LOGGED_EVERY:
            _log.warning("pubsub_garbage", channel=channel.name.decode(), problem=str(error), ignored=self._garbage)
            self._garbage, self._garbage_logged = 0, now


def _cause(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _now() -> float:
    return asyncio.get_running_loop().time()
