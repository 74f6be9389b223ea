"""Calls that wait for their clients: which are given up when memory or their time runs out, and what those hear."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import grpc
import pytest
from aichat_runtime.memory import MemoryGuard
from session_svc.domain.errors import InvalidField, RateLimited, SessionServiceError, WatcherTooSlow
from session_svc.transport.access import TABLE
from session_svc.transport.caller import Caller
from session_svc.transport.capacity import Patience
from session_svc.transport.guard import Context, Guard
from session_svc.transport.open_calls import OpenCall, OpenCalls
from session_svc.transport.relief import Relief
from session_svc.transport.streams import OpenStream, Streams
from structlog.testing import capture_logs

DEADLINE_SECONDS = 60
LIMIT = 100
CALLER = Caller((), "here")
Outcome = SessionServiceError | None


class Client:
    """As much of gRPC's context as waits for a client, who sends a request and makes room when told to."""

    def __init__(self) -> None:
        self.sends: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.makes_room = asyncio.Event()
        self.has_left = False

    async def read(self) -> bytes:
        return await self.sends

    async def write(self, _: object) -> None:
        if self.has_left:
            raise grpc.aio.InternalError
        await self.makes_room.wait()

    @property
    def context(self) -> Context:
        return cast("Context", self)


class World:
    """Calls and streams in tasks of their own, which return what their client would hear; and the process's memory."""

    def __init__(self, patience: Patience, most: int = 100) -> None:
        self.resident = 0
        self.is_broken = False
        """Whether the next look at the memory is a defect."""
        guard = Guard()
        memory = MemoryGuard(LIMIT, resident=self._look, give_back=lambda: None)
        self.calls = OpenCalls(guard, most, patience, lambda: None)
        self.streams = Streams(guard, most, patience, lambda: None)
        self.relief = Relief(memory, (self.calls,), self.streams)
        self.tasks: list[asyncio.Task[Outcome]] = []

    def _look(self) -> int:
        if self.is_broken:
            self.is_broken = False
            raise ZeroDivisionError
        return self.resident

    async def begin(
        self, work: Callable[[OpenCall | OpenStream], Awaitable[object]], *, stream: bool = False
    ) -> "asyncio.Task[Outcome]":
        """A call, or a stream, that does `work`; returns its task, once it has begun."""
        begun = asyncio.Event()

        async def handle() -> Outcome:
            try:
                held = (
                    self.streams.begin("WatchSession", TABLE["WatchSession"], CALLER)
                    if stream
                    else self.calls.begin(TABLE["GetSession"], CALLER)
                )
                begun.set()
                await work(held)
            except SessionServiceError as error:
                begun.set()
                return error
            return None

        self.tasks.append(asyncio.create_task(handle()))
        await begun.wait()
        await asyncio.sleep(0)
        return self.tasks[-1]

    async def sending(self, client: Client) -> "asyncio.Task[Outcome]":
        """A call whose request is on its way."""
        return await self.begin(lambda call: cast("OpenCall", call).request(client.context))

    async def serving(self) -> "asyncio.Task[Outcome]":
        """A call that is being worked on."""
        return await self.begin(lambda _: asyncio.Event().wait())

    async def answering(self) -> "asyncio.Task[Outcome]":
        """A call whose client takes its time with the answer."""

        async def answer(call: OpenCall | OpenStream) -> None:
            cast("OpenCall", call).answered()
            await asyncio.Event().wait()

        return await self.begin(answer)

    async def opening(self, client: Client) -> "asyncio.Task[Outcome]":
        """A stream whose first message is on its way."""
        return await self.begin(lambda stream: cast("OpenStream", stream).first(client.context), stream=True)

    async def writing(self, client: Client) -> "asyncio.Task[Outcome]":
        """A stream whose client has no room."""
        return await self.begin(lambda stream: cast("OpenStream", stream).write(client.context, b""), stream=True)

    async def watching(self) -> "asyncio.Task[Outcome]":
        """A stream on which nothing happens."""
        return await self.begin(lambda _: asyncio.Event().wait(), stream=True)


@asynccontextmanager
async def world(patience: Patience | None = None, most: int = 100) -> AsyncIterator[World]:
    made = World(patience or Patience(), most)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS), made.relief.running():
            yield made
    finally:
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


async def torn_down(task: "asyncio.Task[Outcome]") -> None:
    """Waits until it has been cancelled."""
    await asyncio.wait((task,))
    assert task.cancelled()


async def test_while_there_is_too_much_memory_nothing_new_begins_and_who_keeps_it_waiting_is_given_up() -> None:
    async with world() as at:
        at.relief.check()
        sends, answered, writes = await at.sending(Client()), await at.answering(), await at.writing(Client())
        works, watches = await at.serving(), await at.watching()
        at.resident = LIMIT + 1
        heard = await sends
        assert isinstance(heard, RateLimited)
        assert heard.retry_after > 0
        await torn_down(answered)
        await torn_down(writes)
        with pytest.raises(RateLimited, match="memory") as refused:
            at.relief.check()
        assert refused.value.retry_after > 0
        assert not works.done()
        assert not watches.done()


