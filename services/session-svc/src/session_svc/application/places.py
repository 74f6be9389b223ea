"""What callers say of positions."""

from typing import Final

from session_svc.domain.position import Position
from session_svc.storage.base import EMPTY, Expected

NOWHERE: Final = Position("-", 0)
"""Where no session ever is. A text that is no position is treated as one of another epoch, because positions
are opaque to clients: what does not match is a conflict, whatever it looks like."""


def expected(text: str | None) -> Expected:
    """Reads an expected_position: None when it is not set, EMPTY when it is set but empty."""
    if not text:
        return None if text is None else EMPTY
    return Position.parse(text) or NOWHERE
