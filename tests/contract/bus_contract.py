"""StreamBus: what whoever listens can rely on."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from contract.backend import PATIENCE, Backend, Contract, next_of, say
from session_svc.bus.base import Gap
from session_svc.domain.errors import WatcherTooSlow
from session_svc.domain.events import MessageAppended, SessionCreated, SessionEvent
from session_svc.domain.limits import MIB


async def contents(events: AsyncIterator[SessionEvent | Gap], count: int) -> list[str]:
    """What the next messages say."""
    said = []
    for _ in range(count):
        event = await next_of(events)
        assert isinstance(event, MessageAppended)
        said.append(event.message.content)
    return said


async def until_the_end(events: AsyncIterator[SessionEvent | Gap]) -> int:
    """Reads until the iterator fails; returns how many events came."""
    count = 0
    while True:
        await anext(events)
        count += 1


class BusContract(Contract):
    """Events of sessions and of the list."""

    async def test_what_is_published_once_entered_is_never_missed(self, backend: Backend) -> None:
        for number in range(30):
            name = f"talk{number}"
            async with backend.bus.session(name) as events:
                await backend.append(name, say("at once"))
                assert await contents(events, 1) == ["at once"]

    async def test_a_session_that_comes_to_be_is_followed_from_before(self, backend: Backend) -> None:
        async with backend.bus.session("talk") as events, backend.bus.sessions() as changes:
            session = (await backend.append("talk", say("first"))).session
            assert await contents(events, 1) == ["first"]
            assert await next_of(changes) == SessionCreated(session)

    async def test_events_of_another_session_do_not_come(self, backend: Backend) -> None:
        async with backend.bus.session("talk") as events:
            await backend.append("other", say("elsewhere"))
            await backend.append("talk.", say("elsewhere"))
            await backend.append("talk", say("here"))
            assert await contents(events, 1) == ["here"]

    async def test_every_subscriber_gets_everything_in_order(self, backend: Backend) -> None:
        async with AsyncExitStack() as stack:
            subscribers = [await stack.enter_async_context(backend.bus.session("talk")) for _ in range(5)]
            for number in range(50):
                await backend.append("talk", say(str(number)))
            for events in subscribers:
                assert await contents(events, 50) == [str(number) for number in range(50)]

    async def test_whoever_leaves_takes_nobody_along(self, backend: Backend) -> None:
        async with backend.bus.session("talk") as staying:
            async with backend.bus.session("talk"):
                pass
            await backend.append("talk", say("still here"))
            assert await contents(staying, 1) == ["still here"]
            async with backend.bus.session("talk") as again:
                await backend.append("talk", say("both"))
                assert await contents(again, 1) == await contents(staying, 1) == ["both"]

    async def test_a_subscription_ends_when_it_is_left(self, backend: Backend) -> None:
        async def read_all(events: AsyncIterator[SessionEvent | Gap]) -> int:
            return len([event async for event in events])

        async with backend.bus.session("talk") as events:
            waiting = asyncio.create_task(read_all(events))
            await backend.append("talk", say())
        async with asyncio.timeout(PATIENCE):
            assert await waiting <= 1

    async def test_nothing_is_kept_of_a_subscription_that_was_left(self, backend: Backend) -> None:
        async with backend.bus.session("talk"):
            async with backend.bus.session("talk") as events:
                left = weakref.ref(events)
            del events
            gc.collect()
            assert left() is None

    async def test_two_hundred_that_come_at_once_are_all_live(self, backend: Backend) -> None:
        async with AsyncExitStack() as stack:
            names = [f"talk{number}" for number in range(200)]
            subscribers = await asyncio.gather(
                *(stack.enter_async_context(backend.bus.session(name)) for name in names)
            )
            await asyncio.gather(*(backend.append(name, say(name)) for name in names))
            for name, events in zip(names, subscribers, strict=True):
                assert await contents(events, 1) == [name]

    @pytest.mark.parametrize(("count", "content"), [(1100, "x"), (10, "x" * MIB)])
    async def test_who_falls_too_far_behind_is_told_and_harms_nobody(
        self, backend: Backend, count: int, content: str
    ) -> None:
        async with backend.bus.session("talk") as slow, backend.bus.session("talk") as quick:
            for number in range(count):
                await backend.append("talk", say(content, id=f"n{number}"))
                event = await next_of(quick)
                assert isinstance(event, MessageAppended)
                assert event.message.id == f"n{number}"
            with pytest.raises(WatcherTooSlow):
                await until_the_end(slow)
            with pytest.raises(WatcherTooSlow):
                await anext(slow)
            await backend.append("talk", say("on"))
            assert await contents(quick, 1) == ["on"]
        async with backend.bus.session("talk") as again:
            await backend.append("talk", say("again"))
            assert await contents(again, 1) == ["again"]

    async def test_a_thousand_events_may_wait(self, backend: Backend) -> None:
        async with backend.bus.session("talk") as events:
            await backend.append("talk", *(say(str(number)) for number in range(1000)))
            await backend.store.get("talk")
            assert await contents(events, 1000) == [str(number) for number in range(1000)]
