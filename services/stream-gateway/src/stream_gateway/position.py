"""Position: which log of a session, and how far."""

import re
from dataclasses import dataclass
from typing import Final, Self

_POSITION: Final = re.compile(r"([0-9a-z]{5,24})\.(0|[1-9][0-9]{0,15})", re.ASCII)
_ABSENT_TEXT: Final = "0.0"


@dataclass(frozen=True, slots=True)
class Position:
    """`<epoch>.<sequence>`: the place of a message, or the head of a session.

    epoch     which log; a later one is greater (see `is_newer`).
    sequence  the message's place, from 1; 0 before the first.
    """

    epoch: str
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads a position; None when `text` is none."""
        if text == _ABSENT_TEXT:
            return cls("", 0)
        match = _POSITION.fullmatch(text)
        return cls(match[1], int(match[2])) if match else None

    @property
    def is_absent(self) -> bool:
        """Whether it is the position of a session that does not exist."""
        return not self.epoch

    def at(self, sequence: int) -> "Position":
        """The position of another message of the same log."""
        return Position(self.epoch, sequence)

    def __str__(self) -> str:
        return f"{self.epoch}.{self.sequence}" if self.epoch else _ABSENT_TEXT


ABSENT: Final = Position("", 0)
"""Where a viewer of a session that does not exist is: before the first message of whatever log comes."""


def is_newer(epoch: str, than: str) -> bool:
    """Whether `epoch` began later: epochs are milliseconds in base 36 and a salt, so longer ones are later too."""
    return (len(epoch), epoch) > (len(than), than)
