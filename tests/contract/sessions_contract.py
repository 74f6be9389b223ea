"""SessionStore: create, get, update, delete."""

import asyncio

import pytest
from contract.backend import Backend, Contract, next_of, say, witness
from session_svc.domain.errors import PositionConflict, SessionExists, SessionNotFound
from session_svc.domain.events import Deleted, SessionChanged, SessionCreated, SessionRemoved, Updated
from session_svc.domain.position import Position
from session_svc.domain.session import NEVER, NewSession, SessionChange, TitleSource
from session_svc.storage.base import EMPTY

HOUR = 3_600_000


class CreateContract(Contract):
    """Creating a session, or resuming one."""

    async def test_a_new_session_is_what_its_creator_said(self, backend: Backend) -> None:
        session = await backend.create("talk", title="mine", ttl=HOUR, labels={"a": "1", "é": "漢"}, owner="ann")
        assert (session.name, session.title, session.title_source) == ("talk", "mine", TitleSource.USER)
        assert (session.ttl, session.labels, session.owner) == (HOUR, {"a": "1", "é": "漢"}, "ann")
        assert (session.message_count, session.last_role, session.preview) == (0, None, "")
        assert session.awaiting_reply is False
        assert session.reply is None
        assert session.create_time == session.last_active_time
        assert await backend.store.get("talk") == session

    async def test_a_new_session_need_not_say_anything(self, backend: Backend) -> None:
        session = await backend.create("talk")
        assert (session.title, session.title_source, session.owner, session.labels) == ("", TitleSource.NONE, "", {})
        assert (session.ttl, session.expire_time) == (None, None)

    async def test_a_creation_is_announced(self, backend: Backend) -> None:
        async with witness(backend, "talk") as watch:
            session = await backend.create("talk", title="mine", ttl=HOUR, labels={"a": '"1"'}, owner="ann")
            told = await watch.told()
        assert told.session == [Updated(session.position, session)]
        assert told.list == [SessionCreated(session)]

    async def test_a_taken_name_is_refused(self, backend: Backend) -> None:
        session = (await backend.append("talk", say())).session
        with pytest.raises(SessionExists):
            await backend.create("talk", title="other")
        assert await backend.store.get("talk") == session

    async def test_of_many_creators_one_wins(self, backend: Backend) -> None:
        outcomes = await asyncio.gather(*(backend.create("talk") for _ in range(20)), return_exceptions=True)
        assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, SessionExists) for outcome in outcomes) == 19

    async def test_resuming_creates_what_is_missing(self, backend: Backend) -> None:
        session = await backend.store.create("talk", NewSession(title="mine"), allow_existing=True)
        assert session.title == "mine"

    async def test_resuming_restarts_the_clock_and_changes_nothing_else(self, backend: Backend) -> None:
        await backend.create("talk", ttl=HOUR, title="mine", labels={"a": "1"}, owner="ann")
        before = (await backend.append("talk", say())).session
        await backend.pass_time(20)
        async with witness(backend, "talk") as watch:
            other = NewSession(title="other", ttl=2 * HOUR, labels={}, owner="bob")
            resumed = await backend.store.create("talk", other, allow_existing=True)
            assert await backend.store.get("talk") == resumed
            told = await watch.told()
        assert before.expire_time is not None
        assert resumed.expire_time is not None
        assert resumed.expire_time >= before.expire_time + 20
        assert (resumed.title, resumed.ttl, resumed.labels, resumed.owner) == ("mine", HOUR, {"a": "1"}, "ann")
        assert (resumed.position, resumed.last_active_time) == (before.position, before.last_active_time)
        assert told.session == []
        assert told.list == []

    @pytest.mark.parametrize(
        "labels", [{}, {"a": ""}, {f"k{number}": "v" * 256 for number in range(64)}, {'"{\\': "}\n"}]
    )
    async def test_labels_are_kept(self, backend: Backend, labels: dict[str, str]) -> None:
        await backend.create("talk", labels=labels)
        assert (await backend.store.get("talk")).labels == labels

    async def test_a_missing_session_cannot_be_read(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFound) as missing:
            await backend.store.get("talk")
        assert missing.value.name == "talk"


