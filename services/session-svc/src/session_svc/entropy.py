"""The one door through which time and randomness enter."""

import secrets
import time
from collections.abc import Callable

from session_svc.domain.position import DIGITS

Clock = Callable[[], int]
"""Tells the time in ms since 1970."""

Digits = Callable[[int], str]
"""Gives so many random characters of [0-9a-z]."""

_random = secrets.SystemRandom()


def system_clock() -> int:
    """The machine's time in ms since 1970."""
    return time.time_ns() // 1_000_000


def random_digits(count: int) -> str:
    """`count` characters of [0-9a-z] that nobody can guess: one question to the machine, not one for each."""
    number = int.from_bytes(secrets.token_bytes(count))
    digits = ""
    for _ in range(count):
        number, digit = divmod(number, 36)
        digits += DIGITS[digit]
    return digits


def jitter(limit: float) -> float:
    """A number anywhere from 0 to `limit`, so that many who wait do not return at once."""
    return _random.uniform(0.0, limit)


def unique_id() -> str:
    """20 random hexadecimal digits: an id that nobody else generates."""
    return secrets.token_hex(10)
