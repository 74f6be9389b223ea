"""How long the later chunks of a reply may wait for one another, so that many become one write."""

from typing import Final

SHORTEST_SECONDS: Final = 0.02
LONGEST_SECONDS: Final = 0.1
LAG_FACTOR: Final = 4.0
FADING: Final = 0.9
UNNOTICED_SECONDS: Final = 0.005
"""Timers of the loop are not more exact than this while it has nothing to do."""


class Pace:
    """The interval between two writes of one reply: 20 ms, and up to 100 ms while the loop is late."""

    def __init__(self) -> None:
        self.interval = SHORTEST_SECONDS
        self._lag = 0.0

    def observe(self, late: float) -> None:
        """Takes in for how many seconds something waited after it was due."""
        self._lag = max(late, self._lag * FADING)
        stretched = LAG_FACTOR * self._lag if self._lag > UNNOTICED_SECONDS else 0.0
        self.interval = min(LONGEST_SECONDS, max(SHORTEST_SECONDS, stretched))
