"""ReplyBuffer."""

import asyncio

import pytest
from contract.backend import Backend, Contract, say, witness
from session_svc.domain.errors import (
    InvalidName,
    PositionConflict,
    ReplyInProgress,
    ReplyLost,
    ReplyNotFound,
    ReplyStopped,
    SessionNotFound,
    TooLarge,
)
from session_svc.domain.events import Foreign, MessageAppended, ReplyEnded, ReplyExtended, ReplyStarted
from session_svc.domain.message import NewMessage, Role, Status
from session_svc.domain.reply import Chunk, Part, ReplyEnd, ReplyLease, ReplyStart, Text
from session_svc.storage.base import EMPTY, Expected

LEASE = 5000
SHORT = 1000


def reply(
    reply_id: str = "r",
    *messages: NewMessage,
    key: str = "key",
    lease: int = LEASE,
    expected: Expected = None,
) -> ReplyStart:
    """A start in session `talk`."""
    return ReplyStart("talk", reply_id, key, "bot", "model-1", lease, messages, expected)


async def begin(backend: Backend, start: ReplyStart) -> ReplyLease:
    """Takes the slot, which must be free."""
    lease = await backend.replies.start(start)
    assert isinstance(lease, ReplyLease)
    return lease


async def said(backend: Backend) -> tuple[Chunk, ...]:
    """What the reply in progress says so far."""
    snapshot = await backend.history.snapshot("talk", tail=0)
    assert snapshot.reply is not None
    return snapshot.reply.chunks


class RepliesContract(Contract):
    """A reply from its start to its end by its writer."""

    async def test_a_start_stores_the_turn_and_takes_the_slot_in_one_step(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say("question", id="q")))
        snapshot = await backend.history.snapshot("talk", tail=10)
        assert lease.accepted == 0
        assert lease.position == snapshot.session.position
        assert [message.id for message in snapshot.messages] == ["q"]
        assert snapshot.session.title == "question"
        assert snapshot.session.awaiting_reply
        assert snapshot.session.reply is not None
        assert (snapshot.session.reply.id, snapshot.session.reply.author) == ("r", "bot")
        assert snapshot.reply is not None
        assert (snapshot.reply.id, snapshot.reply.model, snapshot.reply.next_chunk) == ("r", "model-1", 0)

    async def test_the_slot_is_one(self, backend: Backend) -> None:
        await begin(backend, reply("r", say(id="q")))
        with pytest.raises(ReplyInProgress):
            await backend.replies.start(reply("other", say(id="never")))
        with pytest.raises(ReplyInProgress):
            await backend.replies.start(reply("r", key="another"))
        assert [message.id for message in await backend.log("talk")] == ["q"]

    async def test_of_many_writers_one_gets_the_slot(self, backend: Backend) -> None:
        await backend.append("talk", say())
        outcomes = await asyncio.gather(
            *(backend.replies.start(reply(f"r{number}")) for number in range(20)), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ReplyInProgress"] * 19 + ["ReplyLease"]

    async def test_a_start_needs_a_session_or_messages(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFound):
            await backend.replies.start(reply())
        with pytest.raises(InvalidName):
            await backend.replies.start(ReplyStart("no such name", "r", "k", "", "", LEASE, [say()]))

    async def test_a_start_elsewhere_than_expected_writes_nothing(self, backend: Backend) -> None:
        await backend.append("talk", say(id="a"))
        with pytest.raises(PositionConflict):
            await backend.replies.start(reply("r", say(), expected=EMPTY))
        assert [message.id for message in await backend.log("talk")] == ["a"]
        assert (await backend.store.get("talk")).reply is None

    async def test_text_and_parts_share_one_order(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say()))
        chunks: list[Chunk] = [Text("Hel", 2), Part("reasoning", '{ "a": 1.0 }'), Text('lo "\\ \n 🙂'), Text("!")]
        accepted = 0
        for chunk in chunks:
            accepted = await backend.replies.write(lease, accepted, [chunk])
        assert accepted == 5
        assert [chunk.text if isinstance(chunk, Text) else chunk for chunk in await said(backend)] == [
            "Hel",
            chunks[1],
            'lo "\\ \n 🙂!',
        ]
        end = await backend.replies.finish(lease, attributes="", messages=())
        [_, message] = await backend.log("talk")
        assert (message.id, message.role, message.content) == ("r", Role.ASSISTANT, 'Hello "\\ \n 🙂!')
        assert (message.author, message.model, message.status) == ("bot", "model-1", Status.COMPLETE)
        assert message.attributes == '{"parts":[{"type":"reasoning","data":{ "a": 1.0 }}]}'
        assert [(receipt.id, receipt.sequence) for receipt in end.receipts] == [("r", 2)]
        session = await backend.store.get("talk")
        assert end.position == session.position
        assert not session.awaiting_reply
        assert session.reply is None

    async def test_attributes_of_the_writers_own_replace_the_parts(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say()))
        await backend.replies.write(lease, 0, [Part("x", "{}"), Text("a")])
        await backend.replies.finish(lease, attributes='{"usage":{"n":1.50}}', messages=())
        assert (await backend.log("talk"))[-1].attributes == '{"usage":{"n":1.50}}'

    async def test_messages_of_the_writers_own_replace_the_text(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say()))
        await backend.replies.write(lease, 0, [Text("draft")])
        messages = [
            say("calling", Role.ASSISTANT, id="a"),
            say("42", Role.TOOL, id="t"),
            say("so", Role.ASSISTANT, id="r"),
        ]
        end = await backend.replies.finish(lease, attributes="", messages=messages)
        assert [receipt.id for receipt in end.receipts] == ["a", "t", "r"]
        assert [message.content for message in (await backend.log("talk"))[1:]] == ["calling", "42", "so"]

    async def test_a_failed_reply_is_kept_with_its_reason_even_when_empty(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say()))
        await backend.replies.fail(lease, reason="the model is away", attributes="")
        message = (await backend.log("talk"))[-1]
        assert (message.status, message.status_reason, message.content) == (Status.FAILED, "the model is away", "")

    async def test_events_tell_it_chunk_by_chunk(self, backend: Backend) -> None:
        async with witness(backend, "talk") as watch:
            lease = await begin(backend, reply("r", say(id="q")))
            await backend.replies.write(lease, 0, [Text("ab"), Part("p", "{}")])
            await backend.replies.write(lease, 2, [Text("c")])
            end = await backend.replies.finish(lease, attributes="", messages=())
            told = (await watch.told()).session
        kinds = [type(event) for event in told]
        assert kinds == [MessageAppended, ReplyStarted, ReplyExtended, ReplyExtended, ReplyExtended, ReplyEnded]
        assert [(event.first, event.end, event.chunk) for event in told if isinstance(event, ReplyExtended)] == [
            (0, 1, Text("ab")),
            (1, 2, Part("p", "{}")),
            (2, 3, Text("c")),
        ]
        assert {str(event.position) for event in told[:-1] if not isinstance(event, Foreign)} == {str(lease.position)}
        last = told[-1]
        assert isinstance(last, ReplyEnded)
        assert last.position == end.position
        assert last.message is not None
        assert (last.reply_id, last.message.content) == ("r", "abc")

    @pytest.mark.parametrize("request_id", ["reply/r", "request/reply/r", "r"])
    async def test_no_request_id_is_taken_for_an_ended_reply(self, backend: Backend, request_id: str) -> None:
        asked = await backend.append("talk", say(), request_id=request_id)
        lease = await begin(backend, reply("r"))
        end = await backend.replies.finish(lease, attributes="", messages=())
        assert (await backend.append("talk", say(), request_id=request_id)).receipts == asked.receipts
        assert await backend.replies.start(reply("r")) == end

    async def test_a_question_asked_meanwhile_still_awaits_a_reply(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say()))
        await backend.append("talk", say("and this?"))
        await backend.replies.finish(lease, attributes="", messages=())
        assert (await backend.store.get("talk")).awaiting_reply


