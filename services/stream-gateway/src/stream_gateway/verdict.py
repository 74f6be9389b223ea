"""How an event relates to what is known."""

from enum import Enum, auto


class Verdict(Enum):
    """What is to be done with an event."""

    NEXT = auto()
    """Nothing is missing before it: publish it."""
    KNOWN = auto()
    """It is part of what is known, or of a log that has been given up: drop it."""
    HOLE = auto()
    """Something before it was missed: read the session."""
