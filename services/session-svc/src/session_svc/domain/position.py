"""Position: which log, and how far."""

import re
from dataclasses import dataclass
from typing import Final, Self

DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
SALT_LENGTH: Final = 4

_EPOCH: Final = r"[0-9a-z]{5,24}"
_POSITION: Final = re.compile(rf"({_EPOCH})\.(0|[1-9][0-9]{{0,15}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Position:
    """`<epoch>.<sequence>`: the place of a message, or the head of a session.

    epoch     which log: new whenever the session is created, cleared, shortened or recreated.
    sequence  the message's place, from 1; 0 before the first.
    """

    epoch: str
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads a position; None when `text` is none, so that the caller decides what garbage means."""
        match = _POSITION.fullmatch(text)
        return cls(match[1], int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.epoch}.{self.sequence}"


def next_epoch(now_ms: int, salt: str, last: str = "") -> str:
    """An epoch greater than `last`: server milliseconds in base 36, then 4 random [0-9a-z].

    Epochs of equal length order as text, and their length does not change before the year 2059.
    """
    try:
        last_ms = int(last[:-SALT_LENGTH], 36)
    except ValueError:
        last_ms = 0
    return base36(max(now_ms, last_ms + 1)) + salt


def base36(number: int) -> str:
    """`number`, not negative, in base 36."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits or "0"