class UpdateContract(Contract):
    """Changing title, ttl and labels."""

    async def test_each_field_is_changed_alone(self, backend: Backend) -> None:
        before = await backend.create("talk", title="mine", ttl=HOUR, labels={"a": "1"}, owner="ann")
        titled = await backend.store.update("talk", SessionChange(title="other"))
        assert (titled.title, titled.ttl, titled.labels) == ("other", HOUR, {"a": "1"})
        timed = await backend.store.update("talk", SessionChange(ttl=2 * HOUR))
        assert (timed.title, timed.ttl, timed.labels) == ("other", 2 * HOUR, {"a": "1"})
        labelled = await backend.store.update("talk", SessionChange(labels={"b": "2"}))
        assert (labelled.title, labelled.ttl, labelled.labels) == ("other", 2 * HOUR, {"b": "2"})
        assert (labelled.owner, labelled.position, labelled.create_time) == ("ann", before.position, before.create_time)
        assert await backend.store.get("talk") == labelled

    async def test_all_fields_may_change_at_once(self, backend: Backend) -> None:
        await backend.create("talk", title="mine", ttl=HOUR, labels={"a": "1"})
        session = await backend.store.update("talk", SessionChange(title="t", ttl=NEVER, labels={}))
        assert (session.title, session.ttl, session.labels, session.expire_time) == ("t", NEVER, {}, None)

    async def test_an_update_is_announced_and_is_no_activity(self, backend: Backend) -> None:
        before = (await backend.append("talk", say())).session
        await backend.pass_time(5)
        await backend.append("later", say())
        await backend.pass_time(5)
        async with witness(backend, "talk") as watch:
            session = await backend.store.update("talk", SessionChange(title="mine"))
            assert [listed.name for listed in await backend.listed()] == ["later", "talk"]
            told = await watch.told()
        assert session.last_active_time == before.last_active_time
        assert session.title_source is TitleSource.USER
        assert told.session == [Updated(session.position, session)]
        assert told.list == [SessionChanged(session)]

    async def test_an_empty_title_goes_back_to_the_automatic_one(self, backend: Backend) -> None:
        await backend.create("talk", title="mine")
        await backend.append("talk", say("first\nline"), say("second"))
        session = await backend.store.update("talk", SessionChange(title=""))
        assert (session.title, session.title_source) == ("first", TitleSource.AUTO)

    async def test_without_a_users_message_there_is_no_automatic_title(self, backend: Backend) -> None:
        await backend.create("talk", title="mine")
        session = await backend.store.update("talk", SessionChange(title=""))
        assert (session.title, session.title_source) == ("", TitleSource.NONE)
        assert (await backend.append("talk", say("now"))).session.title == "now"

    async def test_a_missing_session_cannot_be_changed(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFound):
            await backend.store.update("talk", SessionChange(title="x"))


class DeleteContract(Contract):
    """Removing every trace."""

    async def test_a_deleted_session_is_nowhere(self, backend: Backend) -> None:
        await backend.append("talk", say())
        await backend.append("other", say())
        await backend.store.delete("talk")
        assert [session.name for session in await backend.listed()] == ["other"]
        with pytest.raises(SessionNotFound):
            await backend.store.get("talk")
        with pytest.raises(SessionNotFound):
            await backend.history.page("talk", start=1, limit=1, newest_first=False)
        with pytest.raises(SessionNotFound):
            await backend.store.delete("talk")

    async def test_a_deletion_is_announced(self, backend: Backend) -> None:
        head = (await backend.append("talk", say())).position
        async with backend.bus.session("talk") as events, backend.bus.sessions() as changes:
            await backend.store.delete("talk")
            event = await next_of(events)
            assert await next_of(changes) == SessionRemoved("talk")
        assert isinstance(event, Deleted)
        # Whoever has just read the last head must not take it for an older event.
        assert event.position.epoch > head.epoch
        assert event.position.sequence == 0

    async def test_a_session_that_begins_at_once_is_newer_than_the_end_of_the_one_before(
        self, backend: Backend
    ) -> None:
        """Else its first messages were older than what viewers know of it, and not shown."""
        for _ in range(30):
            await backend.append("talk", say("old"))
            await asyncio.sleep(0.002)  # An epoch begins with the millisecond.
            async with backend.bus.session("talk") as events:
                _, appended = await asyncio.gather(backend.store.delete("talk"), backend.append("talk", say("new")))
                deleted = await next_of(events)
                while not isinstance(deleted, Deleted):
                    deleted = await next_of(events)
            if await backend.listed():
                assert appended.position.epoch > deleted.position.epoch

    async def test_a_name_used_again_is_another_session(self, backend: Backend) -> None:
        await backend.create("talk", title="mine", ttl=HOUR, labels={"a": "1"}, owner="ann")
        old = (await backend.append("talk", say())).position
        await asyncio.sleep(0.002)  # An epoch begins with the millisecond.
        await backend.store.delete("talk")
        session = (await backend.append("talk", say("new"), owner="bob")).session
        assert session.position.epoch > old.epoch
        assert (session.title, session.ttl, session.labels, session.owner) == ("new", None, {}, "bob")
        assert (session.message_count, session.expire_time) == (1, None)

    async def test_the_head_may_be_expected(self, backend: Backend) -> None:
        head = (await backend.append("talk", say())).position
        for wrong in (EMPTY, Position(head.epoch, 2), Position("zzzzzzzz0000", 1)):
            with pytest.raises(PositionConflict) as conflict:
                await backend.store.delete("talk", expected=wrong)
            assert conflict.value.actual == head
        assert len(await backend.log("talk")) == 1
        await backend.store.delete("talk", expected=head)
        await backend.create("talk")
        await backend.store.delete("talk", expected=EMPTY)
        assert await backend.listed() == []

    async def test_a_missing_session_cannot_be_deleted(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFound):
            await backend.store.delete("talk")
        with pytest.raises(SessionNotFound):
            await backend.store.delete("talk", expected=Position("mws7vouqk8l8", 1))
