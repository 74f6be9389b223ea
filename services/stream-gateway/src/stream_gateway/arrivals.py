"""Connections that are to be encrypted: counted from the first moment, and not given for ever to come to that."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Collection
from typing import Final

import structlog

from stream_gateway.protocol import GatewayProtocol, open_place

HANDSHAKE_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 1.0
"""After how long it accepts again where it could not, as when no descriptor is left."""

log = structlog.get_logger(__name__)


class Arrivals:
    """Accepts connections, and gives each a protocol once it is encrypted. Closed as a loop's own server is.

    Those tell of a connection only once it is encrypted: until then it would be counted by nobody, with tens of KiB for
    each that is opened and left alone.
    """

    def __init__(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext,
        serve: Callable[[], GatewayProtocol],
        connections: Collection[object],
    ) -> None:
        """`connections`: those that are encrypted."""
        listener.setblocking(False)
        self._listener = listener
        self._tls = tls
        self._serve = serve
        self._connections = connections
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def close(self) -> None:
        """Accepts no more, and drops those that are not encrypted yet."""
        for task in (self._accepting, *self._handshakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Returns once it is closed. Raises what went wrong."""
        await asyncio.wait((self._accepting, *self._handshakes))
        if not self._accepting.cancelled():
            self._accepting.result()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, client = await loop.sock_accept(self._listener)
            except OSError as error:
                log.warning("cannot_accept", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            place = open_place(client, len(self._connections) + len(self._handshakes) + 1)
            if place is None:
                connection.close()
                continue
            http = self._serve()
            http.take_place(place)
            task = loop.create_task(self._encrypt(connection, http))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _encrypt(self, connection: socket.socket, http: GatewayProtocol) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: http, connection, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError:  # No TLS, or none in time.
            http.leave_place()
        except BaseException:
            http.leave_place()
            raise
