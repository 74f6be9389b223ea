"""One viewer's socket, and what all viewers share: the pieces of streams that were looked at already."""

import contextlib
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.fanout.ledger import Ledger
from bench.fanout.marks import Marks, find

READ_BYTES: Final = 256 * 1024
_END_OF_EVENT: Final = b"\n\n"
_ENDS: Final = (_END_OF_EVENT, _END_OF_EVENT + b"\r\n")
"""Of a piece that ends with an event: alone, or as the last of an HTTP chunk, whose framing is of no interest here."""
_ID: Final = re.compile(rb"^id: ?([^\r\n]+)", re.MULTILINE)
_KNOWN_PIECES: Final = 2000
_KNOWN_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """What is of interest in whole events: their marks, and the last `id:`, empty if there was none."""

    marks: Sequence[Marks]
    last_id: bytes


class Pieces:
    """Looks at pieces of streams; at equal ones, which a thousand viewers read one after another, only once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Piece] = {}
        self._bytes = 0

    def look(self, data: bytes) -> Piece:
        """What is in whole events."""
        piece = self._known.get(data)
        if piece is None:
            if len(self._known) >= _KNOWN_PIECES or self._bytes > _KNOWN_BYTES:
                self._known.clear()
                self._bytes = 0
            ids = _ID.findall(data)
            piece = self._known[data] = Piece(find(data), ids[-1] if ids else b"")
            self._bytes += len(data)
        return piece


class ViewerSocket:
    """A stream that is read as a browser would, but for what the events say."""

    __slots__ = (
        "_address",
        "_request",
        "_rest",
        "is_back",
        "is_open",
        "last_id",
        "ledger",
        "number",
        "session",
        "socket",
    )

    def __init__(self, number: int, session: int, address: tuple[str, int], request: bytes) -> None:
        self.number = number
        self.session = session
        self.ledger = Ledger(0)
        self._address = address
        self._request = request
        self.last_id = b""
        self.is_back = True
        """False from a rejoin until it has been told something again."""
        self.connect()

    def connect(self) -> None:
        """Connects, for the first time or again; `is_open` once the first of the stream has come."""
        self._rest = b""
        self.is_open = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(self._address)

    def ask(self) -> None:
        """Sends the request, and where to go on from, once the socket is connected. Raises OSError when it is not."""
        resume = b"Last-Event-ID: %b\r\n\r\n" % self.last_id if self.last_id else b"\r\n"
        self.socket.send(self._request + resume)

    def read(self) -> bytes | None:
        """What has come, up to the end of the last whole event; None when the server has closed the stream."""
        data = self.socket.recv(READ_BYTES)
        if not data:
            return None
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if data.endswith(_ENDS):
            return data
        end = data.rfind(_END_OF_EVENT) + len(_END_OF_EVENT)
        if end < len(_END_OF_EVENT):
            self._rest = data
            return b""
        self._rest = data[end:]
        return data[:end]
