"""HTTP/2 by hand, for clients that do what no library does: begin and not go on, take no answer, send nonsense."""

import re
import socket
import struct
from typing import Final, Self

from google.protobuf.message import Message

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE = 0, 1, 3, 4, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PING: Final = 6
INITIAL_WINDOW_SIZE: Final = 4
PLENTY: Final = 2**30
_STATUS: Final = re.compile(rb"grpc-status[\x01\x02](\d+)")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that HPACK keeps in no table."""
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def _length(size: int) -> bytes:
    if size < 127:
        return bytes((size,))
    rest, coded = size - 127, bytearray((127,))
    while rest >= 128:
        coded.append(rest % 128 | 128)
        rest //= 128
    return bytes((*coded, rest))


def call_headers(method: str = "AppendMessages", *more: tuple[bytes, bytes]) -> bytes:
    path = (method if method.startswith("/") else f"/aichat.session.v1.SessionService/{method}").encode()
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    ]
    return b"".join(literal(name, value) for name, value in fields)


def message(request: Message) -> bytes:
    """A request as it stands in DATA frames."""
    data = request.SerializeToString()
    return b"\x00" + struct.pack(">I", len(data)) + data


class Raw:
    """A connection on which anything can be sent. It answers pings, whatever else it leaves undone."""

    def __init__(self, address: str, *, window: int | None = None) -> None:
        """`window`: how many bytes of each answer it has room for; None: as is usual."""
        host, _, port = address.rpartition(":")
        settings = b"" if window is None else struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def call(self, method: str, request: Message | None, stream: int = 1) -> None:
        """Makes a call; without `request`, only its headers."""
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, call_headers(method)))
        if request is not None:
            self.socket.sendall(frame(DATA, END_STREAM, stream, message(request)))

    def make_room(self, stream: int = 1) -> None:
        """Takes all that is left of the answers."""
        room = struct.pack(">I", PLENTY)
        self.socket.sendall(frame(WINDOW_UPDATE, 0, 0, room) + frame(WINDOW_UPDATE, 0, stream, room))

    def until_ended(self, stream: int = 1) -> tuple[int, int]:
        """Reads until the call is over; how many bytes of answers came, and its gRPC status."""
        size = 0
        while True:
            kind, flags, of, payload = self._frame()
            if kind == PING and not flags & ACK:
                self.socket.sendall(frame(PING, ACK, 0, payload))
            elif of == stream and kind == DATA:
                size += len(payload)
            elif of == stream and kind == HEADERS and flags & END_STREAM:
                found = _STATUS.search(payload)
                assert found, payload
                return size, int(found[1])

    def until_begun(self, stream: int = 1) -> bool:
        """Reads until the answer's first headers have come; whether more is to come."""
        while True:
            kind, flags, of, payload = self._frame()
            if kind == PING and not flags & ACK:
                self.socket.sendall(frame(PING, ACK, 0, payload))
            elif of == stream and kind == HEADERS:
                return not flags & END_STREAM

    def is_hung_up_on(self) -> bool:
        """Whether the server closes it instead of answering with its settings."""
        try:
            return not self.socket.recv(1)
        except ConnectionError:
            return True

    def _frame(self) -> tuple[int, int, int, bytes]:
        head = self._exactly(9)
        return head[3], head[4], int.from_bytes(head[5:9]), self._exactly(int.from_bytes(head[:3]))

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError("the server has hung up")
            data += part
        return bytes(data)
