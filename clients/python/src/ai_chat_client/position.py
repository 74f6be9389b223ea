"""A position taken apart; the API promises its form, `<epoch>.<sequence>`."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Position:
    """`epoch`: which log. `sequence`: how many messages of it have been seen."""

    epoch: str
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for "" (no session, no messages) and for what has another form."""
        epoch, _, sequence = text.rpartition(".")
        return cls(epoch, int(sequence)) if epoch and sequence.isascii() and sequence.isdigit() else None

    def __str__(self) -> str:
        return f"{self.epoch}.{self.sequence}"
