"""How often something is measured, within the time that there is."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rounds:
    """At most `most` rounds, and no further one that would probably take longer than `seconds` in all allow."""

    most: int
    seconds: float
    clock: Callable[[], float] = time.monotonic

    def __iter__(self) -> Iterator[int]:
        """The numbers of the rounds, the first always; a round lasts from its number to the next."""
        began = self.clock()
        longest = 0.0
        for number in range(self.most):
            start = self.clock()
            if number and start - began + longest > self.seconds:
                return
            yield number
            longest = max(longest, self.clock() - start)
