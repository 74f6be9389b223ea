"""MessageHistory.page and MessageHistory.snapshot."""

import pytest
from contract.backend import Backend, Contract, say, witness
from session_svc.domain.errors import PositionConflict, SessionNotFound
from session_svc.domain.limits import MIB, RESPONSE_BYTES
from session_svc.domain.message import Message
from session_svc.domain.weight import message_bytes


def sequences(messages: tuple[Message, ...]) -> list[int]:
    return [message.sequence for message in messages]


class PageContract(Contract):
    """Reading messages, upwards and downwards."""

    @pytest.mark.parametrize(
        ("start", "limit", "newest_first", "expected", "more"),
        [
            (1, 3, False, [1, 2, 3], True),
            (1, 10, False, list(range(1, 11)), False),
            (1, 1000, False, list(range(1, 11)), False),
            (4, 3, False, [4, 5, 6], True),
            (8, 3, False, [8, 9, 10], False),
            (10, 3, False, [10], False),
            (11, 3, False, [], False),
            (0, 3, True, [10, 9, 8], True),
            (10, 3, True, [10, 9, 8], True),
            (3, 3, True, [3, 2, 1], False),
            (3, 2, True, [3, 2], True),
            (1, 5, True, [1], False),
            (11, 3, True, [10, 9, 8], True),
            (11, 1, True, [10], True),
        ],
    )
    async def test_a_page_begins_at_start_and_says_whether_others_follow(
        self, backend: Backend, start: int, limit: int, newest_first: bool, expected: list[int], more: bool
    ) -> None:
        head = (await backend.append("talk", *(say(f"number {number}") for number in range(1, 11)))).position
        page = await backend.history.page("talk", start=start, limit=limit, newest_first=newest_first)
        assert sequences(page.messages) == expected
        assert [message.content for message in page.messages] == [f"number {number}" for number in expected]
        assert page.more is more
        assert page.head == head

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_a_session_without_messages_has_an_empty_page(self, backend: Backend, newest_first: bool) -> None:
        created = await backend.create("talk")
        page = await backend.history.page("talk", start=0 if newest_first else 1, limit=5, newest_first=newest_first)
        assert (page.messages, page.head, page.more) == ((), created.position, False)

    async def test_a_page_may_be_bound_to_an_epoch(self, backend: Backend) -> None:
        old = (await backend.append("talk", say())).position
        page = await backend.history.page("talk", start=1, limit=5, newest_first=False, epoch=old.epoch)
        assert len(page.messages) == 1
        await backend.history.clear("talk")
        head = (await backend.append("talk", say())).position
        with pytest.raises(PositionConflict) as conflict:
            await backend.history.page("talk", start=1, limit=5, newest_first=False, epoch=old.epoch)
        assert conflict.value.actual == head

    async def test_a_page_cannot_begin_beyond_what_comes_next(self, backend: Backend) -> None:
        head = (await backend.append("talk", say())).position
        with pytest.raises(PositionConflict) as conflict:
            await backend.history.page("talk", start=3, limit=5, newest_first=False)
        assert conflict.value.actual == head

    async def test_a_missing_session_has_no_page_and_no_snapshot(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFound):
            await backend.history.page("talk", start=1, limit=5, newest_first=False)
        with pytest.raises(SessionNotFound):
            await backend.history.snapshot("talk", tail=5)

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_large_messages_come_in_pages_that_fit_a_response(self, backend: Backend, newest_first: bool) -> None:
        for number in range(7):
            await backend.append("talk", say(f"{number}" * MIB))
        read: list[int] = []
        start = 0 if newest_first else 1
        more = True
        while more:
            page = await backend.history.page("talk", start=start, limit=1000, newest_first=newest_first)
            assert page.messages
            assert sum(map(message_bytes, page.messages)) <= RESPONSE_BYTES
            read += sequences(page.messages)
            start, more = read[-1] + (-1 if newest_first else 1), page.more
        assert read == (list(range(7, 0, -1)) if newest_first else list(range(1, 8)))

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_one_message_always_fits(self, backend: Backend, newest_first: bool) -> None:
        # More than any writer may say; other programs that share the store know no limit.
        for _ in range(2):
            await backend.append("talk", say("x" * 4 * MIB))
        first = 2 if newest_first else 1
        page = await backend.history.page("talk", start=first, limit=1, newest_first=newest_first)
        assert sequences(page.messages) == [first]
        assert page.more

    async def test_reading_restarts_no_clock_and_says_nothing(self, backend: Backend) -> None:
        await backend.create("talk", ttl=3_600_000)
        before = (await backend.append("talk", say())).session
        async with witness(backend, "talk") as watch:
            await backend.pass_time(5)
            await backend.history.page("talk", start=1, limit=5, newest_first=False)
            await backend.history.snapshot("talk", tail=5)
            await backend.store.page(after=None, limit=5)
            assert await backend.store.get("talk") == before
            told = await watch.told()
        assert told.session == []
        assert told.list == []


class SnapshotContract(Contract):
    """Reading a session and its newest messages, all of one moment."""

    @pytest.mark.parametrize(
        ("tail", "expected"), [(0, []), (1, [4]), (3, [2, 3, 4]), (4, [1, 2, 3, 4]), (1000, [1, 2, 3, 4])]
    )
    async def test_a_snapshot_holds_the_newest_oldest_first(
        self, backend: Backend, tail: int, expected: list[int]
    ) -> None:
        session = (await backend.append("talk", *(say() for _ in range(4)))).session
        snapshot = await backend.history.snapshot("talk", tail=tail)
        assert sequences(snapshot.messages) == expected
        assert snapshot.session == session
        assert list(snapshot.messages) == (await backend.log("talk"))[4 - len(expected) :]

    async def test_a_session_without_messages_has_a_snapshot(self, backend: Backend) -> None:
        session = await backend.create("talk")
        snapshot = await backend.history.snapshot("talk", tail=10)
        assert (snapshot.session, snapshot.messages) == (session, ())

    async def test_a_snapshot_of_large_messages_keeps_the_newest_that_fit(self, backend: Backend) -> None:
        for number in range(5):
            await backend.append("talk", say(f"{number}" * MIB))
        messages = (await backend.history.snapshot("talk", tail=5)).messages
        assert sum(map(message_bytes, messages)) <= RESPONSE_BYTES
        assert sequences(messages) == list(range(6 - len(messages), 6))
        assert messages
