"""Watching a session across broken streams."""

import asyncio
from collections import deque

import pytest
from ai_chat_client import AsyncClient, Backoff, Client, RetryPolicy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .scripted import serving
from .world import OPS, Op, Stream, Viewer, World

AT_ONCE = RetryPolicy(backoff=Backoff(initial=0.0))
STORY: tuple[Op, ...] = (
    "append", "append2", "start", "chunk", "chunk", "append", "chunk", "finish", "start", "chunk", "finish empty",
    "start", "chunk", "finish", "clear", "append2", "append2", "truncate", "append", "start", "chunk",
    "clear", "append",
)  # fmt: skip

streams = st.builds(Stream, missed_ops=st.integers(0, 4), cut_after=st.one_of(st.none(), st.integers(0, 6)))


async def view(world: World, *, tail: int | None = None) -> Viewer:
    """What a client believes that watches the world until its end."""
    viewer = Viewer()
    after = "" if tail is None else None
    async with serving(WatchSession=world.watch) as server, AsyncClient(server, policy=AT_ONCE) as client:
        async for event in client.watch_session("s", after_position=after, tail=tail):
            viewer.see(event)
    return viewer


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ops=st.lists(st.sampled_from(OPS), max_size=25),
    streams=st.lists(streams, max_size=6),
    replay_positions_are_the_head=st.booleans(),
    tail=st.one_of(st.none(), st.integers(0, 3)),
)
def test_whatever_happens_and_wherever_streams_break_nothing_is_missed_or_seen_twice(
    ops: list[Op], streams: list[Stream], replay_positions_are_the_head: bool, tail: int | None
) -> None:
    world = World(deque(ops), deque(streams), replay_positions_are_the_head)
    viewer = asyncio.run(view(world, tail=tail))
    assert viewer.deleted
    assert viewer.reply == world.reply
    if viewer.reply is not None:
        assert viewer.text == "".join(world.chunks)
    if tail is None:
        assert viewer.messages == world.messages
    else:
        assert viewer.messages == world.messages[len(world.messages) - len(viewer.messages) :]


@pytest.mark.parametrize("missed_ops", [0, 1, 3])
async def test_a_stream_cut_after_each_of_its_events_goes_on_where_it_was(missed_ops: int) -> None:
    for cut in range(len(STORY) + 8):
        world = World(deque(STORY), deque([Stream(cut_after=cut), Stream(missed_ops=missed_ops)]))
        viewer = await view(world)
        assert viewer.messages == world.messages, f"cut after {cut}"
        assert viewer.reply is None


async def test_the_blocking_client_resumes_likewise() -> None:
    world = World(deque(STORY), deque([Stream(cut_after=5), Stream(missed_ops=2, cut_after=3), Stream(missed_ops=3)]))
    viewer = Viewer()

    def watch(server: str) -> None:
        with Client(server, policy=AT_ONCE) as client:
            for event in client.watch_session("s", after_position=""):
                viewer.see(event)

    async with serving(WatchSession=world.watch) as server:
        await asyncio.to_thread(watch, server)
    assert viewer.deleted
    assert viewer.messages == world.messages
