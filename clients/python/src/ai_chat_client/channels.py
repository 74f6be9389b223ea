"""One grpc.aio channel per event loop: a channel works only in the loop that made it."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc.aio
from aichat.session.v1 import session_service_pb2_grpc as api_grpc

from ai_chat_client.connection import Connection
from ai_chat_client.errors import closed

if TYPE_CHECKING:
    from aichat.session.v1.session_service_pb2_grpc import SessionServiceAsyncStub


class Channels:
    """The channels of one async client, made when a loop first calls."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: dict[asyncio.AbstractEventLoop, tuple[grpc.aio.Channel, SessionServiceAsyncStub]] = {}
        self._closed = False

    def stub(self) -> "SessionServiceAsyncStub":
        """The stub of the running loop's channel. ClosedError after `close`."""
        if self._closed:
            raise closed()
        loop = asyncio.get_running_loop()
        entry = self._open.get(loop)
        if entry is None:
            # A loop that was closed took its channel with it; without this, each asyncio.run would leave one behind.
            self._open = {other: kept for other, kept in self._open.items() if not other.is_closed()}
            channel = self._channel()
            entry = channel, api_grpc.SessionServiceStub(channel)
            self._open[loop] = entry
        return entry[1]

    async def close(self) -> None:
        """Closes the channels of all loops that still run; calls in flight are cancelled."""
        self._closed = True
        here = asyncio.get_running_loop()
        for loop, (channel, _) in self._open.items():
            if loop is here:
                await channel.close()
            elif loop.is_running():
                # RuntimeError: it stopped in this very moment, and its channel with it.
                with contextlib.suppress(RuntimeError):
                    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(channel.close(), loop))
        self._open.clear()

    def _channel(self) -> grpc.aio.Channel:
        options = self._connection.channel_options
        credentials = self._connection.credentials
        if credentials is None:
            return grpc.aio.insecure_channel(self._connection.endpoint.target, options=options)
        return grpc.aio.secure_channel(self._connection.endpoint.target, credentials, options=options)
