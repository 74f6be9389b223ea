"""The whole measurement, one part after the other, each reported as soon as it is known."""

import asyncio
import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from bench.fanout import burst, first_token, nginx, replying, scenarios, table
from bench.fanout.contenders import NCHAN, apart, installed
from bench.fanout.results import Results
from bench.fanout.rounds import Rounds

IDLE: Final = "idle viewers"
BURSTS: Final = 3
SECONDS: Final = {
    scenarios.ONE.name: 190.0,
    scenarios.MANY.name: 120.0,
    scenarios.REPLIES.name: 35.0,
    replying.REJOIN: 70.0,
    replying.END_TO_END: 30.0,
    IDLE: 60.0,
}
"""How long each part may take: on a machine that does other work there are fewer rounds instead of a longer wait."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How often each part is done, at most; `tokens` first tokens are sent."""

    rounds: int
    tokens: int

    def of(self, part: str) -> Rounds:
        """The rounds of a part."""
        return Rounds(self.rounds, SECONDS[part])


FULL: Final = Plan(rounds=5, tokens=100)
QUICK: Final = Plan(rounds=1, tokens=20)

T = TypeVar("T")
Say = Callable[[str], None]


def measure(plan: Plan, results: Results, say: Say) -> None:
    """Everything, into `results`; `say` is told what is found."""
    _allow_many_files()
    if NCHAN not in installed():
        say(f"nginx with nchan is not installed ({nginx.REMEDY}): measured without it\n")
    _one_reply(plan, results, say)
    with apart():
        for scenario in scenarios.FAN_OUT:
            _collect(scenarios.fan_out(scenario, plan.of(scenario.name)), results.samples, scenario.name, say)
            say(table.fan_out(results, scenario) + "\n")
        _collect(replying.rejoin(plan.of(replying.REJOIN)), results.samples, replying.REJOIN, say)
        _collect(replying.end_to_end(plan.of(replying.END_TO_END)), results.samples, replying.END_TO_END, say)
        say(table.replying(results) + "\n")
        _collect(scenarios.idle(plan.of(IDLE)), results.idle, IDLE, say)
        say(table.idle(results) + "\n")


def _one_reply(plan: Plan, results: Results, say: Say) -> None:
    results.first_token.append(asyncio.run(first_token.measure(plan.tokens)))
    results.bursts += [asyncio.run(burst.measure()) for _ in range(BURSTS)]
    say(table.one_reply(results) + "\n")


def _collect(found: Iterable[T], into: list[T], what: str, say: Say) -> None:
    began = time.monotonic()
    into += found
    say(f"{what}: {time.monotonic() - began:.0f} s")


def _allow_many_files() -> None:
    """Thousands of streams are open on both sides; what this process may open, its children may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
