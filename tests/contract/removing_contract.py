"""MessageHistory.clear and MessageHistory.truncate."""

import pytest
from contract.backend import Backend, Contract, say, witness
from session_svc.domain.errors import PositionConflict, SessionNotFound
from session_svc.domain.events import Cleared, MessageAppended, MessagesTruncated, SessionChanged
from session_svc.domain.limits import MIB, RESPONSE_BYTES
from session_svc.domain.message import Role
from session_svc.domain.position import Position
from session_svc.domain.session import TitleSource
from session_svc.domain.weight import message_bytes
from session_svc.storage.base import EMPTY

USER, ASSISTANT, SYSTEM, TOOL = Role.USER, Role.ASSISTANT, Role.SYSTEM, Role.TOOL
ELSEWHERE = Position("zzzzzzzz0000", 1)


class ClearContract(Contract):
    """Removing every message."""

    async def test_a_clear_removes_messages_and_nothing_else(self, backend: Backend) -> None:
        await backend.create("talk", title="mine", ttl=3_600_000, labels={"a": "1"}, owner="ann")
        before = (await backend.append("talk", say(), say())).session
        await backend.pass_time(5)
        cleared = await backend.history.clear("talk")
        assert await backend.log("talk") == []
        assert cleared == await backend.store.get("talk")
        assert cleared.position.epoch > before.position.epoch
        assert cleared.position.sequence == 0
        assert (cleared.title, cleared.owner, cleared.labels, cleared.ttl) == ("mine", "ann", {"a": "1"}, 3_600_000)
        assert (cleared.last_role, cleared.preview, cleared.awaiting_reply) == (None, "", False)
        assert cleared.create_time == before.create_time
        assert cleared.last_active_time > before.last_active_time

    async def test_an_automatic_title_stays(self, backend: Backend) -> None:
        await backend.append("talk", say("first"))
        await backend.history.clear("talk")
        session = (await backend.append("talk", say("second"))).session
        assert (session.title, session.title_source) == ("first", TitleSource.AUTO)

    async def test_sequences_begin_again(self, backend: Backend) -> None:
        await backend.append("talk", say(), say())
        cleared = await backend.history.clear("talk")
        assert (await backend.append("talk", say())).position == Position(cleared.position.epoch, 1)

    async def test_every_clear_begins_a_greater_epoch_however_fast(self, backend: Backend) -> None:
        await backend.create("talk")
        epochs = [(await backend.history.clear("talk")).position.epoch for _ in range(30)]
        assert epochs == sorted(set(epochs))

    async def test_a_clear_is_announced_with_the_new_head(self, backend: Backend) -> None:
        await backend.append("talk", say())
        async with witness(backend, "talk") as watch:
            cleared = await backend.history.clear("talk")
            told = await watch.told()
        assert told.session == [Cleared(cleared.position)]
        assert told.list == [SessionChanged(cleared)]

    async def test_the_head_may_be_expected(self, backend: Backend) -> None:
        head = (await backend.append("talk", say())).position
        for wrong in (EMPTY, ELSEWHERE):
            with pytest.raises(PositionConflict) as conflict:
                await backend.history.clear("talk", expected=wrong)
            assert conflict.value.actual == head
        assert len(await backend.log("talk")) == 1
        cleared = await backend.history.clear("talk", expected=head)
        assert (await backend.history.clear("talk", expected=EMPTY)).position.epoch > cleared.position.epoch

    async def test_a_missing_session_cannot_be_cleared(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFound):
            await backend.history.clear("talk")
        with pytest.raises(SessionNotFound):
            await backend.history.clear("talk", expected=ELSEWHERE)


