"""Waiting for a condition, never for luck."""

import time
from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 0.02


def until(condition: Callable[[], object], *, timeout: float = 30.0, what: str = "the condition") -> None:
    """Returns once `condition()` is true; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} was not met within {timeout:g} s"
        time.sleep(PAUSE_SECONDS)
