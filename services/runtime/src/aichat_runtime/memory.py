"""How much memory the process has, may have, and whether that is too much."""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

import psutil

SHARE: Final = 0.75
"""Of the memory that there is: the rest is for what is not seen in time, and for others."""
MOST_BYTES: Final = 4 * 1024**3
"""More than this must be asked for."""
SAMPLE_SECONDS: Final = 0.1
GIVE_BACK_SECONDS: Final = 5.0
CGROUPS: Final = Path("/sys/fs/cgroup")
_LIMIT_FILES: Final = ("memory.max", "memory/memory.limit_in_bytes")


class MemoryGuard:
    """Tells when the process has more memory than it should, so that what is new can be refused while the rest goes on.

    What was freed counts until the operating system has it back, so while there is too much, it is given back at times.
    """

    def __init__(
        self,
        limit_bytes: int,
        *,
        resident: Callable[[], int] | None = None,
        give_back: Callable[[], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`limit_bytes` 0: never too much. `resident`: the bytes that the process has in memory."""
        self.limit = limit_bytes
        self._resident = resident or resident_bytes
        self._give_back = give_back or return_free_memory
        self._clock = clock
        self._due = 0.0
        self._given_back = -GIVE_BACK_SECONDS
        self._exceeded = False

    @property
    def exceeded(self) -> bool:
        """Whether there is too much. Costs no more than a look at the clock, but for one call in 100 ms."""
        if not self.limit:
            return False
        now = self._clock()
        if now >= self._due:
            self._due = now + SAMPLE_SECONDS
            with suppress(OSError):  # To look needs a descriptor; while none is free, what was last seen counts.
                self._exceeded = self._is_over(now)
        return self._exceeded

    def _is_over(self, now: float) -> bool:
        if self._resident() <= self.limit:
            return False
        if now - self._given_back < GIVE_BACK_SECONDS:
            return True
        self._given_back = now
        self._give_back()
        return self._resident() > self.limit


def resident_bytes() -> int:
    """What this process has in memory."""
    return int(_PROCESS.memory_info().rss)


def default_limit(cgroups: Path = CGROUPS) -> int:
    """What a process may have when nothing was said: a share of what its container, else the machine, has."""
    available = min([psutil.virtual_memory().total, *_container_limits(cgroups)])
    return min(MOST_BYTES, int(available * SHARE))


def return_free_memory() -> None:
    """Gives freed memory back to the operating system, where the C library keeps it and can be told."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def _container_limits(cgroups: Path) -> list[int]:
    """The limits of cgroup v2 or v1; where there is none, v2 has `max` and v1 a number beyond every machine."""
    limits = []
    for name in _LIMIT_FILES:
        try:
            limits.append(int((cgroups / name).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return limits


_PROCESS: Final = psutil.Process()
_malloc_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)  # Of glibc alone.
