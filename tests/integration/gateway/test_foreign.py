"""chat.ai's own programs write and publish beside us; viewers see each message once in the end."""

import asyncio
import json

import redis
from ai_chat_client import ROLE_USER, AsyncClient, Message
from integration.gateway.conftest import Deployment
from support import chat_ai
from support.web_viewer import WebViewer


def publish(raw: redis.Redis, name: str, kind: str, **payload: str) -> None:
    """Publishes as chat.ai does: without a position."""
    event = {"type": kind, "payload": payload, "timestamp": 1}
    raw.publish(f"ai-chat:stream:{name}", json.dumps(event))


async def adopt(deployment: Deployment, name: str) -> None:
    """Makes the session one that session-svc knows."""
    async with AsyncClient(deployment.session_svc.address) as chat:
        await chat.append_messages(name, [Message(role=ROLE_USER, content="before")])


async def test_what_chat_ai_stores_and_announces_comes_once_with_its_position(
    on_redis: Deployment, raw: redis.Redis, name: str
) -> None:
    await adopt(on_redis, name)
    async with WebViewer(on_redis.address, name) as viewer:
        chat_ai.say(raw, name, "user", "hello")
        publish(raw, name, "user", content="hello")
        for text in ("You ", "asked"):
            publish(raw, name, "chunk", content=text)
        publish(raw, name, "complete")
        chat_ai.say(raw, name, "assistant", "You asked")

        await viewer.until_contents("hello", "You asked")

    assert [kind for kind in viewer.types if kind not in ("chunk", "updated")] == ["user", "message"]
    chunks = [event for event in viewer.events if event["type"] == "chunk"]
    assert [event["payload"]["content"] for event in chunks] == ["You ", "asked"]
    assert all("position" not in event for event in chunks)
    assert [bool(own) for event, own in zip(viewer.events, viewer.ids, strict=True) if event["type"] == "chunk"] == [
        False,
        False,
    ]


async def test_an_answer_announced_before_the_question_was_found_and_stored_after_it_comes_too(
    on_redis: Deployment, raw: redis.Redis, name: str
) -> None:
    await adopt(on_redis, name)
    async with WebViewer(on_redis.address, name) as viewer:
        chat_ai.say(raw, name, "user", "hello")
        publish(raw, name, "user", content="hello")
        publish(raw, name, "complete")
        await viewer.until_contents("hello")
        chat_ai.say(raw, name, "assistant", "You asked")
        await viewer.until_contents("hello", "You asked")


async def test_what_chat_ai_only_says_is_passed_on_as_it_is(on_redis: Deployment, raw: redis.Redis, name: str) -> None:
    async with WebViewer(on_redis.address, name) as viewer:
        publish(raw, name, "info", content="Connected")
        publish(raw, name, "error", content="Broken")

        assert (await viewer.until_type("error"))["payload"] == {"content": "Broken"}

    assert viewer.types == ["info", "error"]


async def test_a_history_that_chat_ai_cleared_is_told(on_redis: Deployment, raw: redis.Redis, name: str) -> None:
    await adopt(on_redis, name)
    async with WebViewer(on_redis.address, name) as viewer:
        chat_ai.say(raw, name, "user", "old")
        publish(raw, name, "user", content="old")
        await viewer.until_contents("old")
        chat_ai.clear(raw, name)
        publish(raw, name, "clear")
        await viewer.until(lambda: {"reset", "clear", "deleted"} & set(viewer.types), "the end of the old log")
        chat_ai.say(raw, name, "user", "new")
        publish(raw, name, "user", content="new")
        await viewer.until_contents("old", "new")


async def test_garbage_on_the_channel_harms_nobody(on_redis: Deployment, raw: redis.Redis, name: str) -> None:
    channel = f"ai-chat:stream:{name}"
    async with WebViewer(on_redis.address, name) as viewer, AsyncClient(on_redis.session_svc.address) as chat:
        for garbage in (b"", b"\xff\xfe", b"[]", b"{}", b"[" * 100_000, b'{"type":7}', b'{"type":"user","position":1}'):
            raw.publish(channel, garbage)
        raw.publish(channel, '{"type":"user","payload":{"sequence":7,"content":"x"},"position":"zzzzzzzzzzzz.7"}')
        raw.publish("ai-chat:sessions", b"garbage")
        await chat.append_messages(name, [Message(role=ROLE_USER, content="real")])

        await viewer.until_contents("real")


async def test_a_session_that_chat_ai_begins_is_told_as_a_log_to_be_read(
    on_redis: Deployment, raw: redis.Redis, name: str
) -> None:
    async with WebViewer(on_redis.address, name) as viewer:
        chat_ai.say(raw, name, "user", "hello")
        publish(raw, name, "user", content="hello")
        await viewer.until(lambda: sequences(viewer)[-1:] == [1], "the beginning")


async def test_the_recording_of_chat_ai_ends_in_the_same_history_for_all(on_redis: Deployment) -> None:
    assert on_redis.redis
    name = chat_ai.SESSIONS[0]
    with redis.Redis(port=on_redis.redis.port, decode_responses=True) as raw:
        async with WebViewer(on_redis.address, name, after="") as viewer:
            await asyncio.to_thread(chat_ai.replay, raw)
            count = raw.llen(f"session:{name}:messages")

            await viewer.until(lambda: sequences(viewer)[-1:] == [count], "the last message")

    assert {"user", "complete", "clear"}.isdisjoint(event["type"] for event in viewer.events if "position" not in event)


def sequences(viewer: WebViewer) -> list[int]:
    """How far the viewer knows the log after each event that says so; each message must follow the one before."""
    known: list[int] = []
    for event in viewer.events:
        if event["type"] in ("user", "message"):
            assert not known or event["payload"]["sequence"] == known[-1] + 1
            known.append(event["payload"]["sequence"])
        elif event["type"] in ("reset", "clear", "deleted"):
            known.append(int(event["position"].rpartition(".")[2]) if event["type"] != "deleted" else 0)
    return known
