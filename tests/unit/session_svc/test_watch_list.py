"""Watching the list: the latest state of each session, in time, never too often, and a reset after any loss."""

import asyncio
from typing import TYPE_CHECKING, Self

import pytest
from session_svc.application import watch_list as module
from session_svc.application.filters import SessionFilter
from session_svc.application.observations import Heartbeat
from session_svc.application.watch_list import ListAgain, ListChange, ListWatch
from session_svc.bus.memory import InMemoryStreamBus
from session_svc.domain.events import SessionChanged, SessionCreated, SessionRemoved
from session_svc.domain.position import Position
from session_svc.domain.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


def session(name: str, title: str = "", sequence: int = 0) -> Session:
    return Session(name=name, position=Position("epoch", sequence), create_time=1, last_active_time=1, title=title)


class Watching:
    """One watch of the list over a bus of its own."""

    def __init__(self, wanted: SessionFilter | None = None) -> None:
        self.bus = InMemoryStreamBus()
        self.changes: AsyncGenerator[ListChange, None] = ListWatch(self.bus).watch(wanted or SessionFilter())

    async def __aenter__(self) -> Self:
        assert await self.next() == ListAgain()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.changes.aclose()

    def publish(self, *events: SessionCreated | SessionChanged | SessionRemoved) -> None:
        for event in events:
            self.bus.publish_list(event, 10)

    def lose(self) -> None:
        for subscriber in self.bus._list:
            subscriber.lose()

    async def next(self) -> ListChange:
        async with asyncio.timeout(60):
            return await anext(self.changes)


async def test_the_first_change_comes_at_once_and_the_latest_state_after_the_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    async with Watching() as watching:
        with monkeypatch.context() as endless:
            endless.setattr(module, "INTERVAL_SECONDS", 3600.0)
            watching.publish(SessionChanged(session("a", sequence=1)))
            assert await watching.next() == SessionChanged(session("a", sequence=1))
        began = loop.time() - module.INTERVAL_SECONDS / 10
        watching.publish(*(SessionChanged(session("a", sequence=number)) for number in range(2, 50)))
        assert await watching.next() == SessionChanged(session("a", sequence=49))
        assert loop.time() - began >= module.INTERVAL_SECONDS


async def test_each_session_has_an_interval_of_its_own() -> None:
    async with Watching() as watching:
        events = [SessionCreated(session(name)) for name in "abc"]
        watching.publish(*events)
        assert [await watching.next() for _ in events] == events


async def test_a_loss_is_told_as_reset_and_forgets_what_was_owed() -> None:
    async with Watching() as watching:
        watching.publish(SessionCreated(session("a")))
        watching.lose()
        assert await watching.next() == ListAgain()
        watching.publish(SessionCreated(session("b")))
        assert await watching.next() == SessionCreated(session("b"))


async def test_a_watcher_that_falls_behind_is_told_to_list_again() -> None:
    async with Watching() as watching:
        watching.publish(*(SessionCreated(session(f"s{number}")) for number in range(1500)))
        assert await watching.next() == ListAgain()


async def test_only_what_matches_is_told_and_what_no_longer_matches_is_removed() -> None:
    async with Watching(SessionFilter(query="Straße")) as watching:
        watching.publish(SessionCreated(session("a", "other")), SessionCreated(session("b", "STRASSE 1")))
        assert await watching.next() == SessionCreated(session("b", "STRASSE 1"))
        watching.publish(SessionChanged(session("a", "other 2")), SessionChanged(session("b", "renamed")))
        assert await watching.next() == SessionRemoved("b")


async def test_a_session_created_and_removed_before_it_was_told_is_not_told() -> None:
    async with Watching() as watching:
        watching.publish(SessionRemoved("a"))
        assert await watching.next() == SessionRemoved("a")
        watching.publish(SessionCreated(session("a")), SessionRemoved("a"), SessionCreated(session("b")))
        assert await watching.next() == SessionCreated(session("b"))
        watching.publish(SessionCreated(session("a")), SessionChanged(session("a", sequence=3)))
        assert await watching.next() == SessionCreated(session("a", sequence=3))


async def test_silence_is_broken_by_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    async with Watching() as watching:
        assert [await watching.next() for _ in range(2)] == [Heartbeat()] * 2
