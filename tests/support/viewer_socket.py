"""A viewer's end of the wire, without a network: a transport whose peer reads when the test says so."""

import asyncio
from collections.abc import Callable

from stream_gateway.viewer import Viewer


class Socket(asyncio.Transport):
    """Takes what is written; after `fill` keeps it back, as a socket does whose peer does not read, until `drain`.

    `frames`: everything that arrived, cut at the blank lines, without what HTTP puts around it. `writes`: in how many
    calls it was written.
    """

    def __init__(self, on_body: Callable[[bytes], None] = lambda _: None) -> None:
        super().__init__()
        self._on_body = on_body
        self.ended = False
        self.writes = 0
        self.aborted = False
        self.viewer: Viewer | None = None
        self._full = False
        self._unsent = b""
        self._begun = False
        self._closing = False
        self._body = b""

    def fill(self) -> None:
        """From now on nothing is read."""
        self._full = True

    def drain(self, *, piece: bool = False) -> None:
        """Everything is read, and what comes after it; `piece`: but not the latter."""
        self._full = piece
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self._receive(unsent)
            if self.viewer is not None and not self._closing:
                self.viewer.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Takes bytes; once the socket is full, tells the viewer."""
        self.writes += 1
        if not self._full:
            self._receive(bytes(data))
            return
        was_empty = not self._unsent
        self._unsent += data
        if was_empty and self.viewer is not None:
            self.viewer.pause_writing()

    def get_write_buffer_size(self) -> int:
        """How much waits for the peer to read."""
        return len(self._unsent)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Any is too much."""

    def is_closing(self) -> bool:
        """Whether the viewer has closed the connection."""
        return self._closing

    def close(self) -> None:
        """The viewer says that nothing more will come."""
        self._closing = True

    def abort(self) -> None:
        """The viewer drops the connection."""
        self.aborted = self._closing = True

    @property
    def frames(self) -> list[bytes]:
        """Everything received, cut at the blank lines."""
        return [frame for frame in self._body.split(b"\n\n") if frame]

    def _receive(self, data: bytes) -> None:
        """Takes off what HTTP puts around the body: each write holds whole chunks, the first after the head."""
        if not self._begun:
            _, _, data = data.partition(b"\r\n\r\n")
            self._begun = True
        while data:
            size, _, data = data.partition(b"\r\n")
            length = int(size, 16)
            self.ended = length == 0
            piece, data = data[:length], data[length + 2 :]
            self._body += piece
            self._on_body(piece)


def opened() -> tuple[Viewer, Socket]:
    """A viewer whose body has begun."""
    socket = Socket()
    viewer = Viewer()
    socket.viewer = viewer
    viewer.open(socket, b"HTTP/1.1 200 OK\r\n\r\n", b"retry: 1\n\n")
    return viewer, socket
