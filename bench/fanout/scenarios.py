"""What viewers watch and how often it happens, with every contender in turn, and all of it several times."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.fanout.contenders import Contender, contenders, installed
from bench.fanout.results import Idle, Sample
from bench.fanout.rounds import Rounds
from bench.fanout.stage import Stage, stage

IDLE_SESSIONS: Final = 500
IDLE_VIEWERS: Final = 10
_IDLE_SETTLE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Rate:
    """So many events a second over all sessions, for so many seconds."""

    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many sessions with so many viewers each, and the rates at which something happens.

    saturation  the rate that nobody keeps up with, the last of `rates`; 0: there is none
    """

    name: str
    sessions: int
    viewers: int
    rates: Sequence[Rate]
    saturation: int = 0


ONE: Final = Scenario(
    "1 session, 1000 viewers",
    1,
    1000,
    (Rate(20, 1.0), Rate(50, 1.0), Rate(100, 1.0), Rate(200, 0.7), Rate(500, 0.4), Rate(1000, 0.3), Rate(4000, 0.15)),
    4000,
)
MANY: Final = Scenario(
    "200 sessions, 5 viewers each",
    200,
    5,
    (Rate(20, 2.0), Rate(50, 1.0), Rate(100, 1.0), Rate(200, 1.0), Rate(500, 0.8), Rate(1000, 0.6), Rate(20_000, 0.3)),
    20_000,
)
REPLIES: Final = Scenario("100 replies, 10 viewers each", 100, 10, (Rate(6000, 1.0),))
FAN_OUT: Final = (ONE, MANY, REPLIES)


def fan_out(scenario: Scenario, rounds: Rounds) -> Iterator[Sample]:
    """Every rate with every contender, each round."""
    with stage() as at_work, contenders(installed(), scenario.sessions) as field:
        for contender in field:
            at_work.seat(contender, contender.topics, scenario.viewers)
        for number in rounds:
            for rate in scenario.rates:
                events = math.ceil(rate.events * rate.seconds)
                for contender in _turned(field, number):
                    yield at_work.run(scenario.name, contender, each=scenario.viewers, rate=rate.events, events=events)


def idle(rounds: Rounds) -> Iterator[Idle]:
    """What memory viewers cost to whom nothing happens: opened on a fresh server that has served one before."""
    with stage() as at_work:
        for _ in rounds:
            with contenders(installed(), IDLE_SESSIONS) as field:
                for contender in field:
                    yield _idle(at_work, contender)


def _idle(at_work: Stage, contender: Contender) -> Idle:
    at_work.seat(contender, contender.topics[:1], 1)
    at_work.empty(contender)
    before = contender.memory_bytes()
    at_work.seat(contender, contender.topics, IDLE_VIEWERS)
    time.sleep(_IDLE_SETTLE_SECONDS)
    viewers = len(contender.topics) * IDLE_VIEWERS
    found = Idle(contender.name, viewers, (contender.memory_bytes() - before) / viewers)
    at_work.empty(contender)
    return found


def _turned(field: Sequence[Contender], by: int) -> Sequence[Contender]:
    """Another one begins each round."""
    by %= len(field)
    return [*field[by:], *field[:by]]
