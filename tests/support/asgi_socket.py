"""A viewer's end of the wire, without a network: what ASGI's `send` was given, and when it makes the writer wait."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from stream_gateway.viewer import Viewer


class Socket:
    """Takes what is sent; while `full`, makes the sender wait, as uvicorn does above its high-water mark."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = False
        self.aborted = False
        self._writable = asyncio.Event()
        self._writable.set()

    def fill(self) -> None:
        """From now on writing waits."""
        self._writable.clear()

    def drain(self) -> None:
        """Writing goes on."""
        self._writable.set()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's `send`."""
        if not self._writable.is_set():
            await self._writable.wait()
        if message["type"] == "http.response.body":
            self.received += message.get("body", b"")
            self.ended = not message.get("more_body", False)

    def abort(self) -> None:
        """What the server would do to the connection."""
        self.aborted = True

    @property
    def frames(self) -> list[bytes]:
        """Everything received, cut at the blank lines."""
        return [frame for frame in self.received.split(b"\n\n") if frame]


async def opened() -> tuple[Viewer, Socket]:
    """A viewer whose body has begun."""
    socket = Socket()
    viewer = Viewer(socket.send, socket.abort)
    await viewer.open([], b"retry: 1\n\n")
    return viewer, socket
