"""The assistant as a process, before the real session service and a model server over real HTTP."""

import asyncio
import json
import time
from contextlib import ExitStack

import pytest
from ai_chat_assistant.settings import AssistantSettings
from ai_chat_client import (
    MESSAGE_STATUS_COMPLETE,
    MESSAGE_STATUS_FAILED,
    MESSAGE_STATUS_INTERRUPTED,
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_USER,
    Message,
)
from google.protobuf.timestamp_pb2 import Timestamp
from support.model_server import ModelServer, chunk, counted, model_server, refuses, says, stalls, streams

from .conftest import Asker, Stack
from .program import AssistantProcess, run

SLOW = says(*(f"word{n} " for n in range(60)), pause=0.05)
SLOW_TEXT = "".join(f"word{n} " for n in range(60))


def with_model(stack: Stack, server: ModelServer, **environment: str) -> AssistantProcess:
    return AssistantProcess(
        stack.svc.address, {"ASSISTANT_MODEL": "tiny", "OPENAI_BASE_URL": server.url, **environment}
    )


async def test_without_a_model_the_echo_answers_and_says_how_to_have_one(stack: Stack, asker: Asker, name: str) -> None:
    with AssistantProcess(stack.svc.address, {"ASSISTANT_NAME": "Ada"}):
        await asker.ask(name, "Is anybody there?")
        answer = await asker.answer(name)
    assert answer.content.startswith("You said: Is anybody there?")
    assert "OPENAI_BASE_URL" in answer.content
    assert (answer.author, answer.model, answer.status) == ("Ada", "echo", MESSAGE_STATUS_COMPLETE)
    assert not (await asker.client.get_session(name)).awaiting_reply


async def test_a_question_that_waited_is_answered_when_the_assistant_comes(
    stack: Stack, asker: Asker, name: str
) -> None:
    await asker.ask(name)
    with AssistantProcess(stack.svc.address):
        assert (await asker.answer(name)).role == ROLE_ASSISTANT


async def test_the_model_is_given_the_system_prompt_and_the_last_messages(
    stack: Stack, asker: Asker, name: str
) -> None:
    before = [Message(role=ROLE_SYSTEM, content="Talk like a pirate.")]
    for n in range(4):
        before += [Message(role=ROLE_USER, content=f"q{n}"), Message(role=ROLE_ASSISTANT, content=f"a{n}")]
    await asker.client.append_messages(name, before)
    async with model_server(says("Aye")) as server:
        with with_model(stack, server, ASSISTANT_HISTORY="3", ASSISTANT_SYSTEM_PROMPT="Be dull."):
            await asker.ask(name, "now?")
            assert (await asker.answer(name, number=5)).content == "Aye"
            other = f"{name}-other"
            await asker.ask(other, "and now?")
            await asker.answer(other)
    first, second = ([(turn["role"], turn["content"]) for turn in asked["messages"]] for asked in server.requests)
    assert first == [("system", "Talk like a pirate."), ("user", "q3"), ("assistant", "a3"), ("user", "now?")]
    assert second == [("system", "Be dull."), ("user", "and now?")]


async def test_labels_choose_the_model_and_who_answers(stack: Stack, asker: Asker, name: str) -> None:
    labels = [{"assistant": "none"}, {"assistant": "bob"}, {"assistant": "ada", "model": "huge"}]
    for number, wanted in enumerate(labels):
        await asker.client.create_session(f"{name}-{number}", labels=wanted)
    async with model_server(says("Yes")) as server:
        with with_model(stack, server, ASSISTANT_NAME="ada"):
            for number in range(3):
                await asker.ask(f"{name}-{number}")
            assert (await asker.answer(f"{name}-2")).model == "huge"
            await asker.ask(f"{name}-last")
            await asker.answer(f"{name}-last")
    assert [request["model"] for request in server.requests] == ["huge", "tiny"]
    assert len(await asker.said(f"{name}-0")) == len(await asker.said(f"{name}-1")) == 1


async def test_reasoning_and_usage_are_kept_with_the_answer(stack: Stack, asker: Asker, name: str) -> None:
    thinking = [chunk(delta={"reasoning_content": "Let me "}), chunk(delta={"reasoning_content": "think."})]
    rest = [chunk(content="42"), chunk(finish_reason="stop"), chunk(usage={"total_tokens": 9})]
    async with model_server(streams(*thinking, *rest)) as server:
        with with_model(stack, server):
            await asker.ask(name)
            answer = await asker.answer(name)
    assert answer.content == "42"
    attributes = json.loads(answer.attributes)
    assert attributes["parts"] == [{"type": "reasoning", "data": {"text": "Let me think."}}]
    assert attributes["usage"]["total_tokens"] == 9


