"""What the gateway itself has to tell a viewer, as frames."""

import random

from stream_gateway import sse
from stream_gateway.events import compose, now_ms


def status(state: str) -> bytes:
    """How the gateway fares: `live`, `lost`; or `signed-out`: the viewer's token is no longer good."""
    return sse.encode(compose("status", f'{{"state":"{state}"}}', now_ms()))


def goodbye() -> bytes:
    """The last frame of a stream that should come again: after how long, not all at once."""
    return sse.opening(random.randint(500, 5000))  # noqa: S311 - Spreads load only.
