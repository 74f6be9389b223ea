"""What Prometheus is told of the calls, and of the store's part in them.

Counted in plain numbers on the event loop, and turned into samples when somebody asks: a call then costs one
bisection and three additions.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import grpc
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds in seconds."""


class Durations:
    """How long something took."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Counts one more."""
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class MethodMetrics:
    """One method's numbers."""

    __slots__ = ("durations", "open", "statuses")

    def __init__(self) -> None:
        self.durations = Durations()
        self.statuses: dict[grpc.StatusCode, int] = {}
        self.open = 0

    def ended(self, status: grpc.StatusCode, seconds: float) -> None:
        """Counts one call that took `seconds`."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.durations.add(seconds)


class CallMetrics(Collector):
    """The numbers of every method; register it with a Prometheus registry."""

    def __init__(self) -> None:
        self._methods: dict[str, MethodMetrics] = {}

    def method(self, name: str) -> MethodMetrics:
        """The numbers of the method called `name`."""
        return self._methods.setdefault(name, MethodMetrics())

    def collect(self) -> Iterator[Metric]:
        """The samples, as they are now."""
        calls = CounterMetricFamily("session_svc_calls", "Calls that have ended.", labels=["method", "status"])
        seconds = HistogramMetricFamily("session_svc_call_seconds", "How long calls took.", labels=["method"])
        is_open = GaugeMetricFamily("session_svc_open_calls", "Calls under way.", labels=["method"])
        for name, method in self._methods.items():
            for status, count in list(method.statuses.items()):
                calls.add_metric([name, status.name], count)
            seconds.add_metric([name], _cumulative(method.durations.buckets), method.durations.seconds)
            is_open.add_metric([name], method.open)
        yield from (calls, seconds, is_open)


class StoreMetrics(Collector):
    """How long the store took, by what it did; register it with a Prometheus registry."""

    def __init__(self) -> None:
        self._steps: dict[str, Durations] = {}

    def took(self, step: str, seconds: float) -> None:
        """Counts one answer of the store, for better or worse."""
        durations = self._steps.get(step)
        if durations is None:
            durations = self._steps[step] = Durations()
        durations.add(seconds)

    def collect(self) -> Iterator[Metric]:
        """The samples, as they are now."""
        text = "How long the store took to answer, waiting for others before included."
        seconds = HistogramMetricFamily("session_svc_store_seconds", text, labels=["step"])
        for step, durations in list(self._steps.items()):
            seconds.add_metric([step], _cumulative(durations.buckets), durations.seconds)
        yield seconds


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    total = 0
    result: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
        total += count
        result.append((bound, total))
    return result
