"""What a server costs: processor time and memory, as the kernel counts them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_NANOSECONDS: Final = 1_000_000_000
_USER, _SYSTEM = 11, 12
"""Of /proc/<pid>/stat, counted from what follows the name in brackets."""


def cpu_seconds(pids: Sequence[int]) -> float:
    """Processor time used so far, user and system, in all threads."""
    return sum(map(_cpu_seconds, pids))


def memory_bytes(pids: Sequence[int]) -> int:
    """Proportional set size: what processes share counts once."""
    return sum(map(_memory_bytes, pids))


def _cpu_seconds(pid: int) -> float:
    """By the scheduler's own count, in nanoseconds; without it from /proc/<pid>/stat, in hundredths of a second."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        counted = thread / "schedstat"
        if not counted.exists():
            return _cpu_seconds_in_ticks(pid)
        total += int(counted.read_text(encoding="ascii").split()[0])
    return total / _NANOSECONDS if total else _cpu_seconds_in_ticks(pid)


def _cpu_seconds_in_ticks(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS


def _memory_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/smaps_rollup has no Pss")
