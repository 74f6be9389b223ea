"""Waiting for a condition, never for luck."""

import time
from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 0.02
STALL_SECONDS: Final = 20.0
"""What a machine may stall: allowed on top of what is promised. What is late for another reason has to be later."""
PATIENCE_SECONDS: Final = 60.0
"""How long to wait for what must come. CI's cores are shared, and a machine that stalls for a while is no failure."""


def until(condition: Callable[[], object], *, timeout: float = PATIENCE_SECONDS, what: str = "the condition") -> None:
    """Returns once `condition()` is true; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} was not met within {timeout:g} s"
        time.sleep(PAUSE_SECONDS)
