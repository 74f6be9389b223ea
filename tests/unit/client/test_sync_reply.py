"""Writing replies without an event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import grpc
import pytest
from ai_chat_client import Backoff, Client, RetryPolicy
from ai_chat_client.errors import ConflictError, ReplyStopped, UnavailableError
from ai_chat_client.sync_reply import SyncReplyWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from .scripted import Context, refuse, serving
from .slot import Break, Cut, ReplySlot

AT_ONCE = RetryPolicy(timeout=10.0, backoff=Backoff(initial=0.0))

says = st.lists(st.one_of(st.text(max_size=5), st.integers(0, 99)), max_size=12)
breaks = st.lists(
    st.builds(Break, at=st.integers(0, 8), stored=st.booleans(), how=st.sampled_from(Cut)), max_size=5
).map(deque)


async def in_thread(slot: ReplySlot, write: Callable[[SyncReplyWriter], None], *, lease: timedelta | None) -> None:
    def run(server: str) -> None:
        with Client(server, policy=AT_ONCE) as client, client.reply("s", author="a", lease=lease) as reply:
            write(reply)

    async with asyncio.timeout(60), serving(StreamReply=slot.stream) as server:
        await asyncio.to_thread(run, server)


def write(slot: ReplySlot, work: Callable[[SyncReplyWriter], None], *, lease: timedelta | None = None) -> None:
    """Runs `work` with a reply in `slot`, in a thread of its own."""
    asyncio.run(in_thread(slot, work, lease=lease))


def write_all(slot: ReplySlot, said: list[str | int]) -> str:
    def work(reply: SyncReplyWriter) -> None:
        for piece in said:
            if isinstance(piece, str):
                reply.write(piece)
            else:
                reply.part("number", f'{{"n":{piece}}}')
        reply.finish(attributes='{"usage":1}')

    write(slot, work)
    return "".join(piece if isinstance(piece, str) else f'{{"n":{piece}}}' for piece in said)


@settings(max_examples=40, deadline=None)
@given(said=says, breaks=breaks)
def test_wherever_streams_break_every_frame_is_stored_once_and_in_order(
    said: list[str | int], breaks: deque[Break]
) -> None:
    slot = ReplySlot(breaks)
    expected = write_all(slot, said)
    assert slot.text == expected
    assert slot.ending is not None
    assert slot.ending.finish.attributes == '{"usage":1}'
    assert slot.endings == 1
    assert len({(start.reply_id, start.writer_key) for start in slot.starts}) == 1, "one reply, whatever happens"


def test_leaving_the_block_finishes_the_reply_and_its_threads_end() -> None:
    slot = ReplySlot()
    write(slot, lambda reply: reply.write("all"))
    assert slot.ending is not None
    assert slot.ending.HasField("finish")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reply ")]


def test_an_exception_in_the_block_fails_the_reply_without_its_text() -> None:
    slot = ReplySlot()

    def work(reply: SyncReplyWriter) -> None:
        reply.write("begun")
        raise ValueError("secret")

    with pytest.raises(ValueError, match="secret"):
        write(slot, work)
    assert slot.ending is not None
    assert slot.ending.fail.reason == "the writer failed (ValueError)"


def test_a_failure_says_what_its_writer_says() -> None:
    slot = ReplySlot()
    write(slot, lambda reply: _ignore(reply.fail("no tea", attributes='{"a":1}')))
    assert slot.ending is not None
    assert (slot.ending.fail.reason, slot.ending.fail.attributes) == ("no tea", '{"a":1}')


def _ignore(_: object) -> None:
    pass


def test_the_lease_is_renewed_while_there_is_nothing_to_say() -> None:
    slot = ReplySlot()

    def work(_: SyncReplyWriter) -> None:
        while not slot.renewed_thrice.is_set():  # Set in the thread that serves.
            threading.Event().wait(0.02)

    write(slot, work, lease=timedelta(seconds=1))


class Waiting:
    """Something else that a writer waits for, in which nothing ever comes until it is ended."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def end(self, *_: object) -> None:
        self._ended.set()

    def next(self) -> str:
        assert self._ended.wait(60), "nobody ended it"
        raise OSError("ended")


def stop(slot: ReplySlot, reply: SyncReplyWriter) -> None:
    """Somebody else stops the reply."""
    reply.write("a")
    while slot.text != "a":
        threading.Event().wait(0.01)
    slot.stop()


def test_who_waits_elsewhere_is_woken_by_a_callback_when_others_stop_the_reply() -> None:
    slot, elsewhere = ReplySlot(), Waiting()

    def work(reply: SyncReplyWriter) -> None:
        reply.add_done_callback(elsewhere.end)
        stop(slot, reply)
        reply.write(elsewhere.next())

    with pytest.raises(ReplyStopped) as stopped:
        write(slot, work)
    assert isinstance(stopped.value.__cause__, OSError), "what the writer ran into is not hidden"


def test_a_writer_that_was_told_of_its_end_leaves_by_what_it_raises_itself() -> None:
    slot = ReplySlot()

    def work(reply: SyncReplyWriter) -> None:
        stop(slot, reply)
        while not reply.done():
            threading.Event().wait(0.01)
        try:
            reply.write("more")
        except ReplyStopped:
            raise LookupError("my own word for it") from None

    with pytest.raises(LookupError):
        write(slot, work)


def test_a_callback_is_called_at_once_when_the_reply_has_ended_already() -> None:
    slot, called = ReplySlot(), Waiting()

    def work(reply: SyncReplyWriter) -> None:
        assert not reply.done()
        reply.finish()
        assert reply.done()
        reply.add_done_callback(called.end)
        with pytest.raises(OSError, match="ended"):
            called.next()

    write(slot, work)


@contextmanager
def refusing(code: grpc.StatusCode, reason: str) -> Iterator[Callable[[Callable[[str], None]], None]]:
    async def stream(_requests: object, context: Context) -> AsyncIterator[None]:
        await refuse(context, code, reason)
        yield

    async def serve(work: Callable[[str], None]) -> None:
        async with serving(StreamReply=stream) as server:
            await asyncio.to_thread(work, server)

    yield lambda work: asyncio.run(serve(work))


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (grpc.StatusCode.ABORTED, "REPLY_IN_PROGRESS", ConflictError),
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", UnavailableError),
    ],
)
def test_a_reply_that_cannot_begin_says_why(code: grpc.StatusCode, reason: str, kind: type[Exception]) -> None:
    def work(server: str) -> None:
        policy = RetryPolicy(timeout=0.3, backoff=Backoff(initial=0.01))
        with Client(server, policy=policy) as client, pytest.raises(kind), client.reply("s"):
            pytest.fail("the block is entered without the slot")

    with refusing(code, reason) as served:
        served(work)
