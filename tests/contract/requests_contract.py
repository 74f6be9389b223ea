"""Request ids: MessageHistory.append, once and only once."""

import asyncio

import pytest
from contract.backend import Backend, Contract, say, witness
from session_svc.domain.errors import PositionConflict, RateLimited, RequestIdReused
from session_svc.domain.limits import REQUEST_IDS_PER_DAY
from session_svc.domain.position import Position
from session_svc.domain.session import NewSession
from session_svc.storage.base import EMPTY

HOUR = 3_600_000


class RequestsContract(Contract):
    """What a writer gets that asks the same thing again."""

    async def test_a_repetition_gets_the_first_answer_and_changes_nothing(self, backend: Backend) -> None:
        first = await backend.append("talk", say(id="a"), say(id="b"), request_id="r", fingerprint="f")
        await backend.append("talk", say())
        before = await backend.store.get("talk")
        await backend.pass_time(5)
        async with witness(backend, "talk") as watch:
            again = await backend.append("talk", say(id="x"), say(id="y"), request_id="r", fingerprint="f")
            assert again.receipts == first.receipts
            assert again.position == first.position
            assert again.session == before == await backend.store.get("talk")
            told = await watch.told()
        assert told.session == []
        assert told.list == []

    async def test_a_repetition_restarts_no_clock(self, backend: Backend) -> None:
        await backend.create("talk", ttl=HOUR)
        first = await backend.append("talk", say(), request_id="r")
        await backend.pass_time(5)
        again = await backend.append("talk", say(), request_id="r")
        assert again.session.expire_time == first.session.expire_time

    async def test_the_first_answer_keeps_times_the_writer_gave(self, backend: Backend) -> None:
        first = await backend.append("talk", say(create_time=7), say(), request_id="r")
        again = await backend.append("talk", say(create_time=7), say(), request_id="r")
        assert again.receipts == first.receipts

    async def test_another_body_under_the_same_id_is_refused(self, backend: Backend) -> None:
        await backend.append("talk", say(), request_id="r", fingerprint="f")
        with pytest.raises(RequestIdReused):
            await backend.append("talk", say(), request_id="r", fingerprint="g")
        assert len(await backend.log("talk")) == 1

    async def test_the_id_is_looked_up_before_the_expected_position(self, backend: Backend) -> None:
        first = await backend.append("talk", say(), request_id="r", expected=EMPTY)
        again = await backend.append("talk", say(), request_id="r", expected=EMPTY)
        other = await backend.append("talk", say(), request_id="r", expected=Position("zzzzzzzz0000", 9))
        assert first.position == again.position == other.position

    async def test_ids_belong_to_their_session(self, backend: Backend) -> None:
        await backend.append("one", say(), request_id="r", fingerprint="f")
        await backend.append("two", say(), request_id="r", fingerprint="g")
        assert len(await backend.log("two")) == 1

    async def test_appends_without_an_id_are_never_taken_for_each_other(self, backend: Backend) -> None:
        await backend.append("talk", say(), fingerprint="f")
        await backend.append("talk", say(), fingerprint="f")
        assert len(await backend.log("talk")) == 2

    async def test_an_id_survives_a_clear(self, backend: Backend) -> None:
        first = await backend.append("talk", say(), request_id="r")
        cleared = await backend.history.clear("talk")
        again = await backend.append("talk", say(), request_id="r")
        assert again.position == first.position
        assert again.session == cleared

    async def test_an_id_survives_a_truncation(self, backend: Backend) -> None:
        first = await backend.append("talk", say(), say(), request_id="r")
        await backend.history.truncate("talk", remove_last=1)
        assert (await backend.append("talk", say(), say(), request_id="r")).receipts == first.receipts
        assert len(await backend.log("talk")) == 1

    async def test_an_id_ends_with_a_delete(self, backend: Backend) -> None:
        first = await backend.append("talk", say(), request_id="r", fingerprint="f")
        await asyncio.sleep(0.002)  # An epoch begins with the millisecond.
        await backend.store.delete("talk")
        await backend.create("talk")
        again = await backend.append("talk", say(), request_id="r", fingerprint="g")
        assert again.position.epoch > first.position.epoch
        assert len(await backend.log("talk")) == 1

    async def test_a_refused_append_leaves_its_id_free(self, backend: Backend) -> None:
        await backend.append("talk", say())
        with pytest.raises(PositionConflict):
            await backend.append("talk", say(), request_id="r", fingerprint="f", expected=EMPTY)
        assert (await backend.append("talk", say(), request_id="r", fingerprint="g")).position.sequence == 2

    async def test_the_same_request_many_times_at_once_is_done_once(self, backend: Backend) -> None:
        answers = await asyncio.gather(*(backend.append("talk", say(id="a"), request_id="r") for _ in range(30)))
        assert len({(answer.receipts, answer.position) for answer in answers}) == 1
        assert len(await backend.log("talk")) == 1

    @pytest.mark.parametrize("request_id", ["x" * 64, "é 漢 😀", "a b\nc", "*", "0", "{}"])
    async def test_an_id_may_be_any_text(self, backend: Backend, request_id: str) -> None:
        first = await backend.append("talk", say(), request_id=request_id)
        assert (await backend.append("talk", say(), request_id=request_id)).position == first.position

    async def test_too_many_ids_a_day_are_refused_and_the_known_ones_still_answered(self, backend: Backend) -> None:
        for start in range(0, REQUEST_IDS_PER_DAY, 100):
            await asyncio.gather(
                *(backend.append("talk", say("x"), request_id=f"r{start + number}") for number in range(100))
            )
        with pytest.raises(RateLimited) as refused:
            await backend.append("talk", say("x"), request_id="one more")
        assert 0 < refused.value.retry_after <= 86_400
        head = (await backend.store.get("talk")).position
        await backend.append("talk", say("x"), request_id="r0")
        assert (await backend.store.get("talk")).position == head
        assert (await backend.append("talk", say("x"))).position.sequence == REQUEST_IDS_PER_DAY + 1
        assert (await backend.append("other", say("x"), request_id="one more")).position.sequence == 1


