"""SessionStore.page: the list of sessions."""

import asyncio

import pytest
from contract.backend import Backend, Contract, say
from session_svc.domain.session import Activity, SessionChange


async def fill(backend: Backend, count: int) -> list[str]:
    """Creates sessions one after another; returns their names in the order of the list."""
    for number in range(count):
        await backend.append(f"s{number}", say())
    listed = await backend.listed()
    assert len(listed) == count
    return [session.name for session in listed]


class ListingContract(Contract):
    """Reading the list, page by page."""

    async def test_without_sessions_the_list_is_empty(self, backend: Backend) -> None:
        page = await backend.store.page(after=None, limit=10)
        assert (page.sessions, page.next) == ((), None)

    async def test_the_latest_activity_comes_first(self, backend: Backend) -> None:
        for name in ("a", "b", "c"):
            await backend.create(name)
            await backend.pass_time(2)
        await backend.append("a", say())
        await backend.pass_time(2)
        await backend.store.update("b", SessionChange(title="no activity"))
        assert [session.name for session in await backend.listed()] == ["a", "c", "b"]

    async def test_activity_is_a_message_or_a_clear_and_no_truncation(self, backend: Backend) -> None:
        for name in ("cleared", "truncated", "appended", "last"):
            await backend.append(name, say())
            await backend.pass_time(2)
        await backend.history.clear("cleared")
        await backend.pass_time(2)
        await backend.append("appended", say())
        await backend.pass_time(2)
        await backend.history.truncate("truncated", keep=0)
        names = [session.name for session in await backend.listed()]
        assert names == ["appended", "cleared", "last", "truncated"]

    async def test_the_list_shows_sessions_as_they_are(self, backend: Backend) -> None:
        await backend.create("talk", title="mine", ttl=3_600_000, labels={"a": "1"}, owner="ann")
        await backend.append("talk", say("hello"))
        assert await backend.listed() == [await backend.store.get("talk")]

    async def test_of_equal_activity_the_greater_name_comes_first(self, backend: Backend) -> None:
        names = ["a", "B", "b", "10", "9", "a.b", "a-b", "Z"]
        for name in names:
            await backend.create(name)
        listed = await backend.listed(limit=3)
        order = [(session.last_active_time, session.name) for session in listed]
        assert order == sorted(order, reverse=True)
        assert {session.name for session in listed} == set(names)

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 12, 100])
    async def test_pages_hold_every_session_once(self, backend: Backend, limit: int) -> None:
        names = await fill(backend, 12)
        seen: list[str] = []
        after = None
        while True:
            page = await backend.store.page(after=after, limit=limit)
            assert len(page.sessions) <= limit
            seen += [session.name for session in page.sessions]
            after = page.next
            if after is None:
                break
        assert seen == names

    async def test_what_becomes_active_meanwhile_does_not_come_twice(self, backend: Backend) -> None:
        names = await fill(backend, 9)
        first = await backend.store.page(after=None, limit=3)
        await backend.pass_time(2)
        await backend.append(names[1], say())
        await backend.append(names[7], say())
        await backend.append("new", say())
        rest = await backend.store.page(after=first.next, limit=100)
        assert [session.name for session in rest.sessions] == [names[3], names[4], names[5], names[6], names[8]]

    @pytest.mark.parametrize("happens", ["deleted", "active again"])
    async def test_a_page_goes_on_where_it_ended_whatever_became_of_that_session(
        self, backend: Backend, happens: str
    ) -> None:
        names = await fill(backend, 6)
        first = await backend.store.page(after=None, limit=2)
        if happens == "deleted":
            await backend.store.delete(names[1])
        else:
            await backend.pass_time(2)
            await backend.append(names[1], say())
        rest = await backend.store.page(after=first.next, limit=100)
        assert [session.name for session in rest.sessions] == names[2:]

    async def test_a_page_after_any_place_begins_below_it(self, backend: Backend) -> None:
        await fill(backend, 4)
        listed = await backend.listed()
        second = listed[1]
        for place, expected in [
            (Activity(second.last_active_time, second.name), listed[2:]),
            (Activity(second.last_active_time + 10**9, ""), listed),
            (Activity(0, "~"), []),
        ]:
            page = await backend.store.page(after=place, limit=100)
            assert list(page.sessions) == expected
            assert page.next is None

    async def test_paging_stays_whole_while_others_write(self, backend: Backend) -> None:
        quiet = set(await fill(backend, 40))
        busy = [f"busy{number}" for number in range(5)]
        for name in busy:
            await backend.append(name, say())
        stop = asyncio.Event()

        async def write() -> None:
            while not stop.is_set():
                for name in busy:
                    await backend.append(name, say())
                await backend.pass_time(1)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            for _ in range(5):
                seen: list[str] = []
                after = None
                while True:
                    page = await backend.store.page(after=after, limit=4)
                    seen += [session.name for session in page.sessions]
                    after = page.next
                    await backend.pass_time(1)
                    if after is None:
                        break
                assert len(seen) == len(set(seen))
                assert quiet <= set(seen)
            stop.set()

    async def test_a_list_that_was_written_to_is_there(self, backend: Backend) -> None:
        await backend.create("talk")
        assert await backend.store.is_listed()
        assert await backend.store.adopt() == 0
        await backend.store.ping()
        assert [session.name for session in await backend.listed()] == ["talk"]
