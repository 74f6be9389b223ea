"""What the fan-out is meant to reach, and whether it does."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.fanout.contenders import GATEWAY, NCHAN
from bench.fanout.results import Results, middle
from bench.fanout.scenarios import FAN_OUT, Scenario
from bench.fanout.table import advantage

EVENTS_PER_CPU_SECOND: Final = 1.0
AT_SATURATION: Final = 2.0
FIRST_TOKEN: Final = 3.0
SCRIPTS: Final = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: what is asked for, what was found, and whether that will do."""

    what: str
    target: str
    found: str
    is_met: bool


def verdicts(results: Results) -> list[Verdict]:
    """All targets for which there are figures."""
    found = [verdict for scenario in FAN_OUT for verdict in _against_nchan(results, scenario)]
    found += [*_memory(results), *_one_reply(results)]
    faults = sum(sample.missing + sample.doubled for sample in results.samples if sample.contender == GATEWAY)
    found.append(Verdict("events missing or doubled, all runs of stream-gateway", "0", str(faults), faults == 0))
    return found


def _against_nchan(results: Results, scenario: Scenario) -> Iterator[Verdict]:
    if NCHAN not in results.contenders(scenario.name):
        return
    for rate in results.rates(scenario.name):
        saturated = rate == scenario.saturation
        target = AT_SATURATION if saturated else EVENTS_PER_CPU_SECOND
        ratio = advantage(results, scenario.name, rate)
        what = f"{scenario.name}, {rate} events/s{' (saturation)' if saturated else ''}"
        yield Verdict(f"{what}: events per CPU-second / nchan's", f"{target:.1f}", f"{ratio:.2f}", ratio >= target)
        ours, theirs = (
            middle(results.of(scenario.name, rate, name), lambda sample: sample.p99) for name in (GATEWAY, NCHAN)
        )
        yield Verdict(f"{what}: p99 / nchan's", "1.0", f"{ours / theirs:.2f}", ours <= theirs)


def _memory(results: Results) -> Iterator[Verdict]:
    ours, theirs = results.idle_bytes(GATEWAY), results.idle_bytes(NCHAN)
    if ours is not None and theirs is not None:
        yield Verdict("memory of an idle viewer / nchan's", "1.0", f"{ours / theirs:.2f}", ours <= theirs)


def _one_reply(results: Results) -> Iterator[Verdict]:
    if results.first_token:
        ratio = median(each.delta / each.asyncio_publish for each in results.first_token)
        yield Verdict("first token / redis-py's PUBLISH", f"{FIRST_TOKEN:.1f}", f"{ratio:.2f}", ratio <= FIRST_TOKEN)
        raw = median(each.delta / each.raw_publish for each in results.first_token)
        yield Verdict("first token / a plain socket's PUBLISH", f"{FIRST_TOKEN:.1f}", f"{raw:.2f}", raw <= FIRST_TOKEN)
    if results.bursts:
        scripts = median(each.scripts for each in results.bursts)
        yield Verdict("trips to Redis for 2000 tokens at once", str(SCRIPTS), f"{scripts:.0f}", scripts <= SCRIPTS)
