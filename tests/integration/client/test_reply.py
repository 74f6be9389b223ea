"""Writing replies to the real service."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from ai_chat_client import (
    MESSAGE_STATUS_COMPLETE,
    MESSAGE_STATUS_FAILED,
    ROLE_USER,
    AsyncClient,
    Client,
    Message,
)
from ai_chat_client.errors import ConflictError, NotFoundError, ReplyLost, ReplyStopped
from support.until import STALL_SECONDS

from .conftest import Stack

QUESTION = [Message(role=ROLE_USER, content="?")]


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(stack.server) as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


async def messages(client: AsyncClient, session: str) -> list[Message]:
    return [message async for message in client.messages(session)]


async def test_a_reply_becomes_a_message_with_what_was_given(client: AsyncClient, name: str) -> None:
    async with client.reply(name, author="ada", model="m", messages=QUESTION) as reply:
        await reply.write("one ")
        await reply.part("source", {"url": "https://example.com"})
        await reply.write("two")
        finished = await reply.finish(attributes='{"usage":{"n":1}}')
    question, answer = await messages(client, name)
    assert question.content == "?"
    assert (answer.id, answer.author, answer.model) == (reply.id, "ada", "m")
    assert (answer.content, answer.status) == ("one two", MESSAGE_STATUS_COMPLETE)
    assert answer.attributes == '{"usage":{"n":1}}'
    assert finished.messages[0].sequence == answer.sequence


async def test_a_failed_reply_is_kept_with_its_reason(client: AsyncClient, name: str) -> None:
    async with client.reply(name, messages=QUESTION) as reply:
        await reply.write("so far")
        await reply.fail("no more tea")
    answer = (await messages(client, name))[-1]
    assert (answer.content, answer.status, answer.status_reason) == ("so far", MESSAGE_STATUS_FAILED, "no more tea")


async def test_the_slot_is_for_one(client: AsyncClient, name: str) -> None:
    async with client.reply(name, messages=QUESTION):
        with pytest.raises(ConflictError) as caught:
            await client.reply(name).__aenter__()
    assert caught.value.reason == "REPLY_IN_PROGRESS"


async def test_a_head_that_moved_is_a_conflict_that_says_where_it_is(client: AsyncClient, name: str) -> None:
    head = (await client.append_messages(name, QUESTION)).position
    with pytest.raises(ConflictError) as caught:
        await client.reply(name, expected_position="").__aenter__()
    assert (caught.value.reason, caught.value.position) == ("POSITION_CONFLICT", head)


async def test_a_reply_needs_a_session_or_messages(client: AsyncClient, name: str) -> None:
    with pytest.raises(NotFoundError):
        await client.reply(name).__aenter__()


async def stop(client: AsyncClient, session: str) -> None:
    await client.stop_reply(session)


async def clear(client: AsyncClient, session: str) -> None:
    await client.clear_session(session)


async def delete(client: AsyncClient, session: str) -> None:
    await client.delete_session(session)


@pytest.mark.parametrize(("end", "kind"), [(stop, ReplyStopped), (clear, ReplyLost), (delete, ReplyLost)])
async def test_its_writer_hears_at_once_that_a_reply_was_ended_by_others(
    client: AsyncClient, name: str, end: Callable[[AsyncClient, str], Awaitable[None]], kind: type[Exception]
) -> None:
    async def write() -> None:
        reply = client.reply(name, messages=QUESTION, lease=timedelta(seconds=60))
        async with asyncio.timeout(STALL_SECONDS), reply:
            await reply.write("so far")
            await end(client, name)
            await asyncio.Event().wait()

    with pytest.raises(kind):
        await write()


async def test_silence_longer_than_the_lease_does_not_end_a_reply(client: AsyncClient, name: str) -> None:
    async with client.reply(name, messages=QUESTION, lease=timedelta(seconds=2)) as reply:
        await reply.write("a ")
        await asyncio.sleep(3)  # The silence itself is what is tested.
        await reply.write("b")
    assert (await messages(client, name))[-1].content == "a b"


async def test_a_reply_survives_the_service_and_the_store_being_killed(
    stack: Stack, client: AsyncClient, name: str
) -> None:
    async with asyncio.timeout(60), client.reply(name, messages=QUESTION) as reply:
        for n in range(400):
            await reply.write(f"{n} ")
            if n in {100, 300}:
                await asyncio.to_thread(stack.svc.kill)
                stack.svc.start()
            if n == 200:
                await asyncio.to_thread(stack.redis.kill)
                stack.redis.start()
    answer = (await messages(client, name))[-1]
    assert answer.content == "".join(f"{n} " for n in range(400))
    assert answer.status == MESSAGE_STATUS_COMPLETE


async def test_a_writer_that_is_cancelled_leaves_a_clear_end(client: AsyncClient, name: str) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with client.reply(name, messages=QUESTION) as reply:
            await reply.write("so far")
            begun.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write())
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    answer = (await messages(client, name))[-1]
    assert (answer.content, answer.status) == ("so far", MESSAGE_STATUS_FAILED)


def test_without_an_event_loop_a_reply_survives_the_service_being_killed(stack: Stack, name: str) -> None:
    with Client(stack.server) as client:
        with client.reply(name, author="ada", messages=QUESTION) as reply:
            for n in range(200):
                reply.write(f"{n} ")
                if n == 100:
                    stack.svc.kill()
                    stack.svc.start()
        question, answer = client.messages(name)
    assert (question.content, answer.content) == ("?", "".join(f"{n} " for n in range(200)))
    assert (answer.id, answer.status) == (reply.id, MESSAGE_STATUS_COMPLETE)


def test_without_an_event_loop_being_stopped_is_heard_at_the_next_word(stack: Stack, name: str) -> None:
    client = Client(stack.server)

    def write() -> None:
        with client.reply(name, messages=QUESTION) as reply:
            reply.write("so far")
            client.stop_reply(name, reply_id=reply.id)
            while True:
                reply.write("more")

    with client, pytest.raises(ReplyStopped):
        write()