async def test_a_model_that_fails_leaves_a_failed_reply_that_says_why(stack: Stack, asker: Asker, name: str) -> None:
    async with model_server(refuses(401), says("Better")) as server:
        with with_model(stack, server, OPENAI_API_KEY="sk-secret") as assistant:
            await asker.ask(name)
            failed = await asker.answer(name)
            assert (failed.status, failed.content) == (MESSAGE_STATUS_FAILED, "")
            assert "refused the API key" in failed.status_reason
            await asker.ask(name, "again")
            assert (await asker.answer(name, number=2)).content == "Better"
            assert "sk-secret" not in assistant.log


async def test_what_was_said_before_a_model_fell_silent_is_kept(stack: Stack, asker: Asker, name: str) -> None:
    async with model_server(stalls(chunk(content="Well"))) as server:
        with with_model(stack, server, ASSISTANT_STALL_SECONDS="0.5"):
            await asker.ask(name)
            failed = await asker.answer(name)
    assert (failed.status, failed.content) == (MESSAGE_STATUS_FAILED, "Well")
    assert "said nothing for 0.5 s" in failed.status_reason


async def test_several_assistants_answer_each_question_once(stack: Stack, asker: Asker, name: str) -> None:
    sessions = [f"{name}-{number}" for number in range(12)]
    async with model_server(says("one ", "answer", pause=0.02)) as server:
        with ExitStack() as running:
            for _ in range(3):
                running.enter_context(with_model(stack, server))
            await asyncio.gather(*(asker.ask(session) for session in sessions))
            answers = await asyncio.gather(*(asker.answer(session) for session in sessions))
            await asyncio.gather(*(asker.ask(session, "And?") for session in sessions))
            await asyncio.gather(*(asker.answer(session, number=2) for session in sessions))
    assert [answer.content for answer in answers] == ["one answer"] * 12
    assert len(server.requests) == 24, "a model is paid for once a question"
    for session in sessions:
        assert len(await asker.said(session)) == 4


async def test_no_more_are_answered_at_once_than_allowed_and_all_in_the_end(
    stack: Stack, asker: Asker, name: str
) -> None:
    sessions = [f"{name}-{number}" for number in range(6)]
    async with model_server(says("x")) as server:
        server.behaviours.clear()
        server.behaviours.append(counted(server, says("a ", "b", pause=0.1)))
        with with_model(stack, server, ASSISTANT_CONCURRENCY="2"):
            await asyncio.gather(*(asker.ask(session) for session in sessions))
            await asyncio.gather(*(asker.answer(session) for session in sessions))
    assert server.most_at_once == 2


async def test_an_old_question_is_left_alone(stack: Stack, asker: Asker, name: str) -> None:
    old = Timestamp(seconds=int(time.time()) - 100)
    async with model_server(says("Yes")) as server:
        with with_model(stack, server, ASSISTANT_MAX_AGE="60"):
            question = Message(role=ROLE_USER, content="long ago", create_time=old)
            await asker.client.append_messages(name, [question])
            await asker.ask(f"{name}-new", "new")
            await asker.answer(f"{name}-new")
    assert [request["messages"][-1]["content"] for request in server.requests] == ["new"]


async def test_a_reply_that_is_stopped_ends_and_the_next_question_is_answered(
    stack: Stack, asker: Asker, name: str
) -> None:
    async with model_server(SLOW, says("Next")) as server:
        with with_model(stack, server):
            await asker.ask(name)
            await asker.begun(name)
            stopped = (await asker.client.stop_reply(name)).message
            assert stopped.status == MESSAGE_STATUS_INTERRUPTED
            assert stopped.content
            assert SLOW_TEXT.startswith(stopped.content)
            await asker.ask(name, "again")
            assert (await asker.answer(name, number=2)).content == "Next"
    assert len(await asker.said(name)) == 4


