"""The HTTP server: uvicorn, with its signals left to us and a way to drop a connection."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from aichat_runtime.address import Address
from uvicorn import Config, Server

from stream_gateway.arrivals import Arrivals
from stream_gateway.http.edge import App
from stream_gateway.protocol import GatewayProtocol

BACKLOG: Final = 2048
CLOSE_SECONDS: Final = 5
"""How long requests in flight may take once the streams have been drained."""
STUCK_SECONDS: Final = 60
"""After how long a connection whose peer takes nothing is dropped."""
UNSENT_BYTES: Final = 128 * 1024
"""What may wait in the kernel until a peer has room for it: without a bound it is megabytes for each that is slow."""
KEEP_ALIVE_SECONDS: Final = 75
DATE_SECONDS: Final = 1.0


class GatewayServer(Server):
    """Serves `app` on a socket until it is told to `leave`; `on_started` is called once it accepts connections.

    `tls`: the context of encrypted connections; None: they are not.
    """

    def __init__(self, app: App, on_started: Callable[[], None], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(
            Config(
                app,
                http=GatewayProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                # Nothing of one request's context, its token least of all, may reach the next on its connection.
                reset_contextvars=True,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=CLOSE_SECONDS,
            )
        )
        self._on_started = on_started
        self._tls = tls
        self._leaving = asyncio.Event()
        # What it has to say that matters, the edge says too, with the request's id.
        logging.getLogger("uvicorn").setLevel(logging.ERROR)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone: the process drains before the server stops."""
        yield

    def leave(self) -> None:
        """Has `serve` return, once the requests in flight are answered."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Keeps the Date header right. Uvicorn's own looks ten times a second whether to exit: awake for nothing."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_SECONDS):
                    await self._leaving.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections."""
        if self._tls is None:
            await super().startup(sockets)
        else:
            arrivals = [self._arrivals(listener, self._tls) for listener in sockets or ()]
            self.servers = arrivals  # type: ignore[assignment]  # Uvicorn closes them, and asks nothing else of them.
            self.started = True
        self._on_started()

    def _arrivals(self, listener: socket.socket, tls: ssl.SSLContext) -> Arrivals:
        serve = partial(GatewayProtocol, self.config, self.server_state, self.lifespan.state)
        return Arrivals(listener, tls, serve, self.server_state.connections)


def listen(address: Address) -> socket.socket:
    """A listening socket. Raises OSError when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    # The connections that it accepts inherit these.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_SECONDS * 1000)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    return listener
