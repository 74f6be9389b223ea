"""Server-sent events: from objects to the bytes that browsers read.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from typing import Final

HEARTBEAT: Final = b":\n\n"
"""A comment: keeps the connection, and whatever is between, awake."""

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


def encode(data: bytes, event_id: str | None = None) -> bytes:
    """One unnamed event. `data`: JSON in UTF-8, line ends allowed. `event_id`: where to resume from after it."""
    head = f"id: {event_id}\n".encode() if event_id else b""
    lines = data if b"\n" not in data and b"\r" not in data else b"\ndata: ".join(_LINE_END.split(data))
    return b"%bdata: %b\n\n" % (head, lines)


def opening(retry_ms: int, event_id: str | None = None) -> bytes:
    """The first frame of a stream: how long to wait before reconnecting, and where from."""
    return f"retry: {retry_ms}\n{f'id: {event_id}' + chr(10) if event_id else ''}\n".encode()


def mark(event_id: str) -> bytes:
    """No event, only the place from which to resume."""
    return f"id: {event_id}\n\n".encode()