class BrokenStreamContract(Contract):
    """A writer that breaks off, comes back, or repeats itself."""

    async def test_a_repeated_write_changes_nothing(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say()))
        for _ in range(2):
            assert await backend.replies.write(lease, 0, [Text("abc", 3)]) == 3
        assert [chunk.text for chunk in await said(backend) if isinstance(chunk, Text)] == ["abc"]

    async def test_the_writer_goes_on_where_it_was_and_its_old_stream_cannot(self, backend: Backend) -> None:
        start = reply("r", say(id="q"))
        old = await begin(backend, start)
        await backend.replies.write(old, 0, [Text("ab", 2)])
        new = await begin(backend, start)
        assert new.accepted == 2
        for late in ([Text("zombie")], ()):
            with pytest.raises(ReplyLost):
                await backend.replies.write(old, 2, late)
        with pytest.raises(ReplyLost):
            await backend.replies.finish(old, attributes="", messages=())
        await backend.replies.write(new, 2, [Text("c")])
        await backend.replies.finish(new, attributes="", messages=())
        assert [message.content for message in await backend.log("talk")][1:] == ["abc"]

    async def test_after_the_end_it_is_told_the_end_again(self, backend: Backend) -> None:
        start = reply("r", say())
        lease = await begin(backend, start)
        await backend.replies.write(lease, 0, [Text("abc")])
        end = await backend.replies.finish(lease, attributes="", messages=())
        assert await backend.replies.finish(lease, attributes="", messages=()) == end
        assert await backend.replies.start(start) == end
        assert isinstance(end, ReplyEnd)
        with pytest.raises(ReplyLost):
            await backend.replies.start(reply("r", key="another"))
        assert len(await backend.log("talk")) == 2


