"""Writing replies across broken streams, and how they end."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
import pytest
from ai_chat_client import ROLE_USER, AsyncClient, Backoff, Message, ReplyWriter, RetryPolicy
from ai_chat_client.errors import ConflictError, NotFoundError, ReplyLost, ReplyStopped, UnavailableError
from aichat.session.v1 import session_service_pb2 as api
from hypothesis import given, settings
from hypothesis import strategies as st

from .scripted import Context, refuse, serving
from .slot import Break, Cut, ReplySlot

AT_ONCE = RetryPolicy(timeout=10.0, backoff=Backoff(initial=0.0))
Code = grpc.StatusCode

says = st.lists(st.one_of(st.text(max_size=5), st.integers(0, 99)), max_size=12)
breaks = st.lists(
    st.builds(Break, at=st.integers(0, 8), stored=st.booleans(), how=st.sampled_from(Cut)), max_size=5
).map(deque)


async def write_until_told(client: AsyncClient) -> None:
    """Raises what the writer is told."""
    async with asyncio.timeout(60), client.reply("s", messages=[Message(role=ROLE_USER, content="?")]) as reply:
        await reply.write("x")
        await asyncio.Event().wait()


@asynccontextmanager
async def writing(slot: ReplySlot, *, lease: timedelta | None = None) -> AsyncIterator[ReplyWriter]:
    async with (
        serving(StreamReply=slot.stream) as server,
        AsyncClient(server, policy=AT_ONCE) as client,
        client.reply("s", author="a", model="m", lease=lease) as reply,
    ):
        yield reply


async def write_all(slot: ReplySlot, said: list[str | int]) -> str:
    async with asyncio.timeout(60), writing(slot) as reply:
        for piece in said:
            await (reply.write(piece) if isinstance(piece, str) else reply.part("number", f'{{"n":{piece}}}'))
        await reply.finish(attributes='{"usage":1}')
    return "".join(piece if isinstance(piece, str) else f'{{"n":{piece}}}' for piece in said)


@settings(max_examples=60, deadline=None)
@given(said=says, breaks=breaks)
def test_wherever_streams_break_every_frame_is_stored_once_and_in_order(
    said: list[str | int], breaks: deque[Break]
) -> None:
    slot = ReplySlot(breaks)
    expected = asyncio.run(write_all(slot, said))
    assert slot.text == expected
    assert slot.ending is not None
    assert slot.ending.finish.attributes == '{"usage":1}'
    assert slot.endings == 1
    assert len({(start.reply_id, start.writer_key) for start in slot.starts}) == 1, "one reply, whatever happens"


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("how", Cut)
async def test_a_stream_cut_at_each_of_its_frames_is_taken_up_again(how: Cut, stored: bool) -> None:
    said: list[str | int] = ["one ", "two ", 3, "four ", "five"]
    for at in range(len(said) + 2):
        slot = ReplySlot(deque([Break(at, stored, how)]))
        expected = await write_all(slot, said)
        assert slot.text == expected, f"cut at frame {at}"


async def test_each_stream_names_the_reply_and_what_it_answers() -> None:
    slot = ReplySlot(deque([Break(1, stored=True, how=Cut.DRAINING)]))
    async with serving(StreamReply=slot.stream) as server, AsyncClient(server, policy=AT_ONCE) as client:
        question = Message(role=ROLE_USER, content="?")
        async with client.reply("s", messages=[question], expected_position="", lease=timedelta(seconds=7)) as reply:
            assert reply.position == "e.1"
            await reply.write("x")
    assert len(slot.starts) == 2
    first, second = slot.starts
    for start in slot.starts:
        assert (start.session, start.reply_id, start.lease.seconds) == ("s", reply.id, 7)
        assert start.HasField("expected_position")
    assert (first.expected_position, list(first.messages)) == ("", [question])
    assert (second.expected_position, list(second.messages)) == ("e.1", []), "what began is not begun anew"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (Code.NOT_FOUND, "SESSION_NOT_FOUND"),
        (Code.ABORTED, "POSITION_CONFLICT"),
        (Code.ABORTED, "REPLY_IN_PROGRESS"),
    ],
)
async def test_a_reply_whose_session_was_deleted_while_its_stream_was_broken_is_lost(code: Code, reason: str) -> None:
    slot = ReplySlot(deque([Break(1, stored=True, how=Cut.DRAINING)]))

    async def stream(requests: AsyncIterator[api.StreamReplyRequest], context: Context) -> AsyncIterator[object]:
        if slot.starts:
            await refuse(context, code, reason)
        async for answer in slot.stream(requests, context):
            yield answer

    async with serving(StreamReply=stream) as server, AsyncClient(server, policy=AT_ONCE) as client:
        with pytest.raises(ReplyLost):
            await write_until_told(client)


async def test_a_slot_that_is_taken_is_an_error_at_the_door() -> None:
    async def stream(_requests: object, context: Context) -> AsyncIterator[None]:
        await refuse(context, Code.ABORTED, "REPLY_IN_PROGRESS")
        yield

    async with serving(StreamReply=stream) as server, AsyncClient(server) as client:
        with pytest.raises(ConflictError) as caught:
            async with client.reply("s"):
                pytest.fail("the block is entered without the slot")
    assert caught.value.reason == "REPLY_IN_PROGRESS"


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (Code.NOT_FOUND, "SESSION_NOT_FOUND", NotFoundError),
        (Code.ABORTED, "REPLY_LOST", ReplyLost),
        (Code.UNAVAILABLE, "STORE_UNAVAILABLE", UnavailableError),
    ],
)
async def test_a_reply_that_cannot_begin_says_why(code: grpc.StatusCode, reason: str, kind: type[Exception]) -> None:
    async def stream(_requests: object, context: Context) -> AsyncIterator[None]:
        await refuse(context, code, reason)
        yield

    policy = RetryPolicy(timeout=0.3, backoff=Backoff(initial=0.01))
    async with serving(StreamReply=stream) as server, AsyncClient(server, policy=policy) as client:
        with pytest.raises(kind):
            async with client.reply("s"):
                pytest.fail("the block is entered without the slot")


async def test_nobody_there_is_an_error_in_time() -> None:
    policy = RetryPolicy(timeout=0.5, backoff=Backoff(initial=0.01))
    async with AsyncClient("127.0.0.1:1", policy=policy) as client, asyncio.timeout(60):
        with pytest.raises(UnavailableError):
            async with client.reply("s"):
                pytest.fail("the block is entered without a server")


async def write_until_stopped(slot: ReplySlot) -> None:
    async with asyncio.timeout(60), writing(slot) as reply:
        await reply.write("so far")
        slot.stopped.set()
        await asyncio.Event().wait()


async def write_without_end(slot: ReplySlot) -> None:
    async with asyncio.timeout(60), writing(slot) as reply:
        slot.stopped.set()
        while True:
            await reply.write("on and on")


async def write_although_stopped(slot: ReplySlot) -> None:
    async with asyncio.timeout(60), writing(slot) as reply:
        slot.stopped.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        for attempt in (reply.write("more"), reply.finish(), reply.fail("no")):
            with pytest.raises(ReplyStopped):
                await attempt


@pytest.mark.parametrize("write", [write_until_stopped, write_without_end, write_although_stopped])
async def test_being_stopped_breaks_off_whatever_the_writer_does(write: Callable[[ReplySlot], Awaitable[None]]) -> None:
    slot = ReplySlot()
    with pytest.raises(ReplyStopped):
        await write(slot)
    assert slot.endings == 0
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "the interruption stays within the block"


async def test_a_cancellation_from_outside_is_not_taken_for_a_stop() -> None:
    slot = ReplySlot()
    begun = asyncio.Event()

    async def write() -> None:
        async with writing(slot):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await begun.wait()
    slot.stopped.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_leaving_the_block_finishes_the_reply() -> None:
    slot = ReplySlot()
    async with writing(slot) as reply:
        await reply.write("all")
    assert slot.ending is not None
    assert slot.ending.HasField("finish")
    with pytest.raises(RuntimeError, match="ended"):
        await reply.write("more")


async def test_an_exception_in_the_block_fails_the_reply_without_its_text() -> None:
    slot = ReplySlot()

    async def write() -> None:
        async with writing(slot) as reply:
            await reply.write("begun")
            raise ValueError("secret")

    with pytest.raises(ValueError, match="secret"):
        await write()
    assert slot.ending is not None
    assert slot.ending.fail.reason == "the writer failed (ValueError)"


async def test_a_cancelled_writer_leaves_a_clear_end() -> None:
    slot = ReplySlot()
    begun = asyncio.Event()

    async def write() -> None:
        async with writing(slot) as reply:
            await reply.write("begun")
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slot.ending is not None
    assert slot.ending.fail.reason == "the writer was cancelled"
    assert slot.text == "begun"


async def test_a_failure_says_what_its_writer_says() -> None:
    slot = ReplySlot()
    async with writing(slot) as reply:
        await reply.fail("the model is out of tea", attributes='{"a":1}')
    assert slot.ending is not None
    assert (slot.ending.fail.reason, slot.ending.fail.attributes) == ("the model is out of tea", '{"a":1}')


async def test_the_lease_is_renewed_while_there_is_nothing_to_say() -> None:
    slot = ReplySlot()
    async with asyncio.timeout(60), writing(slot, lease=timedelta(seconds=1)):
        await slot.renewed_thrice.wait()


async def test_a_long_text_arrives_whole() -> None:
    slot = ReplySlot(deque([Break(5, stored=True, how=Cut.UNREACHABLE)]))
    text = "".join(f"{n:07} " for n in range(30_000))
    assert await write_all(slot, [text]) == slot.text
    assert max(map(len, slot.frames)) < 100_000


@pytest.mark.parametrize(("type_", "data"), [("Bad Type", "{}"), ("ok", "[1]"), ("ok", '{"x":"' + "x" * 70_000 + '"}')])
async def test_what_is_no_part_is_refused_before_it_is_sent(type_: str, data: str) -> None:
    slot = ReplySlot()
    async with writing(slot) as reply:
        with pytest.raises(ValueError, match="part"):
            await reply.part(type_, data)
    assert slot.frames == []
