"""An audience: told at once what cannot wait, and together what can."""

import asyncio
import json

from stream_gateway.audience import Audience
from stream_gateway.budget import Budget
from stream_gateway.events import compose, parse
from stream_gateway.feed import Feed, Urgency
from stream_gateway.history import Snapshot
from stream_gateway.pace import Pace
from stream_gateway.position import Position
from support.event_stream import EventStream
from support.viewer_socket import Socket, opened

HEAD = Position("m3abcd0000", 1)
LONG_SECONDS = 3600.0


class Even(Pace):
    """The same interval, however late the loop is; by default nothing that can wait goes while a test runs."""

    def __init__(self, seconds: float = LONG_SECONDS) -> None:
        super().__init__()
        self.interval = seconds

    def observe(self, late: float) -> None:
        del late


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time is set."""

    now = 100.0

    def time(self) -> float:
        """What it is said to be."""
        return self.now


class Scene:
    """A feed, and one viewer of it."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.feed = Feed(Budget(), self._tell)
        self.audience = Audience(self.feed.ring, pace or Even())
        viewer, self.socket = opened()
        viewer.follow(self.feed.ring)
        self.audience.viewers.add(viewer)
        self.feed.begin(HEAD, Snapshot(HEAD))

    def _tell(self, urgency: Urgency) -> None:
        self.audience.tell(urgency)

    async def hear(self, kind: str, **payload: object) -> None:
        """Something happens, and the loop turns."""
        event = parse(compose(kind, json.dumps(payload), 1, HEAD))
        assert event
        assert self.feed.take(event)
        await self.turn()

    async def turn(self) -> None:
        """The loop turns."""
        for _ in range(3):
            await asyncio.sleep(0)


def seen(socket: Socket) -> list[tuple[str, object]]:
    """Type and text of what has come."""
    events = [event.json() for event in EventStream().feed(b"\n\n".join([*socket.frames, b""]))]
    return [(event["type"], event["payload"].get("content")) for event in events]


async def test_the_first_chunk_leaves_at_once_and_later_ones_wait_for_one_another() -> None:
    scene = Scene()
    await scene.hear("start", replyId="r")
    await scene.hear("chunk", content="one ", replyId="r", **{"from": 0, "to": 1})
    assert seen(scene.socket) == [("start", None), ("chunk", "one ")]

    await scene.hear("chunk", content="two ", replyId="r", **{"from": 1, "to": 2})
    await scene.hear("chunk", content="three", replyId="r", **{"from": 2, "to": 3})
    assert len(seen(scene.socket)) == 2
    writes = scene.socket.writes

    await scene.hear("complete", replyId="r")
    assert seen(scene.socket)[2:] == [("chunk", "two three"), ("complete", None)]
    assert scene.socket.writes == writes + 1


def test_what_is_late_once_makes_nothing_late_that_follows() -> None:
    clock = Clock()

    async def late_once() -> None:
        scene = Scene(Even(1.0))
        await scene.hear("start", replyId="r")
        await scene.hear("chunk", content="0", replyId="r", **{"from": 0, "to": 1})
        await scene.hear("chunk", content="1", replyId="r", **{"from": 1, "to": 2})
        clock.now = 101.75  # Three quarters of a second late.
        await scene.hear("chunk", content="2", replyId="r", **{"from": 2, "to": 3})
        assert seen(scene.socket)[2:] == [("chunk", "12")]

        await scene.hear("chunk", content="3", replyId="r", **{"from": 3, "to": 4})
        assert len(seen(scene.socket)) == 3
        clock.now = 102.0
        await scene.turn()
        assert seen(scene.socket)[3:] == [("chunk", "3")]

    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        runner.run(late_once())


async def test_merged_chunks_keep_their_place_between_parts() -> None:
    scene = Scene()
    await scene.hear("start", replyId="r")
    await scene.hear("chunk", content="a", replyId="r", **{"from": 0, "to": 1})
    await scene.hear("chunk", content="b", replyId="r", **{"from": 1, "to": 2})
    await scene.hear("chunk", content="c", replyId="r", **{"from": 2, "to": 3})
    await scene.hear("part", type="tool", data={"n": 1}, replyId="r", **{"from": 3, "to": 4})
    await scene.hear("chunk", content="d", replyId="r", **{"from": 4, "to": 5})
    await scene.hear("complete", replyId="r")

    events = [event.json()["payload"] for event in EventStream().feed(b"\n\n".join([*scene.socket.frames, b""]))]
    assert [(event["from"], event["to"]) for event in events if "from" in event] == [(0, 1), (1, 3), (3, 4), (4, 5)]


async def test_so_much_at_once_that_some_would_be_dropped_is_written_before_it_is() -> None:
    scene = Scene()
    text = "x" * 200_000
    for number in range(2, 42):
        event = parse(compose("user", json.dumps({"sequence": number, "id": "", "content": text}), 1, HEAD.at(number)))
        assert event
        assert scene.feed.take(event)
    for _ in range(3):
        await asyncio.sleep(0)

    assert [kind for kind, _ in seen(scene.socket)] == ["user"] * 40