class TruncateContract(Contract):
    """Removing the last messages."""

    @pytest.mark.parametrize(
        ("keep", "remove_last", "left"),
        [(3, None, 3), (1, None, 1), (0, None, 0), (None, 1, 3), (None, 4, 0), (None, 1000, 0)],
    )
    async def test_a_truncation_removes_from_the_end(
        self, backend: Backend, keep: int | None, remove_last: int | None, left: int
    ) -> None:
        before = (await backend.append("talk", *(say(f"number {number}") for number in range(4)))).session
        log = await backend.log("talk")
        await backend.pass_time(5)
        async with witness(backend, "talk") as watch:
            truncated = await backend.history.truncate("talk", keep=keep, remove_last=remove_last)
            assert await backend.log("talk") == log[:left]
            told = await watch.told()
        session = truncated.session
        assert list(truncated.removed) == log[left:]
        assert session.position.epoch > before.position.epoch
        assert session.position.sequence == left
        assert session.preview == (f"number {left - 1}" if left else "")
        assert session.last_active_time == before.last_active_time
        assert told.session == [MessagesTruncated(session.position, left)]
        assert told.list == [SessionChanged(session)]

    @pytest.mark.parametrize("keep", [2, 3, 10**12])
    async def test_nothing_to_remove_changes_nothing(self, backend: Backend, keep: int) -> None:
        await backend.create("talk", ttl=3_600_000)
        before = (await backend.append("talk", say(), say())).session
        await backend.pass_time(5)
        async with witness(backend, "talk") as watch:
            truncated = await backend.history.truncate("talk", keep=keep)
            assert truncated.removed == ()
            assert truncated.session == before == await backend.store.get("talk")
            told = await watch.told()
        assert told.session == []
        assert told.list == []

    async def test_a_session_without_messages_has_nothing_to_remove(self, backend: Backend) -> None:
        before = await backend.create("talk")
        assert (await backend.history.truncate("talk", remove_last=1)).session == before
        assert (await backend.history.truncate("talk", keep=0)).session == before

    async def test_appending_goes_on_after_what_is_left(self, backend: Backend) -> None:
        await backend.append("talk", say("a"), say("b"))
        truncated = await backend.history.truncate("talk", remove_last=1)
        async with witness(backend, "talk") as watch:
            appended = await backend.append("talk", say("c"))
            told = await watch.told()
        assert appended.position == Position(truncated.session.position.epoch, 2)
        assert [event.position for event in told.session if isinstance(event, MessageAppended)] == [appended.position]
        assert [message.content for message in await backend.log("talk")][:2] == ["a", "c"]

    @pytest.mark.parametrize(
        ("left", "awaiting"),
        [([USER], True), ([USER, ASSISTANT], False), ([USER, TOOL], False), ([SYSTEM], False), ([], False)],
    )
    async def test_a_reply_is_awaited_if_the_last_message_left_is_the_users(
        self, backend: Backend, left: list[Role], awaiting: bool
    ) -> None:
        for role in [*left, USER, ASSISTANT, USER]:
            await backend.append("talk", say("x", role))
        session = (await backend.history.truncate("talk", keep=len(left))).session
        assert session.awaiting_reply is awaiting
        assert session.last_role is (left[-1] if left else None)

    async def test_the_title_stays(self, backend: Backend) -> None:
        await backend.append("talk", say("first"))
        session = (await backend.history.truncate("talk", keep=0)).session
        assert (session.title, session.title_source) == ("first", TitleSource.AUTO)

    async def test_at_most_a_thousand_of_the_removed_are_told_the_newest(self, backend: Backend) -> None:
        for start in (0, 600):
            await backend.append("talk", *(say(f"{start + number}") for number in range(600)))
        removed = (await backend.history.truncate("talk", keep=10)).removed
        assert [message.sequence for message in removed] == list(range(201, 1201))
        assert len(await backend.log("talk")) == 10

    async def test_of_large_messages_removed_the_newest_that_fit_are_told(self, backend: Backend) -> None:
        for number in range(5):
            await backend.append("talk", say(f"{number}" * MIB))
        removed = (await backend.history.truncate("talk", keep=0)).removed
        assert removed
        assert sum(map(message_bytes, removed)) <= RESPONSE_BYTES
        assert [message.sequence for message in removed] == list(range(6 - len(removed), 6))
        assert await backend.log("talk") == []

    async def test_the_head_may_be_expected(self, backend: Backend) -> None:
        head = (await backend.append("talk", say(), say())).position
        for wrong in (EMPTY, ELSEWHERE, Position(head.epoch, 1)):
            with pytest.raises(PositionConflict) as conflict:
                await backend.history.truncate("talk", keep=0, expected=wrong)
            assert conflict.value.actual == head
        assert len(await backend.log("talk")) == 2
        assert len((await backend.history.truncate("talk", keep=1, expected=head)).removed) == 1

    async def test_a_missing_session_cannot_be_truncated(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFound):
            await backend.history.truncate("talk", keep=0)
        with pytest.raises(SessionNotFound):
            await backend.history.truncate("talk", remove_last=1, expected=ELSEWHERE)
