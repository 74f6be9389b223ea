"""A connection to Redis that only listens: what it pushes is handed on as it comes, without a task between."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import hiredis

SILENCE_SECONDS: Final = 10.0
"""A connection on which not even a pong came for so long is dead, whatever the kernel thinks of it."""


class ConnectionLostError(Exception):
    """The connection is of no use any more."""


class Subscription(asyncio.Protocol):
    """The protocol of a connection that is set up: everything that arrives goes to `take(push)`, in order.

    A push is a list as Redis sends it: kind, channel, and what there is of it, as bytes.
    """

    def __init__(self, take: Callable[[list[Any]], None]) -> None:
        self._take = take
        self._reader = hiredis.Reader()
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._lost: asyncio.Future[None] = self._loop.create_future()

    async def listen(self) -> None:
        """Listens until the connection is lost, or silent for too long. Raises ConnectionLostError."""
        while not self._lost.done():
            left = self._heard + SILENCE_SECONDS - self._loop.time()
            if left <= 0:
                raise ConnectionLostError(f"Redis has been silent for {SILENCE_SECONDS:.0f} s")
            await asyncio.wait([self._lost], timeout=left)
        self._lost.result()

    def data_received(self, data: bytes) -> None:
        """Hands on what is complete."""
        self._heard = self._loop.time()
        self._reader.feed(data)
        try:
            while (push := self._reader.gets()) is not False:
                if isinstance(push, list):
                    self._take(push)
                elif isinstance(push, Exception):
                    raise push
        except hiredis.HiredisError as error:
            self._fail(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Says that it is over."""
        self._fail(str(exc or "Redis has closed the connection"))

    def _fail(self, why: str) -> None:
        if not self._lost.done():
            self._lost.set_exception(ConnectionLostError(why))
            self._lost.exception()  # Whoever listened may have been cancelled.