async def test_memory_is_not_taken_from_those_that_have_waited_for_a_moment_only() -> None:
    async with world() as at:
        tasks = [await at.sending(Client()), await at.answering(), await at.writing(Client())]
        since = asyncio.get_running_loop().time() - 1000
        at.calls.relieve(since)
        at.streams.relieve(since)
        await asyncio.sleep(0)
        assert not any(task.done() or task.cancelling() for task in tasks)


async def test_who_has_sent_its_request_or_made_room_is_not_waited_for_any_more() -> None:
    async with world() as at:
        sender, reader = Client(), Client()
        read, written = asyncio.Event(), asyncio.Event()

        async def serve(call: OpenCall | OpenStream) -> None:
            await cast("OpenCall", call).request(sender.context)
            read.set()
            await asyncio.Event().wait()

        async def watch(stream: OpenStream | OpenCall) -> None:
            await cast("OpenStream", stream).write(reader.context, b"")
            written.set()
            await asyncio.Event().wait()

        tasks = [await at.begin(serve), await at.begin(watch, stream=True)]
        sender.sends.set_result(b"")
        reader.makes_room.set()
        await asyncio.gather(read.wait(), written.wait())
        later = asyncio.get_running_loop().time() + 1000
        at.calls.relieve(later)
        at.streams.relieve(later)
        await asyncio.sleep(0)
        assert not any(task.done() or task.cancelling() for task in tasks)


async def test_a_call_whose_time_is_over_hears_so_while_it_sends_and_is_torn_down_otherwise() -> None:
    async with world(Patience(call=0.1)) as at:
        sends, works, answered = await at.sending(Client()), await at.serving(), await at.answering()
        heard = await sends
        assert isinstance(heard, InvalidField)
        assert "at once" in str(heard)
        await torn_down(works)
        await torn_down(answered)
        await asyncio.sleep(0)
        assert len(at.calls) == 0


@pytest.mark.parametrize(("last_words", "is_torn_down"), [(0.1, True), (1000.0, False)])
async def test_a_call_has_its_last_words_to_take_its_refusal_and_no_longer(
    last_words: float, is_torn_down: bool
) -> None:
    async with world(Patience(call=0.1, last_words=last_words)) as at:
        refused = asyncio.Event()

        async def refuse(call: OpenCall | OpenStream) -> None:
            with pytest.raises(InvalidField):
                await cast("OpenCall", call).request(Client().context)
            refused.set()
            await asyncio.Event().wait()

        task = await at.begin(refuse)
        await refused.wait()
        if is_torn_down:
            await torn_down(task)
        else:
            at.calls.end_overdue(asyncio.get_running_loop().time() + 1000)
            await asyncio.sleep(0)
            assert not task.cancelling()


async def test_who_sends_no_request_hears_that_there_is_none() -> None:
    async with world() as at:
        client = Client()
        client.sends.set_result(cast("bytes", grpc.aio.EOF))
        assert isinstance(await (await at.sending(client)), InvalidField)
        assert isinstance(await (await at.opening(client)), InvalidField)


async def test_a_stream_whose_first_message_does_not_come_in_time_hears_so() -> None:
    async with world(Patience(request=0.1)) as at:
        heard = await (await at.opening(Client()))
        assert isinstance(heard, InvalidField)
        assert "at once" in str(heard)


async def test_a_stream_whose_client_makes_no_room_is_torn_down_once_it_has_had_its_last_words() -> None:
    async with world(Patience(writing=0.1, last_words=0.1)) as at:
        await torn_down(await at.writing(Client()))


async def test_a_stream_whose_client_makes_room_late_hears_that_it_was_too_slow() -> None:
    async with world(Patience(writing=0.1, last_words=1000.0)) as at:
        client = Client()
        writes = await at.writing(client)
        [stream] = at.streams
        while not stream.is_ended:  # noqa: ASYNC110 - Nothing tells but this.
            await asyncio.sleep(0.01)
        assert not writes.done()
        client.makes_room.set()
        assert isinstance(await writes, WatcherTooSlow)


async def test_a_stream_whose_client_has_left_is_over_without_a_reason() -> None:
    async with world() as at:
        client = Client()
        client.has_left = True
        await torn_down(await at.writing(client))


async def test_so_many_calls_are_under_way_at_once_and_each_makes_room_when_it_has_ended() -> None:
    async with world(most=2) as at:
        client = Client()
        first = await at.sending(client)
        await at.serving()
        refused = await (await at.serving())
        assert isinstance(refused, RateLimited)
        assert "2 calls" in str(refused)
        assert refused.retry_after > 0
        client.sends.set_result(b"")
        assert await first is None
        assert len(at.calls) == 1
        assert not (await at.serving()).done()


async def test_calls_go_on_being_ended_in_time_after_a_defect() -> None:
    async with world(Patience(call=0.1)) as at:
        at.is_broken = True
        await torn_down(await at.serving())
        assert not at.is_broken
        await torn_down(await at.serving())


async def test_the_log_says_once_that_there_is_too_much_memory_and_once_that_there_is_not() -> None:
    with capture_logs() as logs:
        async with world() as at:
            for resident, told in ((LIMIT + 1, [True]), (0, [True, False])):
                at.resident = resident
                while [log["exceeded"] for log in logs] != told:  # noqa: ASYNC110 - Nothing tells but the log.
                    await asyncio.sleep(0.01)
