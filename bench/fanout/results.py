"""What was found out: every sample of every run, their medians, and a file to keep them in."""

import datetime as dt
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from pydantic import TypeAdapter

FILE: Final = Path(__file__).parents[2] / ".data" / "fan-out.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one contender.

    scenario        who watches what
    rate            events published a second, over all sessions
    per_cpu_second  events told to viewers for each second of processor time
    p50, p99        milliseconds from the moment an event was due until a viewer had read it
    offered         events that there were to tell, over all viewers
    missing         of those, how many no viewer had been told some seconds after the last was published
    doubled         events told again
    busy            the share of a processor that the viewers took: near 1 they, not the server, are measured
    back            milliseconds until the last of those who rejoined was told something again; 0 where nobody did
    """

    scenario: str
    rate: int
    contender: str
    per_cpu_second: float
    p50: float
    p99: float
    offered: int
    missing: int
    doubled: int
    busy: float
    back: float = 0.0


@dataclass(frozen=True, slots=True)
class Idle:
    """What one idle viewer costs a contender, in bytes; `viewers` were open."""

    contender: str
    viewers: int
    bytes_each: float


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Medians in microseconds.

    delta            from `write` in a Python client until a browser's socket has the token, as shipped
    without_fsync    the same with a Redis that does not sync before it answers
    asyncio_publish  a PUBLISH by redis-py until redis-py has it, both on asyncio: what Python programs pay
    raw_publish      a PUBLISH written to a socket until another socket has it: what Redis itself takes
    """

    delta: float
    without_fsync: float
    asyncio_publish: float
    raw_publish: float


@dataclass(frozen=True, slots=True)
class Burst:
    """A reply whose tokens come faster than the store answers: how many, and the scripts that Redis ran for it."""

    tokens: int
    scripts: int
    seconds: float


@dataclass(slots=True)
class Results:
    """One whole measurement."""

    machine: str
    taken: str
    commit: str
    samples: list[Sample] = field(default_factory=list)
    idle: list[Idle] = field(default_factory=list)
    first_token: list[FirstToken] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)

    def of(self, scenario: str, rate: int, contender: str) -> list[Sample]:
        """The samples of one scenario, rate and contender."""
        return [
            sample
            for sample in self.samples
            if (sample.scenario, sample.rate, sample.contender) == (scenario, rate, contender)
        ]

    def rates(self, scenario: str) -> list[int]:
        """The rates measured of a scenario, ascending."""
        return sorted({sample.rate for sample in self.samples if sample.scenario == scenario})

    def contenders(self, scenario: str) -> list[str]:
        """Who was measured in a scenario, in the order of the runs."""
        return list(dict.fromkeys(sample.contender for sample in self.samples if sample.scenario == scenario))

    def idle_bytes(self, contender: str) -> float | None:
        """The median cost of an idle viewer; None when it was not measured."""
        found = [each.bytes_each for each in self.idle if each.contender == contender]
        return median(found) if found else None


def middle(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """The median of a value over samples."""
    return median(map(value, samples))


def empty() -> Results:
    """Results of this machine, now, with nothing in them yet."""
    return Results(_machine(), dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"), _commit())


def save(results: Results, path: Path = FILE) -> None:
    """Keeps results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(TypeAdapter(Results).dump_json(results, indent=1))


def load(path: Path = FILE) -> Results:
    """Kept results. Raises FileNotFoundError when nothing has been measured here."""
    return TypeAdapter(Results).validate_json(path.read_bytes())


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, Python {platform.python_version()}"


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=FILE.parents[1]
    )
    return asked.stdout.strip() or "unknown"
