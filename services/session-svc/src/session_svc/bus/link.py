"""One connection to Redis in subscriber mode."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Self

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError

CHANNELS_PER_COMMAND: Final = 500
"""So many channels are named in one command: the server answers each, and others wait meanwhile."""


class Frame(NamedTuple):
    """What the server says: `message`, `subscribe`, `unsubscribe` or `pong`, of which channel, and the event
    (or how many channels there are)."""

    kind: bytes
    channel: bytes = b""
    data: bytes | int = b""


class Link:
    """Written to by one task and read by one other.

    This is redis-py's connection without its PubSub: that one opens a second connection when two tasks
    subscribe at once, and asks for a pong without ever missing it.
    """

    def __init__(self, connection: AbstractConnection, within: float) -> None:
        self._connection = connection
        self._within = within

    @classmethod
    async def open(cls, url: str, *, within: float) -> Self:
        """Connects `within` seconds, which are then the limit of every sending too. Raises RedisError, OSError."""
        pool = ConnectionPool.from_url(url)
        settings = {
            **pool.connection_kwargs,
            # RESP2 frames every push as a plain array; nothing but pushes ever comes here.
            "protocol": 2,
            "decode_responses": False,
            "health_check_interval": 0,
            # The limits are set here: redis-py's asyncio.wait_for, before Python 3.12, swallows a cancellation that
            # comes when what it waits for is just done.
            "socket_timeout": None,
            "socket_connect_timeout": None,
        }
        connection = pool.connection_class(**settings)
        try:
            async with asyncio.timeout(within):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has not annotated it.
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return cls(connection, within)

    async def subscribe(self, channels: Sequence[bytes]) -> None:
        """Asks for channels; each is confirmed by a `subscribe` frame."""
        await self._name(b"SUBSCRIBE", channels)

    async def unsubscribe(self, channels: Sequence[bytes]) -> None:
        """Gives channels back."""
        await self._name(b"UNSUBSCRIBE", channels)

    async def ping(self) -> None:
        """Asks for a `pong` frame."""
        await self._send(b"PING")

    async def frames(self) -> AsyncIterator[Frame]:
        """What comes, for ever. Raises RedisError, OSError when the connection ends."""
        while True:
            # inf: silence is judged by whoever sends the pings, not by a timer for each read.
            answer = await self._connection.read_response(disable_decoding=True, timeout=math.inf)
            if answer == b"PONG":
                # As the server says it while there is no subscription at all.
                yield Frame(b"pong")
            elif isinstance(answer, list):
                yield Frame(*answer)
            else:
                raise RedisConnectionError("the server sent what no subscriber asked for")

    async def close(self) -> None:
        """Closes the connection without a word."""
        await self._connection.disconnect(nowait=True)

    async def _name(self, command: bytes, channels: Sequence[bytes]) -> None:
        for start in range(0, len(channels), CHANNELS_PER_COMMAND):
            await self._send(command, *channels[start : start + CHANNELS_PER_COMMAND])

    async def _send(self, *command: bytes) -> None:
        async with asyncio.timeout(self._within):
            await self._connection.send_command(*command)
