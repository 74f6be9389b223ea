"""How long sessions live: ttl, the clock that every write restarts, and what falls due."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from contract.backend import Backend, Contract, OpenBackend, next_of, say, witness
from session_svc.domain.errors import SessionNotFound
from session_svc.domain.events import Deleted, SessionRemoved
from session_svc.domain.session import NEVER, NewSession, Session, SessionChange

HOUR = 3_600_000
SOON = 800
"""A ttl in ms: short enough to wait for, long enough for a busy machine to do something before."""

Write = Callable[[Backend], Awaitable[object]]

WRITES: dict[str, Write] = {
    "append": lambda backend: backend.append("talk", say()),
    "clear": lambda backend: backend.history.clear("talk"),
    "truncate": lambda backend: backend.history.truncate("talk", remove_last=1),
    "update": lambda backend: backend.store.update("talk", SessionChange(labels={"a": "1"})),
    "resume": lambda backend: backend.store.create("talk", NewSession(), allow_existing=True),
}


def lives(session: Session) -> int | None:
    """How many ms it lives after the activity it has just had; None: for ever."""
    return None if session.expire_time is None else session.expire_time - session.last_active_time


class TtlContract(Contract):
    """Which ttl applies, and what restarts its clock."""

    async def test_without_any_ttl_a_session_lives_for_ever(self, backend: Backend) -> None:
        assert lives(await backend.create("talk")) is None
        assert lives((await backend.append("talk", say())).session) is None

    async def test_the_default_applies_to_who_has_none(self, open_backend: OpenBackend) -> None:
        async with open_backend(default_ttl_ms=HOUR) as backend:
            created = await backend.create("talk")
            assert (lives(created), created.ttl) == (HOUR, None)
            assert lives((await backend.append("talk", say())).session) == HOUR
            assert lives((await backend.append("other", say())).session) == HOUR

    async def test_a_sessions_own_ttl_goes_before_the_default(self, open_backend: OpenBackend) -> None:
        async with open_backend(default_ttl_ms=HOUR) as backend:
            assert lives(await backend.create("talk", ttl=2 * HOUR)) == 2 * HOUR
            assert lives((await backend.append("talk", say())).session) == 2 * HOUR

    async def test_never_is_never_whatever_the_default(self, open_backend: OpenBackend) -> None:
        async with open_backend(default_ttl_ms=HOUR) as backend:
            created = await backend.create("talk", ttl=NEVER)
            assert (lives(created), created.ttl) == (None, NEVER)
            assert lives((await backend.append("talk", say())).session) is None

    async def test_an_update_changes_the_ttl_at_once(self, open_backend: OpenBackend) -> None:
        async with open_backend(default_ttl_ms=HOUR) as backend:
            await backend.create("talk")
            session = await backend.store.update("talk", SessionChange(ttl=2 * HOUR))
            assert session.expire_time is not None
            assert session.expire_time >= session.last_active_time + 2 * HOUR
            assert (await backend.store.update("talk", SessionChange(ttl=NEVER))).expire_time is None
            back = await backend.store.update("talk", SessionChange(ttl=None))
            assert back.ttl is None
            assert back.expire_time is not None
            assert back.expire_time < session.expire_time

    @pytest.mark.parametrize("write", WRITES)
    async def test_every_write_restarts_the_clock(self, backend: Backend, write: str) -> None:
        await backend.create("talk", ttl=HOUR)
        before = (await backend.append("talk", say())).session.expire_time
        assert before is not None
        await backend.pass_time(20)
        await WRITES[write](backend)
        after = (await backend.store.get("talk")).expire_time
        assert after is not None
        assert after >= before + 20


class ExpiryContract(Contract):
    """What is past its expiry does not exist, and everyone is told once."""

    async def test_an_expired_session_is_nowhere(self, backend: Backend) -> None:
        await backend.create("talk", ttl=SOON)
        await backend.append("talk", say())
        await backend.append("other", say())
        await backend.pass_time(SOON)
        attempts: list[Awaitable[object]] = [
            backend.store.get("talk"),
            backend.history.page("talk", start=1, limit=1, newest_first=False),
            backend.history.snapshot("talk", tail=1),
            backend.append("talk", say(), require_existing=True),
            backend.history.clear("talk"),
            backend.history.truncate("talk", keep=0),
            backend.store.update("talk", SessionChange(title="x")),
            backend.store.delete("talk"),
        ]
        for attempt in attempts:
            with pytest.raises(SessionNotFound):
                await attempt
        assert [session.name for session in await backend.listed()] == ["other"]

    async def test_writing_keeps_a_session_alive(self, backend: Backend) -> None:
        await backend.create("talk", ttl=1_500)
        for _ in range(4):
            await backend.pass_time(500)
            await backend.append("talk", say())
        assert (await backend.store.get("talk")).message_count == 4

    async def test_reading_does_not_keep_a_session_alive(self, backend: Backend) -> None:
        await backend.create("talk", ttl=SOON)
        for _ in range(4):
            await backend.pass_time(SOON // 4)
            await asyncio.gather(
                backend.store.get("talk"), backend.history.snapshot("talk", tail=1), return_exceptions=True
            )
        with pytest.raises(SessionNotFound):
            await backend.store.get("talk")

    async def test_an_expiry_is_announced_once_whoever_settles_it(self, backend: Backend) -> None:
        head = (await backend.create("talk", ttl=SOON)).position
        async with witness(backend, "talk") as watch:
            await backend.pass_time(SOON)
            await asyncio.gather(*(backend.store.settle_due() for _ in range(5)))
            await backend.store.settle_due()
            told = await watch.told()
        [event] = told.session
        assert isinstance(event, Deleted)
        assert event.position.epoch > head.epoch
        assert told.list == [SessionRemoved("talk")]

    async def test_listing_after_an_expiry_announces_it_no_second_time(self, backend: Backend) -> None:
        await backend.create("talk", ttl=SOON)
        async with witness(backend, "talk") as watch:
            await backend.pass_time(SOON)
            assert await backend.listed() == []
            await backend.store.settle_due()
            told = await watch.told()
        assert len(told.session) == 1
        assert told.list == [SessionRemoved("talk")]

    async def test_what_is_not_due_is_left_alone(self, backend: Backend) -> None:
        await backend.create("short", ttl=SOON)
        await backend.create("long", ttl=HOUR)
        await backend.create("for-ever")
        async with backend.bus.sessions() as changes:
            await backend.pass_time(SOON)
            await backend.store.settle_due()
            assert await next_of(changes) == SessionRemoved("short")
            assert {session.name for session in await backend.listed()} == {"long", "for-ever"}

    async def test_a_session_given_more_time_is_not_settled_at_its_old_moment(self, backend: Backend) -> None:
        await backend.create("talk", ttl=SOON)
        await backend.store.update("talk", SessionChange(ttl=HOUR))
        await backend.pass_time(SOON)
        await backend.store.settle_due()
        assert (await backend.store.get("talk")).ttl == HOUR

    async def test_many_sessions_that_fall_due_together_are_all_announced(self, backend: Backend) -> None:
        names = {f"s{number}" for number in range(300)}
        async with backend.bus.sessions() as changes:
            await asyncio.gather(*(backend.create(name, ttl=SOON) for name in names))
            await backend.pass_time(SOON)
            await backend.store.settle_due()
            gone: list[str] = []
            while len(gone) < len(names):
                change = await next_of(changes)
                if isinstance(change, SessionRemoved):
                    gone.append(change.name)
        assert set(gone) == names
        assert await backend.listed() == []

    async def test_a_name_used_again_is_another_session(self, backend: Backend) -> None:
        await backend.create("talk", ttl=SOON, title="mine", labels={"a": "1"}, owner="ann")
        old = (await backend.append("talk", say(), request_id="r", fingerprint="f")).position
        await backend.pass_time(SOON)
        session = (await backend.append("talk", say("new"), request_id="r", fingerprint="g", owner="bob")).session
        assert session.position.epoch > old.epoch
        assert (session.title, session.ttl, session.labels, session.owner) == ("new", None, {}, "bob")
        assert session.message_count == 1

    async def test_a_session_that_came_back_is_not_settled(self, backend: Backend) -> None:
        await backend.create("talk", ttl=SOON)
        await backend.pass_time(SOON)
        session = (await backend.append("talk", say())).session
        async with witness(backend, "talk") as watch:
            await backend.store.settle_due()
            assert await backend.store.get("talk") == session
            told = await watch.told()
        assert told.session == []
        assert told.list == []
