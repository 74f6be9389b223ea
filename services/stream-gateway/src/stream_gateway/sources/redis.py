"""Events by Redis pub/sub: one connection for all subscriptions, one task that writes to it, one that reads."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from stream_gateway import metrics
from stream_gateway.sources.base import Listener, Source
from stream_gateway.sources.subscription import ConnectionLostError, Subscription

LIST_CHANNEL: Final = "ai-chat:sessions"
SESSION_PREFIX: Final = "ai-chat:stream:"
BATCH: Final = 500
CONNECT_SECONDS: Final = 5.0
PING_SECONDS: Final = 5.0
MAX_DELAY_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class RedisSource(Source):
    """Subscribes to `ai-chat:stream:<name>` for each session that is followed, and always to `ai-chat:sessions`.

    Sends SUBSCRIBE, UNSUBSCRIBE and PING, and nothing else that names a key or a channel.
    """

    def __init__(self, url: str) -> None:
        # Protocol 2: no HELLO is needed, and the server counts the connection as pub/sub. No timeout on the socket:
        # `Subscription` judges silence. No retries: a lost connection means lost events, which has to be told.
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._wanted: set[str] = {LIST_CHANNEL}
        self._asked: set[str] = set()
        self._sent: set[str] = set()
        self._unconfirmed: Counter[str] = Counter()
        self._live: dict[bytes, str] = {}
        """The sessions' names, by channels as Redis sends them."""
        self._changed = asyncio.Event()

    def follow(self, name: str) -> None:
        self._wanted.add(SESSION_PREFIX + name)
        self._asked.add(SESSION_PREFIX + name)
        self._changed.set()

    def unfollow(self, name: str) -> None:
        self._wanted.discard(SESSION_PREFIX + name)
        self._changed.set()

    async def run(self, listener: Listener) -> None:
        ceiling = 0.25
        try:
            while True:
                try:
                    await self._connected(listener)
                except* (RedisError, OSError, ConnectionLostError) as failures:
                    log.warning("redis_lost", error=str(failures.exceptions[0]))
                if self._live:
                    ceiling = 0.25
                self._forget()
                listener.source_down()
                await asyncio.sleep(random.uniform(0, ceiling))  # noqa: S311 - Spreads load only.
                ceiling = min(ceiling * 2, MAX_DELAY_SECONDS)
        finally:
            self._forget()

    async def _connected(self, listener: Listener) -> None:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it so.
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it so.
            subscription = Subscription(partial(self._take, listener))
            # redis-py sets a connection up: address, TLS, password. Its reading costs a task's turn and a timer for
            # each message, half of what a message to five viewers costs; so its socket gets a protocol of our own.
            transport: Any = connection._writer.transport  # type: ignore[union-attr]  # noqa: SLF001 - There is no other way.
            transport.set_protocol(subscription)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._write(connection, transport))
                both.create_task(subscription.listen())
        finally:
            await connection.disconnect(nowait=True)

    def _forget(self) -> None:
        self._sent.clear()
        self._unconfirmed.clear()
        self._live.clear()
        metrics.SUBSCRIPTIONS.set(0)

    async def _write(self, connection: AbstractConnection, transport: asyncio.WriteTransport) -> None:
        def send(command: str, channels: Sequence[str] = ()) -> None:
            transport.writelines(connection.pack_command(command, *channels))

        while True:
            self._changed.clear()
            self._announce(send, "UNSUBSCRIBE", list(self._sent - self._wanted))
            # Also what is subscribed already, when it was left and asked for again: the answer tells from when on.
            wanted = (self._wanted - self._sent) | (self._wanted & self._asked)
            self._asked.clear()
            self._announce(send, "SUBSCRIBE", list(wanted))
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                send("PING")

    def _announce(self, send: Callable[[str, Sequence[str]], None], command: str, channels: Sequence[str]) -> None:
        for first in range(0, len(channels), BATCH):
            batch = channels[first : first + BATCH]
            self._unconfirmed.update(batch)
            if command == "SUBSCRIBE":
                self._sent.update(batch)
            else:
                self._sent.difference_update(batch)
            send(command, batch)

    def _take(self, listener: Listener, push: list[Any]) -> None:
        kind = push[0]
        if kind == b"message":
            self._deliver(listener, push[1], push[2])
        elif kind in (b"subscribe", b"unsubscribe") and push[1] is not None:
            self._confirm(listener, push[1], live=kind == b"subscribe")

    def _deliver(self, listener: Listener, channel: bytes, data: bytes) -> None:
        name = self._live.get(channel)
        if name:
            listener.event(name, data)
        elif name is not None:
            listener.list_event(data)

    def _confirm(self, listener: Listener, address: bytes, *, live: bool) -> None:
        channel = address.decode(errors="replace")
        self._unconfirmed[channel] -= 1
        # Left and joined again within a moment: only the answer to the last command says how it stands.
        if self._unconfirmed[channel] > 0:
            return
        del self._unconfirmed[channel]
        if not live:
            self._live.pop(address, None)
        elif channel == LIST_CHANNEL:
            self._live[address] = ""
            listener.source_up()
        else:
            self._live[address] = channel.removeprefix(SESSION_PREFIX)
            listener.subscribed(self._live[address])
        metrics.SUBSCRIPTIONS.set(len(self._live))