class RequestsOverDaysContract(Contract):
    """How long a request id is remembered; needs a clock that may be moved."""

    @pytest.fixture(autouse=True)
    def _clock(self, backend: Backend) -> None:
        if not backend.movable_clock:
            pytest.skip("needs a store whose clock can be moved by days")

    @pytest.mark.parametrize("hour_of_day", [0, 11, 23])
    async def test_an_id_is_remembered_for_a_day(self, backend: Backend, hour_of_day: int) -> None:
        await backend.pass_time(hour_of_day * HOUR)
        first = await backend.append("talk", say(), request_id="r")
        await backend.pass_time(24 * HOUR)
        assert (await backend.append("talk", say(), request_id="r")).position == first.position

    async def test_an_id_is_forgotten_after_two_days(self, backend: Backend) -> None:
        first = await backend.append("talk", say(), request_id="r")
        await backend.pass_time(48 * HOUR)
        assert (await backend.append("talk", say(), request_id="r")).position.sequence == first.position.sequence + 1

    async def test_an_id_ends_when_its_session_expires(self, backend: Backend) -> None:
        await backend.store.create("talk", NewSession(ttl=HOUR), allow_existing=False)
        await backend.append("talk", say(), request_id="r", fingerprint="f")
        await backend.pass_time(HOUR)
        await backend.append("talk", say(), request_id="r", fingerprint="g")
        assert len(await backend.log("talk")) == 1

    async def test_the_next_day_has_room_again(self, backend: Backend) -> None:
        for number in range(REQUEST_IDS_PER_DAY):
            await backend.append("talk", say("x"), request_id=f"r{number}")
        with pytest.raises(RateLimited) as refused:
            await backend.append("talk", say("x"), request_id="one more")
        await backend.pass_time(int(refused.value.retry_after * 1000))
        assert (await backend.append("talk", say("x"), request_id="one more")).position.sequence == 10_001
