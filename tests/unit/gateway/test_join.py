"""Whoever joins, leaves and comes back, at whatever moment, sees every message and every chunk once and in order."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_gateway import joining, ring, seats, viewer
from stream_gateway.budget import PROCESS_BYTES, Budget
from stream_gateway.history import History
from stream_gateway.hub import Hub
from stream_gateway.joining import Start
from stream_gateway.owed import Owed
from stream_gateway.position import ABSENT, Position
from stream_gateway.reach import EVENTS, Reach
from stream_gateway.tasks import Tasks
from unit.gateway.model import Server, wander
from unit.gateway.model_page import Page

DEADLINE_SECONDS = 20.0
TINY_BYTES = 3000
"""Of all rings and replies together: viewers fall off, and texts are let go of. Of what is owed: some are let go."""

STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6)),
    st.tuples(st.sampled_from(["clear", "delete", "rename", "cut", "mend", "wait", "lose"]), st.just(0)),
    st.tuples(st.just("truncate"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["begin", "begin", "finish"]), st.just(0)),
    st.tuples(st.just("write"), st.integers(1, 8)),
    st.tuples(st.just("write"), st.integers(1, 8)),
    st.tuples(st.sampled_from(["join", "open", "close", "stall"]), st.integers(0, 2)),
)
DICE = st.integers(0, 2**32).map(random.Random)
CAREFUL = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(CAREFUL, max_examples=250)
@given(st.lists(STEPS, min_size=3, max_size=40), DICE)
def test_every_message_and_chunk_is_seen_once_and_in_order(steps: list[tuple[str, int]], dice: random.Random) -> None:
    asyncio.run(play(steps, dice, PROCESS_BYTES))


@settings(CAREFUL, max_examples=120)
@given(st.lists(STEPS, min_size=3, max_size=40), DICE)
def test_so_it_is_where_nearly_nothing_can_be_remembered(steps: list[tuple[str, int]], dice: random.Random) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # As much smaller as what is said here is: frames go in pieces, a page is more than is told at once.
        patch.setattr(viewer, "PIECE_BYTES", 50)
        patch.setattr(ring, "BATCH_BYTES", 100)
        patch.setattr(joining, "PORTION_BYTES", 300)
        patch.setattr(seats, "LENIENT_SECONDS", 0.0)
        asyncio.run(play(steps, dice, TINY_BYTES))


@settings(CAREFUL, max_examples=100)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), DICE)
def test_whoever_comes_between_any_two_chunks_sees_the_whole_reply(sizes: list[int], dice: random.Random) -> None:
    steps = [("append", 1), ("join", 0), ("begin", 0)]
    for number, size in enumerate(sizes):
        steps += [("write", size), ("join", 10 + number), ("open", 10 + dice.randrange(number + 1))]
        steps += [("lose", 0), ("wait", 0)] if dice.random() < 0.2 else []
    asyncio.run(play([*steps, ("finish", 0)] if dice.random() < 0.5 else steps, dice, PROCESS_BYTES))


async def play(steps: list[tuple[str, int]], dice: random.Random, memory: int) -> None:
    server = Server(dice)
    owed = Owed(memory)
    reach = Reach([EVENTS])
    hub = Hub(server, History(server, owed), reach, linger=0.0, tick=0.01, budget=Budget(memory), owed=owed)
    audience = Audience(server, hub, dice)
    running = asyncio.create_task(hub.run())
    try:
        for step, number in steps:
            match step:
                case "append" | "truncate" | "write":
                    getattr(server, step)(number)
                case "join" | "open" | "close" | "stall":
                    getattr(audience, step)(number)
                case "wait":
                    await asyncio.sleep(0.02)
                case _:
                    getattr(server, step)()
            await wander(dice)
        server.mend()
        server.write(1)  # What was lost before shows at the next chunk.
        await audience.agree()
        assert owed.used == 0
    finally:
        await audience.leave()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Audience:
    """The pages that look at the session."""

    def __init__(self, server: Server, hub: Hub, dice: random.Random) -> None:
        self._server = server
        self._hub = hub
        self._dice = dice
        self._tasks = Tasks()
        self._pages: dict[int, Page] = {}
        self._failures: list[BaseException] = []

    def join(self, number: int) -> None:
        """Somebody comes: with what there is, with nothing, or with a Last-Event-ID that is of no use."""
        self.close(number)
        page = self._pages[number] = Page(self._server, self._hub, self._tasks, self._failures)
        page.open(self._dice.choice([None, None, ABSENT, Start.UNKNOWN, Position("zzzzzzzzzz", 7)]))

    def open(self, number: int) -> None:
        self.close(number)
        if number in self._pages:
            self._pages[number].open()

    def close(self, number: int) -> None:
        if number in self._pages:
            self._pages[number].close()

    def stall(self, number: int) -> None:
        if number in self._pages:
            self._pages[number].stall(self._dice)

    async def leave(self) -> None:
        for number in self._pages:
            self.close(number)
        await self._tasks.close()

    async def agree(self) -> None:
        """Brings back whoever is away; returns once all show what there is."""
        for page in self._pages.values():
            page.socket.drain()
            if not page.is_there:
                page.open()
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while not all(page.agrees for page in self._pages.values()) and not self._failures:
            late = f"{self._pages} do not show {self._server.session}"
            assert asyncio.get_running_loop().time() < deadline, late
            await asyncio.sleep(0.005)
            for page in self._pages.values():
                if not page.is_there:
                    page.open()  # It was disconnected, being too slow.
        if self._failures:
            raise self._failures[0]
