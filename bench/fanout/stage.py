"""One run of one contender: replies begin, are published at a rate, and what viewers are told of them is counted."""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench.fanout.contenders import Contender
from bench.fanout.crowd import Crowd, crowd
from bench.fanout.crowd_process import Tally
from bench.fanout.marks import MICROSECONDS
from bench.fanout.publisher import Publisher, expected, publisher
from bench.fanout.publisher_process import Topic
from bench.fanout.results import Sample

PATIENCE_SECONDS: Final = 3.0
"""For so long after the last event has been published it is waited for."""
NOTED: Final = 200_000
"""More latencies than this are not noted; those of every so manieth viewer are."""
_PROBE_RATE: Final = 10_000
_PROBE_SECONDS: Final = 2.0
_PROBES: Final = 10
_SETTLE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Stage:
    """Viewers and a publisher, at work for one contender at a time."""

    crowd: Crowd
    publisher: Publisher
    runs: Iterator[int]

    def seat(self, contender: Contender, topics: Sequence[Topic], each: int) -> None:
        """Opens `each` streams a session, and returns when all of them are told what happens."""
        requests = [(number, contender.request(topic)) for number, topic in enumerate(topics) for _ in range(each)]
        self.crowd.open(contender.name, contender.server.address, requests)
        for _ in range(_PROBES):
            tally, _ = self.publish(contender, topics, rate=_PROBE_RATE, events=len(topics), seconds=_PROBE_SECONDS)
            if not tally.missing:
                return
        raise RuntimeError(f"some viewers of {contender.name} are told nothing")

    def empty(self, contender: Contender) -> None:
        """Closes the streams of a contender."""
        self.crowd.close(contender.name)

    def run(self, scenario: str, contender: Contender, *, each: int, rate: int, events: int) -> Sample:
        """Publishes and counts; viewers for whom too much came are seated anew."""
        stride = max(1, events * each // NOTED)
        tally, spent = self.publish(
            contender, contender.topics, rate=rate, events=events, stride=stride, seconds=PATIENCE_SECONDS
        )
        if tally.missing or tally.closed:
            self.empty(contender)
            self.seat(contender, contender.topics, each)
        return sample(scenario, rate, contender.name, tally, spent)

    def publish(
        self, contender: Contender, topics: Sequence[Topic], *, rate: int, events: int, seconds: float, stride: int = 1
    ) -> tuple[Tally, float]:
        """What was told, and the processor time that it took, without the beginning and the end of the replies."""
        run = next(self.runs)
        self.publisher.begin(contender.target, topics, run)
        time.sleep(_SETTLE_SECONDS)
        self.crowd.begin(contender.name, run, expected(events, len(topics)), stride=stride)
        before = contender.cpu_seconds()
        self.publisher.publish(contender.target, topics, run, rate=rate, events=events)
        tally = self.crowd.finish(seconds)
        spent = contender.cpu_seconds() - before
        self.publisher.end(contender.target, topics, run)
        return tally, spent


def sample(scenario: str, rate: int, contender: str, tally: Tally, spent: float) -> Sample:
    """What a run says, `spent` being the processor time of the server in seconds."""
    return Sample(
        scenario=scenario,
        rate=rate,
        contender=contender,
        per_cpu_second=tally.told / spent,
        p50=percentile(tally.latencies, 0.5) / 1000,
        p99=percentile(tally.latencies, 0.99) / 1000,
        offered=tally.told + tally.missing,
        missing=tally.missing,
        doubled=tally.doubled,
        busy=tally.busy,
        back=tally.returns[-1] / 1000 if tally.returns else 0.0,
    )


def percentile(ordered: Sequence[int], share: float) -> float:
    """The smallest latency that at least `share` of all do not exceed; of none, as long as was waited for any."""
    if not ordered:
        return PATIENCE_SECONDS * MICROSECONDS
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


@contextmanager
def stage() -> Iterator[Stage]:
    """The processes of a stage."""
    with crowd() as viewers, publisher() as presses:
        yield Stage(viewers, presses, itertools.count(1))
