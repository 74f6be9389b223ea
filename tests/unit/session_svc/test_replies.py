"""Writing a reply: whatever the chunking and however often the stream breaks, what is kept is what was written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_svc.application import replies as module
from session_svc.application.outbox import Outbox
from session_svc.application.replies import Fail, Finish, Frame, Renew, Replies
from session_svc.bus.memory import InMemoryStreamBus
from session_svc.domain.errors import InvalidField, ReplyLost, StoreUnavailable
from session_svc.domain.limits import REPLY_BYTES, RESPONSE_BYTES
from session_svc.domain.message import Message, NewMessage, Role
from session_svc.domain.reply import Chunk, Part, ReplyEnd, ReplyLease, ReplyStart, Text
from session_svc.domain.weight import chunk_bytes, sent_chunk_bytes
from session_svc.storage.memory import InMemoryStorage
from session_svc.storage.memory.replies import InMemoryReplyBuffer

START = ReplyStart("talk", "r", "key", "bot", "", 5000, [NewMessage(Role.USER, "why?")])


class SlowBuffer(InMemoryReplyBuffer):
    """Time passes before and after each write."""

    writes = 0

    async def write(self, lease: ReplyLease, accepted: int, chunks: Sequence[Chunk]) -> int:
        self.writes += bool(chunks)
        for _ in range(3):
            await asyncio.sleep(0)
        frames = await super().write(lease, accepted, chunks)
        await asyncio.sleep(0)
        return frames


class World:
    """Storage, and two replicas that write to it."""

    def __init__(self) -> None:
        bus = InMemoryStreamBus()
        self.storage = InMemoryStorage(bus)
        self.buffer = SlowBuffer(self.storage.store._state)
        self.replicas = [Replies(self.buffer, bus), Replies(self.buffer, bus)]

    async def log(self) -> list[Message]:
        page = await self.storage.history.page("talk", start=1, limit=100, newest_first=False)
        return list(page.messages)


async def feed(frames: Sequence[Frame], pauses: Sequence[int]) -> AsyncIterator[Frame]:
    for place, frame in enumerate(frames):
        for _ in range(pauses[place % len(pauses)] if pauses else 0):
            await asyncio.sleep(0)
        yield frame


CHUNKS = st.lists(st.one_of(st.text("ab 🙂", max_size=3).map(Text), st.just(Part("p", "{}"))), max_size=40)


@settings(max_examples=200, deadline=None)
@given(chunks=CHUNKS, pauses=st.lists(st.integers(0, 6), max_size=8), breaks=st.lists(st.integers(0, 60), max_size=4))
def test_a_reply_resumed_at_another_replica_loses_and_doubles_no_frame(
    chunks: list[Chunk], pauses: list[int], breaks: list[int]
) -> None:
    async def play() -> None:
        world = World()

        async def write(replica: int) -> ReplyEnd | None:
            frames: list[Frame] = [*chunks]
            async with aclosing(world.replicas[replica % 2].write(START, source())) as outcomes:
                async for outcome in outcomes:
                    if isinstance(outcome, ReplyEnd):
                        return outcome
                    rest.extend([*frames[outcome.accepted :], Finish()])
            return None

        rest: list[Frame] = []

        async def source() -> AsyncIterator[Frame]:
            async for frame in feed(rest, pauses):
                yield frame

        for attempt, turns in enumerate(breaks):
            rest.clear()
            writer = asyncio.create_task(write(attempt))
            for _ in range(turns):
                await asyncio.sleep(0)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
        rest.clear()
        end = await write(len(breaks))
        assert end is not None
        message = (await world.log())[-1]
        assert len(await world.log()) == 2
        assert message.content == "".join(chunk.text for chunk in chunks if isinstance(chunk, Text))
        assert message.attributes.count('"p"') == sum(isinstance(chunk, Part) for chunk in chunks)

    asyncio.run(play())


@pytest.fixture
def world() -> World:
    return World()


async def written(world: World, frames: AsyncIterator[Frame], start: ReplyStart = START) -> ReplyEnd:
    async with asyncio.timeout(60), aclosing(world.replicas[0].write(start, frames)) as outcomes:
        async for outcome in outcomes:
            if isinstance(outcome, ReplyEnd):
                return outcome
    raise AssertionError("no end")


async def test_texts_that_come_while_the_store_is_busy_are_written_together(world: World) -> None:
    await written(world, feed([*[Text("x")] * 1000, Renew(), Finish()], [0]))
    assert (await world.log())[-1].content == "x" * 1000
    assert world.buffer.writes < 20


async def test_a_stream_that_breaks_off_keeps_what_it_said(world: World) -> None:
    with pytest.raises(InvalidField):
        await written(world, feed([Text("half")], [0]))
    reply = (await world.storage.history.snapshot("talk", tail=0)).reply
    assert reply is not None
    assert reply.chunks == (Text("half"),)


async def test_messages_get_ids_and_the_last_one_that_of_the_reply(world: World) -> None:
    end = await written(
        world, feed([Finish(messages=(NewMessage(Role.TOOL, "a"), NewMessage(Role.ASSISTANT, "b")))], [0])
    )
    first, second, third = [message.id for message in await world.log()]
    assert first
    assert second
    assert third == "r"
    assert [receipt.id for receipt in end.receipts] == [second, third]


async def test_a_failure_is_kept(world: World) -> None:
    await written(world, feed([Fail("away", '{"a":1}')], [0]))
    message = (await world.log())[-1]
    assert (message.status_reason, message.attributes) == ("away", '{"a":1}')


async def test_a_stream_whose_reply_another_one_took_over_is_told_at_its_next_frame(world: World) -> None:
    taken = asyncio.Event()

    async def frames() -> AsyncIterator[Frame]:
        yield Text("a")
        await taken.wait()
        yield Text("b")
        await asyncio.Event().wait()

    old = asyncio.create_task(written(world, frames()))
    for _ in range(50):
        await asyncio.sleep(0)
    lease = await world.buffer.start(START)
    assert isinstance(lease, ReplyLease)
    assert lease.accepted == 1
    taken.set()
    with pytest.raises(ReplyLost):
        await old


async def test_a_writer_silent_for_longer_than_its_lease_could_last_is_let_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.05)

    async def silence() -> AsyncIterator[Frame]:
        await asyncio.Event().wait()
        yield Renew()

    start = ReplyStart("talk", "r", "key", "bot", "", 100, START.messages)
    with pytest.raises(StoreUnavailable):  # Nothing here looks for replies whose lease is over.
        await written(world, silence(), start)


async def test_however_fast_the_store_is_a_fast_writer_costs_it_few_writes(world: World) -> None:
    async def tokens() -> AsyncIterator[Frame]:
        for _ in range(100):
            await asyncio.sleep(0.001)  # As a model speaks: one after the other.
            yield Text("word ")
        yield Finish()

    loop = asyncio.get_running_loop()
    began = loop.time()
    await written(world, tokens())
    assert world.buffer.writes <= (loop.time() - began) / module.WRITE_INTERVAL_SECONDS + 2
    assert (await world.log())[-1].content == "word " * 100


async def test_a_writer_faster_than_the_store_waits() -> None:
    outbox = Outbox()
    await outbox.add(Text("x" * 300_000))
    adding = asyncio.create_task(outbox.add(Text("y")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not adding.done()
    assert outbox.take() == [Text("x" * 300_000)]
    await adding
    assert outbox.take() == [Text("y")]


@pytest.mark.parametrize("part", [Part("t", "{}"), Part("t" * 64, "{}"), Part("t" * 64, '{"a":"' + "x" * 4089 + '"}')])
def test_a_reply_of_small_parts_fits_a_response_and_its_attributes_too(part: Part) -> None:
    count = REPLY_BYTES // chunk_bytes(part)
    assert count * sent_chunk_bytes(part) < RESPONSE_BYTES
    as_json = len(f'{{"type":"{part.type}","data":{part.data}}},')
    assert count * as_json < RESPONSE_BYTES - 256 * 1024


def test_large_parts_count_what_they_hold() -> None:
    assert chunk_bytes(Part("t" * 64, "x" * 65_536)) == 65_536
