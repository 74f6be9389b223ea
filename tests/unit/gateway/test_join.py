"""Whoever joins, leaves and comes back, at whatever moment, sees every message once and in order."""

import asyncio
import random
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_gateway.history import History
from stream_gateway.http.stream import Wish, join
from stream_gateway.hub import Hub
from stream_gateway.position import ABSENT, Position
from stream_gateway.reach import EVENTS, Reach
from stream_gateway.viewer import Viewer
from support.event_stream import EventStream
from unit.gateway.model import NAME, Server, wander

DEADLINE_SECONDS = 20.0


class Page:
    """A web page as the contract describes it: history first, then events; it checks each that comes."""

    def __init__(self, server: Server, hub: Hub, failures: list[BaseException]) -> None:
        self._failures = failures
        self._server = server
        self._hub = hub
        self._decoder = EventStream()
        self._viewer: Viewer | None = None
        self._joining: asyncio.Task[None] | None = None
        self._reload()

    def _reload(self) -> None:
        session = self._server.session
        self.at = self._server.head
        self.messages = list(session.messages) if session else []
        self._read_title()

    def _read_title(self) -> None:
        self.title = self._server.session.title if self._server.session else ""

    def open(self, *, from_first: bool = False) -> None:
        """Connects where it is; `from_first`: as one that has seen nothing and asks for all."""
        if from_first:
            self.at, self.messages = ABSENT, []
        self._decoder = EventStream()
        self._viewer = Viewer(self._send, self.close)
        self._hub.enter(self._viewer)
        self._joining = asyncio.create_task(self._join(self._viewer))
        self._joining.add_done_callback(self._joined)

    async def _join(self, viewer: Viewer) -> None:
        await join(self._hub, viewer, Wish(NAME, self.at), [])

    def _joined(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._failures.append(error)

    def close(self) -> None:
        """Loses the connection; what was seen stays."""
        if self._viewer and self._joining:
            self._joining.cancel()
            self._hub.leave(self._viewer)
            self._viewer = None

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._read_title()
        for event in self._decoder.feed(message.get("body", b"")):
            try:
                self._take(event.json(), event.id)
            except AssertionError as failure:
                self._failures.append(failure)

    def _take(self, event: dict[str, Any], event_id: str) -> None:
        position = Position.parse(event.get("position") or "") or ABSENT
        match event["type"]:
            case "user":
                if position.epoch == self.at.epoch and position.sequence <= self.at.sequence:
                    raise AssertionError(f"message {position} came twice, at {self.at}")
                expected = self.at.sequence + 1 if self.at.epoch else 1
                assert position.sequence == expected, f"message {position} came at {self.at}"
                assert position.epoch == self.at.epoch or self.at.is_absent, f"message {position} came at {self.at}"
                self.messages.append(event["payload"]["content"])
                self.at = position
            case "clear":
                self.messages, self.at = [], position
            case "truncate":
                keep = event["payload"]["keep"]
                assert keep <= len(self.messages), f"{keep} messages cannot be kept of {len(self.messages)}"
                self.messages, self.at = self.messages[:keep], position
            case "deleted":
                self.messages, self.title, self.at = [], "", ABSENT
            case "reset":
                self.messages = [*(self._server.session.messages if self._server.session else [])][: position.sequence]
                self._read_title()
                self.at = position
            case "updated":
                self.title = event["payload"].get("title", "")
        if event["type"] not in ("updated", "status"):
            assert event_id == str(self.at)

    def __repr__(self) -> str:
        return f"Page(at={self.at}, messages={self.messages}, title={self.title!r})"

    @property
    def agrees(self) -> bool:
        """Whether it shows what there is."""
        session, head = self._server.session, self._server.head
        # Before the first message of an empty session is where one is that has seen nothing of it.
        return (
            (self.at == head or (self.at.is_absent and head.sequence == 0))
            and self.messages == (session.messages if session else [])
            and (session is None or self.title == session.title)
        )


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6)),
    st.tuples(st.sampled_from(["clear", "delete", "rename", "cut", "mend", "wait"]), st.just(0)),
    st.tuples(st.just("truncate"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["join", "open", "close"]), st.integers(0, 2)),
)


@pytest.mark.timeout(300)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=3, max_size=40), st.randoms(use_true_random=False))
def test_every_message_is_seen_once_and_in_order(steps: list[tuple[str, int]], dice: random.Random) -> None:
    asyncio.run(play(steps, dice))


async def play(steps: list[tuple[str, int]], dice: random.Random) -> None:
    server = Server(dice)
    hub = Hub(server, History(server), Reach([EVENTS]), linger=0.0, tick=0.01)
    audience = Audience(server, hub, dice)
    running = asyncio.create_task(hub.run())
    try:
        for step, number in steps:
            match step:
                case "append" | "truncate":
                    getattr(server, step)(number)
                case "join" | "open" | "close":
                    getattr(audience, step)(number)
                case "wait":
                    await asyncio.sleep(0.02)
                case _:
                    getattr(server, step)()
            await wander(dice)
        server.mend()
        await audience.agree()
    finally:
        audience.leave()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Audience:
    """The pages that look at the session."""

    def __init__(self, server: Server, hub: Hub, dice: random.Random) -> None:
        self._server = server
        self._hub = hub
        self._dice = dice
        self._pages: dict[int, Page] = {}
        self._failures: list[BaseException] = []

    def join(self, number: int) -> None:
        self.close(number)
        self._pages[number] = Page(self._server, self._hub, self._failures)
        self._pages[number].open(from_first=self._dice.random() < 0.3)

    def open(self, number: int) -> None:
        self.close(number)
        if number in self._pages:
            self._pages[number].open()

    def close(self, number: int) -> None:
        if number in self._pages:
            self._pages[number].close()

    def leave(self) -> None:
        for number in self._pages:
            self.close(number)

    async def agree(self) -> None:
        """Brings everybody back; returns once all show what there is."""
        for number in self._pages:
            self.open(number)
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while not all(page.agrees for page in self._pages.values()) and not self._failures:
            late = f"{self._pages} do not show {self._server.session}"
            assert asyncio.get_running_loop().time() < deadline, late
            await asyncio.sleep(0.005)
        if self._failures:
            raise self._failures[0]