class EndedByOthersContract(Contract):
    """A reply that somebody else, or time, ends."""

    async def test_a_stopped_reply_is_kept_as_interrupted_and_its_writer_told(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say()))
        await backend.replies.write(lease, 0, [Text("half")])
        message = await backend.replies.stop("talk", "r")
        assert message is not None
        assert (message.id, message.content, message.status) == ("r", "half", Status.INTERRUPTED)
        assert (await backend.log("talk"))[-1] == message
        with pytest.raises(ReplyStopped):
            await backend.replies.write(lease, 1, ())
        with pytest.raises(ReplyStopped):
            await backend.replies.finish(lease, attributes="", messages=())

    async def test_a_reply_that_said_nothing_leaves_no_message(self, backend: Backend) -> None:
        async with witness(backend, "talk") as watch:
            lease = await begin(backend, reply("r", say(id="q")))
            assert await backend.replies.stop("talk", "") is None
            told = (await watch.told()).session
        assert told[-1] == ReplyEnded(lease.position, "r", None)

    async def test_there_must_be_such_a_reply_to_stop(self, backend: Backend) -> None:
        with pytest.raises(SessionNotFound):
            await backend.replies.stop("talk", "")
        await backend.append("talk", say())
        with pytest.raises(ReplyNotFound):
            await backend.replies.stop("talk", "")
        await begin(backend, reply("r"))
        with pytest.raises(ReplyNotFound):
            await backend.replies.stop("talk", "another")

    async def test_an_abandoned_reply_is_ended_once_when_its_lease_is_over(self, backend: Backend) -> None:
        async with witness(backend, "talk") as watch:
            lease = await begin(backend, reply("r", say(), lease=SHORT))
            await backend.replies.write(lease, 0, [Text("half")])
            await backend.store.settle_due()
            assert (await backend.store.get("talk")).reply is not None
            await backend.pass_time(SHORT)
            await asyncio.gather(*(backend.store.settle_due() for _ in range(5)))
            told = (await watch.told()).session
        assert [type(event) for event in told].count(ReplyEnded) == 1
        message = (await backend.log("talk"))[1]
        assert (message.content, message.status) == ("half", Status.INTERRUPTED)
        with pytest.raises(ReplyLost):
            await backend.replies.write(lease, 1, [Text("late")])

    async def test_any_write_keeps_the_lease(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say(), lease=SHORT))
        for _ in range(3):
            await backend.pass_time(SHORT * 2 // 3)
            await backend.replies.write(lease, 0, ())
            await backend.store.settle_due()
        assert (await backend.store.get("talk")).reply is not None

    async def test_a_start_ends_what_was_abandoned(self, backend: Backend) -> None:
        await begin(backend, reply("r", say(), lease=SHORT))
        await backend.pass_time(SHORT)
        await begin(backend, reply("next"))

    async def test_a_session_outlives_its_ttl_while_a_reply_is_written(self, backend: Backend) -> None:
        await backend.create("talk", ttl=1000)
        lease = await begin(backend, reply("r", say()))
        assert (await backend.store.get("talk")).expire_time is None
        await backend.pass_time(1500)
        await backend.store.settle_due()
        await backend.replies.finish(lease, attributes="", messages=())
        assert (await backend.store.get("talk")).expire_time is not None

    @pytest.mark.parametrize("how", ["clear", "truncate", "delete"])
    async def test_it_goes_with_the_messages_of_its_session(self, backend: Backend, how: str) -> None:
        lease = await begin(backend, reply("r", say()))
        await backend.replies.write(lease, 0, [Text("half")])
        match how:
            case "clear":
                await backend.history.clear("talk")
            case "truncate":
                await backend.history.truncate("talk", remove_last=1)
            case _:
                await backend.store.delete("talk")
        with pytest.raises(ReplyLost):
            await backend.replies.write(lease, 1, [Text("late")])
        if how != "delete":
            with pytest.raises(ReplyLost):  # Its writer, who has not heard of it, does not begin it anew.
                await begin(backend, reply("r", say()))
            assert await backend.log("talk") == []
            assert (await backend.store.get("talk")).reply is None

    async def test_one_that_grows_too_large_is_ended_without_the_last_frame(self, backend: Backend) -> None:
        lease = await begin(backend, reply("r", say()))
        half = "é" * 262_144
        assert await backend.replies.write(lease, 0, [Text(half)]) == 1
        assert await backend.replies.write(lease, 1, [Text(half)]) == 2
        with pytest.raises(TooLarge):
            await backend.replies.write(lease, 2, [Text("!")])
        message = (await backend.log("talk"))[-1]
        assert (message.content == half * 2, message.status) == (True, Status.INTERRUPTED)
        with pytest.raises(TooLarge):
            await backend.replies.write(lease, 2, ())
