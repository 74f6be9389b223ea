"""Measuring ends in time."""

from bench.fanout.rounds import Rounds


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lasting(seconds: float, *, within: float) -> int:
    """How many rounds of so many seconds there are."""
    clock = Clock()
    done = 0
    for _ in Rounds(5, within, clock):
        clock.now += seconds
        done += 1
    return done


def test_there_are_as_many_rounds_as_asked_for() -> None:
    assert lasting(1.0, within=60.0) == 5


def test_no_round_begins_that_would_end_too_late() -> None:
    assert lasting(20.0, within=60.0) == 3
    assert lasting(25.0, within=60.0) == 2


def test_one_round_there_always_is() -> None:
    assert lasting(500.0, within=60.0) == 1
