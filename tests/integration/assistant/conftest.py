"""A store, the session service and somebody who asks."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest
from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, AsyncClient, Message
from support.processes import Service, session_svc
from support.redis_server import RedisServer

ANSWER_SECONDS = 40.0


@dataclass(frozen=True)
class Stack:
    """A store and the service in front of it."""

    redis: RedisServer
    svc: Service


@dataclass(frozen=True)
class Asker:
    """Somebody in a session."""

    client: AsyncClient

    async def ask(self, session: str, question: str = "Hello?") -> None:
        """Appends a question."""
        await self.client.append_messages(session, [Message(role=ROLE_USER, content=question, author="anna")])

    async def said(self, session: str) -> list[Message]:
        """All messages."""
        return [message async for message in self.client.messages(session)]

    async def answer(self, session: str, *, number: int = 1) -> Message:
        """The n-th ASSISTANT message, once it is there."""
        found: list[Message] = []
        watch = self.client.watch_session(session, after_position="", give_up_after=ANSWER_SECONDS)
        async with asyncio.timeout(ANSWER_SECONDS), aclosing(watch) as events:
            async for event in events:
                news = list(event.messages.messages)
                if event.reply_finished.HasField("message"):
                    news.append(event.reply_finished.message)
                found += [message for message in news if message.role == ROLE_ASSISTANT]
                if len(found) >= number:
                    break
        return found[number - 1]

    async def answer_to_one_of(self, session: str, question: str) -> Message:
        """Asks every second, in case nobody listens yet, until there is an answer; returns it."""
        async with asyncio.timeout(ANSWER_SECONDS):
            answering = asyncio.create_task(self.answer(session))
            while not answering.done():
                await self.ask(session, question)
                await asyncio.wait((answering,), timeout=1)
            return answering.result()

    async def begun(self, session: str) -> None:
        """Returns once a reply is being written of which something can be read."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while not (await self.client.get_snapshot(session)).reply.next_chunk:  # noqa: ASYNC110 - In another process.
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with RedisServer() as redis, session_svc(redis.url) as svc:
        yield Stack(redis, svc)


@pytest.fixture
async def asker(stack: Stack, name: str) -> AsyncIterator[Asker]:
    async with AsyncClient(stack.svc.address, author="anna") as client:
        yield Asker(client)
        async for session in client.sessions(query=name):  # What still waits would be answered in the next test.
            await client.delete_session(session.name, allow_missing=True)


@pytest.fixture
def name() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"
