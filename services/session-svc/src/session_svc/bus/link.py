"""One connection to Redis in subscriber mode."""

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

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str, *, within: float) -> Self:
        """Connects, with every step done `within` seconds. Raises RedisError, OSError."""
        pool = ConnectionPool.from_url(url)
        settings = {
            **pool.connection_kwargs,
            # RESP2 frames every push as a plain array; nothing but pushes ever comes here.
            "protocol": 2,
            "decode_responses": False,
            "health_check_interval": 0,
            "socket_timeout": within,
            "socket_connect_timeout": within,
        }
        connection = pool.connection_class(**settings)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has not annotated it.
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return cls(connection)

    async def subscribe(self, channels: Sequence[bytes]) -> None:
        """Asks for channels; each is confirmed by a `subscribe` frame."""
        await self._send(b"SUBSCRIBE", channels)

    async def unsubscribe(self, channels: Sequence[bytes]) -> None:
        """Gives channels back."""
        await self._send(b"UNSUBSCRIBE", channels)

    async def ping(self) -> None:
        """Asks for a `pong` frame."""
        await self._connection.send_command(b"PING")

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

    async def _send(self, command: bytes, channels: Sequence[bytes]) -> None:
        for start in range(0, len(channels), CHANNELS_PER_COMMAND):
            await self._connection.send_command(command, *channels[start : start + CHANNELS_PER_COMMAND])