async def test_an_assistant_that_is_killed_leaves_what_was_said(stack: Stack, asker: Asker, name: str) -> None:
    async with model_server(SLOW) as server:
        with with_model(stack, server) as assistant:
            await asker.ask(name)
            await asker.begun(name)
            assistant.kill()
            remains = await asker.answer(name)
    assert remains.status == MESSAGE_STATUS_INTERRUPTED
    assert remains.content
    assert SLOW_TEXT.startswith(remains.content)


async def test_asked_to_stop_it_finishes_what_it_has_begun_and_begins_nothing(
    stack: Stack, asker: Asker, name: str
) -> None:
    async with model_server(SLOW) as server:
        with with_model(stack, server) as assistant:
            await asker.ask(name)
            await asker.begun(name)
            ending = asyncio.create_task(asyncio.to_thread(assistant.terminate))
            await asyncio.to_thread(assistant.wait_for, "draining")
            await asker.ask(f"{name}-late")
            assert await ending == 0
    assert (await asker.answer(name)).content == SLOW_TEXT
    assert len(await asker.said(f"{name}-late")) == 1


async def test_asked_to_stop_without_time_it_says_that_it_broke_off(stack: Stack, asker: Asker, name: str) -> None:
    async with model_server(SLOW) as server:
        with with_model(stack, server, DRAIN_SECONDS="0") as assistant:
            await asker.ask(name)
            await asker.begun(name)
            assert await asyncio.to_thread(assistant.terminate) == 0
            failed = await asker.answer(name)
    assert failed.status == MESSAGE_STATUS_FAILED
    assert failed.status_reason


async def test_a_reply_goes_on_where_it_was_when_the_service_is_killed(stack: Stack, asker: Asker, name: str) -> None:
    async with model_server(SLOW) as server:
        with with_model(stack, server):
            await asker.ask(name)
            await asker.begun(name)
            await asyncio.to_thread(stack.svc.kill)
            stack.svc.start()
            answer = await asker.answer(name)
    assert (answer.status, answer.content) == (MESSAGE_STATUS_COMPLETE, SLOW_TEXT)
    assert len(server.requests) == 1


async def test_it_waits_for_a_service_that_is_not_there_yet(stack: Stack, asker: Asker, name: str) -> None:
    await asker.ask(name)
    await asyncio.to_thread(stack.svc.kill)
    with AssistantProcess(stack.svc.address, wait=False) as assistant:
        await asyncio.to_thread(assistant.wait_for, "cannot follow the list of sessions")
        stack.svc.start()
        assert (await asker.answer(name)).model == "echo"


@pytest.mark.parametrize(("service", "status"), [("up", 0), ("down", 1)])
def test_health_says_whether_the_service_answers(stack: Stack, service: str, status: int) -> None:
    address = stack.svc.address if service == "up" else "127.0.0.1:1"
    assert run("health", SESSION_SVC_ADDRESS=address)[0] == status


def test_every_bad_setting_is_named_at_once() -> None:
    bad = {
        "ASSISTANT_HISTORY": "0",
        "ASSISTANT_MAX_AGE": "soon",
        "ASSISTANT_NAME": "a\nb",
        "ASSISTANT_TOKEN": "t0ké",
        "OPENAI_API_KEY": "kéy",
        "OPENAI_BASE_URL": "http://localhost:99999",
        "SESSION_SVC_ADDRESS": "dns:///",
        "SESSION_SVC_TLS_CA": "/no/such.pem",
    }
    status, said = run(**bad)
    assert status == 2
    told = [line.split(": ")[1] for line in said.splitlines()]
    assert sorted(told) == sorted(bad)
    assert "t0k" not in said


@pytest.mark.parametrize("url", ["ollama", "http://", "http://a b/v1", "http://[::1", "ftp://localhost/v1"])
def test_the_server_of_the_models_is_a_url(url: str) -> None:
    with pytest.raises(ValueError, match="no URL of a server"):
        AssistantSettings(openai_base_url=url)


def test_a_model_without_a_server_is_a_bad_setting() -> None:
    status, said = run(ASSISTANT_MODEL="tiny")
    assert status == 2
    assert "OPENAI_BASE_URL, for example" in said


@pytest.mark.parametrize(("address", "status"), [("session-svc:50051", 2), ("nonsense", 2)])
def test_a_token_is_not_sent_in_the_clear_to_another_machine(address: str, status: int) -> None:
    code, said = run("health", SESSION_SVC_ADDRESS=address, ASSISTANT_TOKEN="t0ken")
    assert code == status
    assert "bad setting: " in said
    assert "t0ken" not in said
