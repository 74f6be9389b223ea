"""Answering before the real service, step by step."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
from ai_chat_assistant.answering import Answering
from ai_chat_assistant.conversation import Conversation, read
from ai_chat_assistant.providers.choice import Providers
from ai_chat_assistant.providers.echo import Echo
from ai_chat_assistant.settings import AssistantSettings
from ai_chat_assistant.system_prompts import SystemPrompts
from ai_chat_client import ROLE_SYSTEM, ROLE_USER, AsyncClient, Message
from ai_chat_client.calls import Call
from ai_chat_client.errors import ReplyStopped

from .conftest import Asker, Stack

R = TypeVar("R")


class Watchful(AsyncClient):
    """Notes each call, and lets something happen once, right after the session was read."""

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.calls: list[str] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def invoke(self, call: Call[R]) -> R:
        answer = await super().invoke(call)
        self.calls.append(call.rpc)
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return answer


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Watchful]:
    async with Watchful(stack.svc.address) as client:
        yield client


@pytest.fixture
def answering(client: Watchful) -> Answering:
    providers = Providers(echo=Echo(word_seconds=0), model_server=None, default_model=None)
    return Answering(client, providers, AssistantSettings())


async def test_what_another_began_to_answer_and_was_stopped_is_not_answered(
    asker: Asker, client: Watchful, answering: Answering, name: str
) -> None:
    async def another_is_stopped_before_its_first_word() -> None:
        async with asker.client.reply(name) as reply:
            await asker.client.stop_reply(name, reply_id=reply.id)
            await asyncio.Event().wait()

    async def meanwhile() -> None:
        with pytest.raises(ReplyStopped):
            await another_is_stopped_before_its_first_word()

    await asker.ask(name)
    client.meanwhile = meanwhile
    await answering.answer(name)
    snapshot = await asker.client.get_snapshot(name, tail=10)
    assert not snapshot.HasField("reply")
    assert [message.role for message in snapshot.messages] == [ROLE_USER]


async def conversation(client: AsyncClient, name: str) -> Conversation:
    return await read(client, name, history=2)


async def test_a_system_prompt_is_looked_for_once_and_then_only_in_what_is_new(
    asker: Asker, client: Watchful, name: str
) -> None:
    prompts = SystemPrompts(client, "default")
    talk = [Message(role=ROLE_USER, content=f"{n}") for n in range(5)]
    await asker.client.append_messages(name, talk)
    assert await prompts.of(await conversation(client, name)) == "default"
    client.calls.clear()
    assert await prompts.of(await conversation(client, name)) == "default"
    assert client.calls == ["GetSnapshot"]
    await asker.client.append_messages(name, [Message(role=ROLE_SYSTEM, content="Be kind."), *talk])
    for expected in (["GetSnapshot", "ListMessages"], ["GetSnapshot", "ListMessages"]):
        client.calls.clear()
        assert await prompts.of(await conversation(client, name)) == "Be kind."
        assert client.calls == expected


async def test_after_a_clear_the_system_prompt_is_another(asker: Asker, client: Watchful, name: str) -> None:
    prompts = SystemPrompts(client, "default")
    for text in ("Be kind.", "Be brief."):
        talk = [Message(role=ROLE_USER, content=f"{n}") for n in range(4)]
        await asker.client.append_messages(name, [Message(role=ROLE_SYSTEM, content=text), *talk])
        assert await prompts.of(await conversation(client, name)) == text
        await asker.client.clear_session(name)


async def test_a_system_prompt_among_the_messages_is_not_told_twice(asker: Asker, client: Watchful, name: str) -> None:
    prompts = SystemPrompts(client, "default")
    messages = [Message(role=ROLE_USER, content="Hi"), Message(role=ROLE_SYSTEM, content="Be kind.")]
    await asker.client.append_messages(name, [*messages, Message(role=ROLE_USER, content="Ho")])
    assert await prompts.of(await conversation(client, name)) == ""
