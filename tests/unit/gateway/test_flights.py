"""What several want at one time is done once, and not at all when nobody wants it any more."""

import asyncio

import pytest
from stream_gateway.flights import Flights


class Work:
    """Takes until `done`; counts how often it was begun and broken off."""

    def __init__(self) -> None:
        self.begun = 0
        self.broken_off = 0
        self.done = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        return self.begun


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_who_want_the_same_at_one_time_share_it_and_later_ones_do_not() -> None:
    flights, work = Flights[int](), Work()
    waiting = [asyncio.create_task(flights.once("a", work)) for _ in range(5)]
    await settled()
    work.done.set()

    assert await asyncio.gather(*waiting) == [1] * 5
    assert await flights.once("a", work) == 2


async def test_different_things_are_done_each() -> None:
    flights, work = Flights[int](), Work()
    work.done.set()

    await asyncio.gather(flights.once("a", work), flights.once("b", work))

    assert work.begun == 2


async def test_one_who_leaves_costs_the_others_nothing() -> None:
    flights, work = Flights[int](), Work()
    leaving, staying = (asyncio.create_task(flights.once("a", work)) for _ in range(2))
    await settled()
    leaving.cancel()
    await settled()
    work.done.set()

    assert await staying == 1
    assert work.broken_off == 0


async def test_when_all_have_left_the_work_is_broken_off_and_begun_anew_for_whoever_comes() -> None:
    flights, work = Flights[int](), Work()
    leaving = [asyncio.create_task(flights.once("a", work)) for _ in range(3)]
    await settled()
    for task in leaving:
        task.cancel()
    await settled()
    assert work.broken_off == 1

    work.done.set()
    assert await flights.once("a", work) == 2


async def test_all_are_told_that_it_failed() -> None:
    flights = Flights[int]()

    async def fail() -> int:
        raise ValueError("no")

    for outcome in await asyncio.gather(*(flights.once("a", fail) for _ in range(3)), return_exceptions=True):
        assert isinstance(outcome, ValueError)
    with pytest.raises(ValueError, match="no"):
        await flights.once("a", fail)
