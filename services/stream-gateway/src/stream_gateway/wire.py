"""What HTTP/1.1 puts around the bytes of a stream: https://www.rfc-editor.org/rfc/rfc9112#section-7.1"""

from collections.abc import Iterable, Sequence
from typing import Final

LAST_CHUNK: Final = b"0\r\n\r\n"


def head(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Status line and headers of an answer 200 whose body is chunked, and whose connection ends with it."""
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 200 OK\r\n%btransfer-encoding: chunked\r\nconnection: close\r\n\r\n" % lines


def chunk(data: bytes) -> bytes:
    """A piece of the body, of at least one byte."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunk_of(parts: Sequence[memoryview]) -> bytes:
    """A piece of the body from its parts, copied once."""
    return b"".join((b"%x\r\n" % sum(map(len, parts)), *parts, b"\r\n"))
