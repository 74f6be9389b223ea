"""A connection to Redis on which many callers share one pipeline.

redis-py gives each command a connection of its own and several coroutines; at one script a call that costs more
than the call itself. Here a command is packed at once, everything that was asked for in one turn of the event
loop leaves in one write, and the answers, which come in order, wake their callers. redis-py still reads the URL
and builds the TLS context.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import hiredis
from redis.asyncio.connection import SSLConnection, parse_url

from session_svc.domain.errors import StoreUnavailable

COMMAND_SECONDS: Final = 5.0
"""How long a command may go unanswered before the connection counts as dead."""
CONNECT_SECONDS: Final = 5.0
GATHER_SECONDS: Final = 0.0005
"""How long commands are gathered while others are unanswered. Redis is busy with those, so nobody waits longer."""
MAX_PENDING: Final = 20_000
MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024

Answer = Any
"""What Redis answers: str, int, None, or a list of them. Bytes that are no UTF-8 come as U+FFFD."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Redis is, taken from a redis://, rediss:// or unix:// URL."""

    host: str
    port: int
    path: str | None
    database: int
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Reads the URL; raises ValueError when it is none."""
        options: dict[str, Any] = dict(parse_url(url))
        connection_class = options.pop("connection_class", None)
        tls = None
        if connection_class is SSLConnection:
            tls = SSLConnection(**options).ssl_context.get()
        return cls(
            host=options.get("host", "localhost"),
            port=options.get("port", 6379),
            path=options.get("path"),
            database=options.get("db", 0),
            username=options.get("username"),
            password=options.get("password"),
            tls=tls,
        )

    def handshake(self) -> list[tuple[str | int, ...]]:
        """The commands that make a fresh connection ready."""
        commands: list[tuple[str | int, ...]] = []
        if self.password is not None:
            commands.append(("AUTH", *([self.username] if self.username else []), self.password))
        if self.database:
            commands.append(("SELECT", self.database))
        commands.append(("CLIENT", "SETNAME", "session-svc"))
        return commands


class Connection(asyncio.Protocol):
    """One connection. Every future it hands out ends: with the answer, or with StoreUnavailable."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._pending: deque[tuple[asyncio.Future[Answer], float]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._flushing: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """Connects and makes ready. Raises OSError, TimeoutError or hiredis.ReplyError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            if endpoint.path:
                _, connection = await loop.create_unix_connection(cls, endpoint.path)
            else:
                _, connection = await loop.create_connection(cls, endpoint.host, endpoint.port, ssl=endpoint.tls)
        try:
            for command in endpoint.handshake():
                await connection.send(command)
        except BaseException:
            connection.abort()
            raise
        return connection

    def send(self, command: tuple[str | int, ...]) -> asyncio.Future[Answer]:
        """Sends a command at the end of this turn of the loop, or, while Redis works on others, with the next ones.

        The future may raise hiredis.ReplyError.

        Raises StoreUnavailable when the connection is closed or too much is waiting already.
        """
        transport = self._transport
        if transport is None:
            raise StoreUnavailable
        if len(self._pending) >= MAX_PENDING or transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise StoreUnavailable("the store is too far behind")
        if not self._unsent:
            if self._pending:
                self._flushing = self._loop.call_later(GATHER_SECONDS, self._flush)
            else:
                self._loop.call_soon(self._flush)
        self._unsent.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # Its stub allows only tuples of one.
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._pending.append((future, self._loop.time()))
        return future

    def abort(self) -> None:
        """Closes at once; what is unanswered ends with StoreUnavailable."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # Of a stream; uvloop's is no subclass.
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            # The reader says False where it has no whole answer yet; no command of ours is answered with False.
            while (reply := self._reader.gets()) is not False:
                future, _ = self._pending.popleft()
                if not future.done():
                    if isinstance(reply, hiredis.ReplyError):
                        future.set_exception(reply)
                    else:
                        future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.abort()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # Every loss is one to its callers.
        self._transport = None
        if self._watchdog is not None:
            self._watchdog.cancel()
        for future, _ in self._pending:
            if not future.done():
                future.set_exception(StoreUnavailable("the connection to the store was lost"))
                future.exception()  # Seen: its caller may have gone.
        self._pending.clear()
        self._unsent.clear()
        self.closed.set()

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._transport is not None and self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def _watch(self) -> None:
        """Closes the connection when the oldest command has waited too long: one timer, not one a command."""
        now = self._loop.time()
        if self._pending and now - self._pending[0][1] > COMMAND_SECONDS:
            self.abort()
            return
        self._watchdog = self._loop.call_later(COMMAND_SECONDS / 10, self._watch)
