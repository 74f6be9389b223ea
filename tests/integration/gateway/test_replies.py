"""A reply as viewers see it, whenever they come, whichever way the gateway follows the session."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from ai_chat_client import ROLE_USER, AsyncClient, Message, ReplyWriter
from ai_chat_client.errors import ReplyLost, ReplyStopped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.gateway.conftest import Deployment
from stream_gateway.events import parse_chunk
from support.draft import Draft
from support.web_viewer import WebViewer

End = Callable[[AsyncClient, str, ReplyWriter], Awaitable[object]]
ENDS: dict[str, End] = {
    "clear": lambda chat, name, _: chat.clear_session(name),
    "truncate": lambda chat, name, _: chat.truncate_session(name, remove_last=1),
    "delete": lambda chat, name, _: chat.delete_session(name),
    "stop": lambda chat, name, _: chat.stop_reply(name),
    "fail": lambda _chat, _name, reply: reply.fail("the model is gone"),
}
TOLD = {"clear": "clear", "truncate": "truncate", "delete": "deleted"}
STATUSES = {"stop": "interrupted", "fail": "failed"}


async def ask(chat: AsyncClient, name: str) -> str:
    """Makes the session; returns its head."""
    return (await chat.append_messages(name, [Message(role=ROLE_USER, content="question")])).position


async def test_whoever_comes_in_the_middle_sees_the_reply_from_its_first_character(
    deployment: Deployment, chat: AsyncClient, name: str
) -> None:
    head = await ask(chat, name)
    async with WebViewer(deployment.address, name) as early, chat.reply(name, author="hal", model="9000") as reply:
        await reply.write("Hello ")
        await reply.part("tool", {"n": 1.50})
        await reply.write("world")
        await early.until(lambda: Draft(early.events).text == "Hello world", "the beginning")
        async with contextlib.AsyncExitStack() as stack:
            future, foreign, forgotten = f"{head.split('.')[0]}.99", "zzzzzzzzzz.1", "00000000zz.1"
            late, resumed, *lost = [
                await stack.enter_async_context(WebViewer(deployment.address, name, last_event_id=last_event_id))
                for last_event_id in ("", head, "garbage", future, foreign, forgotten)
            ]
            viewers = (early, late, resumed, *lost)
            snapshot = (await late.until_type("snapshot"))["payload"]
            assert snapshot["chunks"] == ["Hello ", {"type": "tool", "data": {"n": 1.50}}, "world"]
            assert (snapshot["replyId"], snapshot["author"], snapshot["model"]) == (reply.id, "hal", "9000")
            assert "snapshot" not in early.types
            await reply.write("!")
            await reply.finish()
            for viewer in viewers:
                await viewer.until_type("complete")
                assert Draft(viewer.events).pieces == ["Hello ", ("tool", {"n": 1.50}), "world!"]
                assert viewer.events[-1]["payload"]["content"] == "Hello world!"
                assert viewer.ids[viewer.types.index("complete")] == viewer.events[-1]["position"]
                assert not any(
                    own
                    for own, kind in zip(viewer.ids, viewer.types, strict=True)
                    if kind in ("chunk", "part", "start")
                )


@pytest.mark.parametrize("end", ENDS)
async def test_a_reply_that_is_ended_by_others_ends_for_every_viewer(
    deployment: Deployment, chat: AsyncClient, name: str, end: str
) -> None:
    await ask(chat, name)
    async with contextlib.AsyncExitStack() as stack:
        early = await stack.enter_async_context(WebViewer(deployment.address, name))
        stack.enter_context(contextlib.suppress(ReplyLost, ReplyStopped))
        reply = await stack.enter_async_context(chat.reply(name))
        await reply.write("half an ans")
        await early.until(lambda: Draft(early.events).text == "half an ans", "the chunk")
        late = await stack.enter_async_context(WebViewer(deployment.address, name))
        await late.until_type("snapshot")
        await ENDS[end](chat, name, reply)
        for viewer in (early, late):
            complete = (await viewer.until_type("complete"))["payload"]
            assert complete["replyId"] == reply.id
            if end in STATUSES:
                assert (complete["content"], complete["status"]) == ("half an ans", STATUSES[end])
            else:
                assert "content" not in complete
                await viewer.until_type(TOLD[end])


CHUNKS = st.lists(
    st.one_of(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8), st.integers(0, 9)),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("following", ["on_redis", "in_memory"])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(chunks=CHUNKS, seed=st.integers(0, 2**32))
def test_joining_leaving_and_coming_back_at_any_chunk_costs_and_doubles_nothing(
    request: pytest.FixtureRequest, following: str, chunks: list[str | int], seed: int
) -> None:
    deployment: Deployment = request.getfixturevalue(following)
    asyncio.run(come_and_go(deployment, chunks, seed))


async def come_and_go(deployment: Deployment, chunks: list[str | int], seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - Repeatable.
    name, other = f"reply-{seed}", f"other-{seed}"
    viewers: list[tuple[WebViewer, list[dict[str, object]]]] = []
    async with AsyncClient(deployment.session_svc.address) as chat:
        await ask(chat, name)
        await ask(chat, other)
        async with chat.reply(name) as reply, chat.reply(other) as noise:
            for chunk in chunks:
                await noise.write("other session")
                if isinstance(chunk, int):
                    await reply.part("tool", {"n": chunk})
                else:
                    await reply.write(chunk)
                if dice.random() < 0.7:
                    viewer = WebViewer(deployment.address, name)
                    await viewer.__aenter__()
                    viewers.append((viewer, []))
                if viewers and dice.random() < 0.4:
                    old, seen = viewers.pop(dice.randrange(len(viewers)))
                    await old.__aexit__(None, None, None)
                    back = WebViewer(deployment.address, name, last_event_id=old.last_id)
                    await back.__aenter__()
                    viewers.append((back, [*seen, *old.events]))
            await reply.finish()
            await noise.finish()
        expected = Draft.of(chunks)
        for viewer, seen in viewers:
            await viewer.until_type("complete")
            draft = Draft([*seen, *viewer.events])
            assert draft.pieces == expected.pieces
            assert viewer.events[-1]["payload"]["content"] == expected.text
            await viewer.__aexit__(None, None, None)


async def test_session_svc_spells_chunks_as_the_gateway_reads_them_fastest(
    on_redis: Deployment, raw: redis.Redis, name: str
) -> None:
    texts = ["plain", 'a "quoted"\nline\\', "ünï 🎉\u2028"]
    channel = raw.pubsub()  # type: ignore[no-untyped-call]  # redis-py leaves it so.
    channel.subscribe(f"ai-chat:stream:{name}")
    async with AsyncClient(on_redis.session_svc.address) as chat:
        await ask(chat, name)
        async with chat.reply(name) as reply:
            for text in texts:
                await reply.write(text)
            await reply.finish()
    published = [str(each["data"]) for each in await asyncio.to_thread(until_complete, channel)]

    read = [parse_chunk(data.encode()) for data in published if '"chunk"' in data]
    assert "".join(str(event.extension.piece) for event in read if event and event.extension) == "".join(texts)
    channel.close()


def until_complete(channel: redis.client.PubSub) -> list[dict[str, Any]]:
    """What is published until the reply is over."""
    seen: list[dict[str, Any]] = []
    while not seen or '"type":"complete"' not in str(seen[-1]["data"]):
        message = channel.get_message(timeout=60)
        assert message is not None, "the end of the reply was not published"
        seen.append(message)
    return seen
