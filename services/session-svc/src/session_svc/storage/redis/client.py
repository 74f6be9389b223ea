"""The client of Redis: stays connected, runs scripts, says plainly when it cannot."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

import hiredis
import structlog

from session_svc.domain.errors import SessionServiceError, StoreUnavailable
from session_svc.domain.position import SALT_LENGTH
from session_svc.entropy import jitter, random_digits
from session_svc.storage.redis import failures, server
from session_svc.storage.redis.connection import Answer, Connection, Endpoint
from session_svc.storage.redis.scripts import Script, load

RECONNECT_MAX_SECONDS: Final = 2.0
REFUSALS: Final = frozenset(
    {"OOM", "MISCONF", "READONLY", "LOADING", "BUSY", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN"}
)
"""The first words of Redis's errors that pass once it is well again. It has then written nothing."""

_log = structlog.get_logger()


Took = Callable[[str, float], None]


class RedisClient:
    """Runs scripts on one pipelined connection, which it renews when it is lost.

    Nothing is ever sent twice: a command whose answer was lost ends with StoreUnavailable, and only its caller,
    who has a request id, can know whether to repeat it.
    """

    def __init__(self, url: str, default_ttl_ms: int | None, took: Took) -> None:
        """`took` is told of every script: its name, and how many seconds passed until its answer."""
        self._took = took
        self._endpoint = Endpoint.parse(url)
        self._default_ttl = "" if default_ttl_ms is None else default_ttl_ms
        self._sources = load()
        self._connection: Connection | None = None
        self._reached_at = 0.0

    @property
    def reachable_ms(self) -> int:
        """For how long the store has been in reach; 0 while it is not."""
        if self._connection is None:
            return 0
        return int((asyncio.get_running_loop().time() - self._reached_at) * 1000)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Keeps connected while entered. Waits for the first attempt, not for its success.

        Raises server.Unsupported when the server cannot be used at all.
        """
        try:
            await self._connect()
        except _FAILURES as error:
            _log.warning("store_unavailable", problem=str(error) or type(error).__name__)
        keeper = asyncio.create_task(self._keep_connected())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            if self._connection is not None:
                self._connection.abort()
                await self._connection.closed.wait()

    async def run(self, script: Script, name: str, *arguments: str | int) -> list[Answer]:
        """Runs a script that is about one session; returns what it returns after 'OK'.

        Raises what the script's reason stands for, or StoreUnavailable.
        """
        reply = await self._evaluate(script, (name, *arguments))
        if reply[0] != "OK":
            raise failures.error(name, reply)
        return reply

    async def run_listing(self, script: Script, *arguments: str | int) -> list[Answer]:
        """Runs a script that is about the list of sessions; as `run`."""
        reply = await self._evaluate(script, arguments)
        if reply[0] != "OK":
            raise failures.error("", reply)
        return reply

    async def command(self, *command: str | int) -> Answer:
        """Runs one command. Raises StoreUnavailable; hiredis.ReplyError for what is a mistake of ours."""
        if self._connection is None:
            raise StoreUnavailable
        try:
            return await self._connection.send(command)
        except hiredis.ReplyError as error:
            raise _translated(error) from error

    async def _evaluate(self, script: Script, arguments: tuple[str | int, ...]) -> list[Answer]:
        connection = self._connection
        if connection is None:
            raise StoreUnavailable
        command = ("EVALSHA", self._sources[script].sha, 0, random_digits(SALT_LENGTH), self._default_ttl, *arguments)
        began = perf_counter()
        try:
            reply: list[Answer] = await connection.send(command)
        except hiredis.ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise _translated(error) from error
            # Somebody flushed the scripts; this one did not run.
            await self.command("SCRIPT", "LOAD", self._sources[script].text)
            reply = await self.command(*command)
        finally:
            self._took(script, perf_counter() - began)
        return reply

    async def _connect(self) -> None:
        connection = await Connection.open(self._endpoint)
        try:
            await server.inspect(connection)
            for source in self._sources.values():
                await connection.send(("SCRIPT", "LOAD", source.text))
        except BaseException:
            connection.abort()
            raise
        self._connection = connection
        self._reached_at = asyncio.get_running_loop().time()

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            if self._connection is not None:
                await self._connection.closed.wait()
                self._connection = None
                attempt = 0
                _log.warning("store_lost")
            try:
                await self._connect()
                _log.info("store_regained")
            except (*_FAILURES, server.Unsupported) as error:
                if attempt in {0, 5} or attempt % 60 == 0:
                    _log.warning("store_unavailable", problem=str(error) or type(error).__name__)
                ceiling = min(RECONNECT_MAX_SECONDS, 0.05 * 2**attempt)
                attempt = min(attempt + 1, 1000)
                await asyncio.sleep(jitter(ceiling))


_FAILURES: Final = (OSError, TimeoutError, hiredis.ReplyError, StoreUnavailable)


def _translated(error: hiredis.ReplyError) -> SessionServiceError | hiredis.ReplyError:
    if str(error).split(" ", 1)[0] in REFUSALS:
        return StoreUnavailable(f"the store refuses: {error}")
    return error
