"""Calls, as many in flight as asked for, and what they cost a server."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.processes import Server

WARM_UP_ROUNDS: Final = 1


@dataclass(frozen=True, slots=True)
class Load:
    """What is done to `server`: `call` gets the number of the caller, from 0."""

    server: Server
    call: Callable[[int], Awaitable[object]]


async def cpu_microseconds(loads: Mapping[str, Load], *, rounds: int, calls: int, in_flight: int) -> dict[str, float]:
    """The median processor time of one call to each server.

    Rounds are interleaved, so that whatever else the machine does disturbs all alike.
    """
    costs: dict[str, list[float]] = {name: [] for name in loads}
    for number in range(WARM_UP_ROUNDS + rounds):
        for name, load in loads.items():
            before = load.server.cpu_seconds()
            await _run(load.call, calls, in_flight)
            if number >= WARM_UP_ROUNDS:
                costs[name].append((load.server.cpu_seconds() - before) / calls * 1e6)
    return {name: median(values) for name, values in costs.items()}


async def _run(call: Callable[[int], Awaitable[object]], calls: int, in_flight: int) -> None:
    left = iter(range(calls))

    async def caller(number: int) -> None:
        for _ in left:
            await call(number)

    async with asyncio.TaskGroup() as callers:
        for number in range(in_flight):
            callers.create_task(caller(number))
