"""A question that is asked again is not lost, whatever happens between its removal and its return."""

import asyncio
import contextlib
import os
import time
from typing import TypeVar

import grpc
import pytest
from ai_chat_cli.chat.conversation import Conversation, Retried
from ai_chat_cli.settings import Flags, Settings, environment_settings
from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, AsyncClient, Client, Message
from ai_chat_client.calls import Call
from ai_chat_client.errors import NotAllowedError, UnavailableError
from google.protobuf.timestamp_pb2 import Timestamp
from support.processes import Service
from support.terminal import ENTER
from support.until import until

from .conftest import Person

R = TypeVar("R")


class Died(BaseException):
    """The program ended here."""


class Faulty(AsyncClient):
    """`before` and `after` a call of an RPC, that is raised; each once."""

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.before: dict[str, BaseException] = {}
        self.after: dict[str, BaseException] = {}

    async def invoke(self, call: Call[R]) -> R:
        if call.rpc in self.before:
            raise self.before.pop(call.rpc)
        answer = await super().invoke(call)
        if call.rpc in self.after:
            raise self.after.pop(call.rpc)
        return answer


def lost() -> UnavailableError:
    return UnavailableError("gone", reason="UNREACHABLE", code=grpc.StatusCode.UNAVAILABLE)


@pytest.fixture
def settings(anna: Person, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As of a chat that Anna runs."""
    for variable in list(os.environ):
        if variable.startswith(("AI_CHAT_", "REDIS_")):
            monkeypatch.delenv(variable)
    for variable, value in anna.variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(anna.folder)
    return environment_settings(Flags())


@pytest.fixture
def asked(client: Client, name: str) -> str:
    """A session with an old question and a bad answer."""
    old = Message(role=ROLE_USER, author="anna", content="why?", create_time=Timestamp(seconds=int(time.time()) - 3600))
    client.append_messages(name, [old, Message(role=ROLE_ASSISTANT, content="dunno")])
    return name


def contents(client: Client, name: str) -> list[str]:
    return [message.content for message in client.messages(name)]


def retry(server: str, name: str, settings: Settings, *, faults: Faulty | None = None) -> Retried:
    async def run() -> Retried:
        async with faults or Faulty(server) as client:
            return await Conversation(client, name, settings).retry()

    return asyncio.run(run())


def test_if_the_program_dies_in_between_the_next_chat_offers_the_question(
    anna: Person, svc: Service, client: Client, asked: str, settings: Settings
) -> None:
    faults = Faulty(svc.address)
    faults.before["AppendMessages"] = Died()
    with pytest.raises(Died):
        retry(svc.address, asked, settings, faults=faults)
    assert contents(client, asked) == []
    with anna.terminal("-s", asked) as terminal:
        terminal.wait_for("taken out of the session to be asked again")
        terminal.wait_for("why?")
        terminal.type(ENTER)
        until(lambda: contents(client, asked) == ["why?"], what="the question back")
    with anna.terminal("-s", asked) as terminal:
        screen = terminal.wait_for("why?")
        assert "taken out" not in screen


def test_if_the_program_dies_in_between_another_retry_brings_the_question_back(
    svc: Service, client: Client, asked: str, settings: Settings
) -> None:
    faults = Faulty(svc.address)
    faults.after["TruncateSession"] = Died()
    with pytest.raises(Died):
        retry(svc.address, asked, settings, faults=faults)
    assert retry(svc.address, asked, settings) is Retried.YES
    assert contents(client, asked) == ["why?"]


def test_a_removal_whose_answer_was_lost_is_looked_after(
    svc: Service, client: Client, asked: str, settings: Settings
) -> None:
    faults = Faulty(svc.address)
    faults.after["TruncateSession"] = lost()
    assert retry(svc.address, asked, settings, faults=faults) is Retried.YES
    assert contents(client, asked) == ["why?"]


def test_a_removal_that_did_not_happen_is_no_reason_to_ask(
    svc: Service, client: Client, asked: str, settings: Settings
) -> None:
    for fault in (lost(), NotAllowedError("no", reason="SCOPE_MISSING", code=grpc.StatusCode.PERMISSION_DENIED)):
        faults = Faulty(svc.address)
        faults.before["TruncateSession"] = fault
        with pytest.raises(type(fault)):
            retry(svc.address, asked, settings, faults=faults)
        assert contents(client, asked) == ["why?", "dunno"]
    assert retry(svc.address, asked, settings) is Retried.YES
    assert contents(client, asked) == ["why?"]


async def test_a_reply_that_nobody_saw_begin_is_ones_own_only_if_it_began_after_ones_message(
    svc: Service, name: str, settings: Settings
) -> None:
    async with AsyncClient(svc.address) as client:
        conversation = Conversation(client, name, settings)
        position = (await client.create_session(name)).position

        async def reconnect() -> str | None:
            """Reads what happened since, as a watch does that was away; returns the reply that is one's own."""
            nonlocal position
            watch = client.watch_session(name, after_position=position)
            async with asyncio.timeout(60), contextlib.aclosing(watch) as events:
                async for event in events:
                    await conversation.exchange.take(event)
                    position = event.position
                    if event.HasField("caught_up"):
                        break
            return conversation.exchange.mine

        question = Message(role=ROLE_USER, content="theirs")
        async with client.reply(name, reply_id="to-theirs", messages=[question]) as reply:
            await reply.write("a")
            await conversation.send("mine")
            assert await reconnect() is None
        assert conversation.exchange.expected
        async with client.reply(name, reply_id="to-mine") as reply:
            await reply.write("b")
            assert await reconnect() == "to-mine"
