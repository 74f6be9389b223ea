"""What other programs leave behind is shown as it is, announced, and mended on the way."""

import asyncio
import json
import time
from typing import Any

import pytest
import redis
from session_svc.domain.errors import InvalidName, SessionNotFound, UnusableData
from session_svc.domain.message import NewMessage, Role, Status
from session_svc.domain.reply import ReplyLease, ReplyStart
from session_svc.domain.session import NewSession, SessionChange
from session_svc.storage.base import Append
from session_svc.storage.redis import RedisStorage
from support import chat_ai
from support.channel import Channel

HELLO = NewMessage(Role.USER, "hello", id="m1")


def types(events: list[dict[str, Any]], name: str) -> list[str]:
    return [event["type"] for event in events if event["channel"] == f"ai-chat:stream:{name}"]


async def test_a_hash_without_a_name_gets_one(storage: RedisStorage, raw: redis.Redis) -> None:
    raw.rpush("session:s:messages", '{"role":"user","content":"hi"}')
    raw.hset("session:s:metadata", "messageCount", "1")
    session = await storage.store.get("s")
    assert session.name == "s"
    assert raw.hget("session:s:metadata", "name") == "s"
    assert raw.hget("session:s:metadata", "createdAt") == str(session.create_time)


async def test_messages_whose_metadata_expired_are_still_a_session(
    storage: RedisStorage, raw: redis.Redis, channel: Channel
) -> None:
    chat_ai.say(raw, "s", "user", "hi")
    before = await storage.store.get("s")
    raw.delete("session:s:metadata")
    channel.events()
    await asyncio.sleep(0.002)  # An epoch begins with the millisecond.
    after = await storage.store.get("s")
    assert after.message_count == 1
    assert after.position.epoch > before.position.epoch
    assert types(channel.events(), "s") == ["reset"]
    ttl = raw.pttl("session:s:metadata")
    assert 0 < ttl <= 86_400_000
    assert abs(ttl - raw.pttl("session:s:messages")) < 1000


async def test_a_count_that_disagrees_is_the_length_of_the_list(storage: RedisStorage, raw: redis.Redis) -> None:
    chat_ai.say(raw, "s", "user", "hi")
    raw.hset("session:s:metadata", "messageCount", "41")
    assert (await storage.store.get("s")).message_count == 1
    await storage.history.append(Append("s", [HELLO]))
    assert raw.hget("session:s:metadata", "messageCount") == "2"


async def test_what_chat_ai_appends_is_announced_with_its_position_once(
    storage: RedisStorage, raw: redis.Redis, channel: Channel
) -> None:
    await storage.history.append(Append("s", [HELLO]))
    epoch = (await storage.store.get("s")).position.epoch
    channel.events()
    chat_ai.say(raw, "s", "assistant", 'a "b" \\ \n 🙂 / c')
    chat_ai.say(raw, "s", "user", "two")
    await storage.store.get("s")
    await storage.store.get("s")
    events = [event for event in channel.events() if event["channel"] == "ai-chat:stream:s"]
    assert [(event["type"], event["position"], event["payload"]) for event in events] == [
        (
            "message",
            f"{epoch}.2",
            {"id": f"{epoch}.2", "sequence": 2, "role": "assistant", "content": 'a "b" \\ \n 🙂 / c'},
        ),
        ("user", f"{epoch}.3", {"id": f"{epoch}.3", "sequence": 3, "role": "user", "content": "two"}),
    ]


async def test_more_than_100_new_messages_are_announced_as_one_reset(
    storage: RedisStorage, raw: redis.Redis, channel: Channel
) -> None:
    await storage.history.append(Append("s", [HELLO]))
    before = await storage.store.get("s")
    channel.events()
    raw.rpush("session:s:messages", *['{"role":"user","content":"x"}'] * 101)
    after = await storage.store.get("s")
    assert types(channel.events(), "s") == ["reset"]
    assert (after.position.epoch, after.position.sequence) == (before.position.epoch, 102)


@pytest.mark.parametrize("regrown", [0, 1, 2, 3], ids=lambda count: f"regrown to {count}")
async def test_a_list_deleted_and_regrown_behind_our_back_begins_a_new_epoch(
    storage: RedisStorage, raw: redis.Redis, channel: Channel, regrown: int
) -> None:
    await storage.history.append(Append("s", [HELLO, NewMessage(Role.ASSISTANT, "hi", id="m2")]))
    before = await storage.store.get("s")
    channel.events()
    chat_ai.clear(raw, "s")
    for place in range(regrown):
        chat_ai.say(raw, "s", "user", f"new {place}")
    after = await storage.store.get("s")
    assert after.message_count == regrown
    assert after.position.epoch > before.position.epoch
    assert not after.awaiting_reply
    assert types(channel.events(), "s") == ["reset"]


async def test_chat_ais_answer_ends_the_waiting_for_one(storage: RedisStorage, raw: redis.Redis) -> None:
    await storage.history.append(Append("s", [HELLO]))
    assert (await storage.store.get("s")).awaiting_reply
    chat_ai.say(raw, "s", "assistant", "hi")
    assert not (await storage.store.get("s")).awaiting_reply


@pytest.mark.parametrize("name", ["my project", "päth/to/thing", "日本語", "x" * 256, "-dash", "a?b#c%2F"])
async def test_a_session_under_a_name_we_would_not_create_is_resumed_and_deleted_under_it(
    storage: RedisStorage, raw: redis.Redis, name: str
) -> None:
    with pytest.raises(InvalidName):
        await storage.history.append(Append(name, [HELLO]))
    chat_ai.say(raw, name, "user", "hi")
    assert await storage.store.adopt() == 1
    assert [session.name for session in (await storage.store.page(after=None, limit=10)).sessions] == [name]
    appended = await storage.history.append(Append(name, [HELLO]))
    assert appended.position.sequence == 2
    await storage.store.delete(name)
    assert raw.keys(f"session:{name[:3]}*") == []
    with pytest.raises(SessionNotFound):
        await storage.store.get(name)


GARBAGE = [
    "no json",
    "[]",
    "{}",
    "17",
    "null",
    '"text"',
    '{"role":"user"}',
    '{"role":"wizard","content":"x"}',
    '{"role":"user","content":7}',
    '{"role":["user"],"content":"x"}',
    '{"role":"user","content":',
    "[" * 5000,
    "\x00\x01",
    "",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_an_element_that_is_no_message_is_delivered_with_its_raw_text_and_left_alone(
    storage: RedisStorage, raw: redis.Redis, garbage: str
) -> None:
    raw.rpush("session:s:messages", '{"role":"user","content":"one"}', garbage)
    snapshot = await storage.history.snapshot("s", tail=10)
    assert [message.status for message in snapshot.messages] == [Status.COMPLETE, Status.UNREADABLE]
    assert snapshot.messages[1].content == garbage
    assert snapshot.messages[1].role is None
    await storage.history.append(Append("s", [HELLO]))
    assert raw.lindex("session:s:messages", 1) == garbage
    assert (await storage.store.get("s")).message_count == 3


async def test_bytes_that_are_no_utf8_do_no_harm(storage: RedisStorage, raw: redis.Redis) -> None:
    raw.rpush(
        "session:s:messages", b"\xff\xfe{", b'{"role":"user","content":"\xe9"}', r'{"role":"user","content":"\ud800"}'
    )
    raw.hset("session:s:metadata", mapping={"title": b"\xff title", "labels": b"{broken", "createdAt": "soon"})
    snapshot = await storage.history.snapshot("s", tail=10)
    assert len(snapshot.messages) == 3
    assert snapshot.session.title == "\ufffd title"
    assert snapshot.session.labels == {}
    for message in snapshot.messages:
        message.content.encode()
    assert len((await storage.store.page(after=None, limit=10)).sessions) == 1


async def test_a_time_in_the_future_counts_as_now(storage: RedisStorage, raw: redis.Redis) -> None:
    raw.hset("session:s:metadata", mapping={"name": "s", "createdAt": "9999999999999", "lastMessage": "9999999999999"})
    session = await storage.store.get("s")
    now = time.time() * 1000
    assert session.create_time <= now + 1000
    assert session.last_active_time <= now + 1000


async def test_spoilt_fields_are_mended(storage: RedisStorage, raw: redis.Redis) -> None:
    await storage.history.append(Append("s", [HELLO]))
    before = await storage.store.get("s")
    raw.hset("session:s:metadata", mapping={"seen": "nonsense", "epoch": "Not An Epoch!", "lastMessage": "x"})
    await asyncio.sleep(0.002)  # An epoch begins with the millisecond.
    after = await storage.store.get("s")
    assert after.position.epoch > before.position.epoch
    assert after.message_count == 1
    assert after.title == "hello"


def everything(raw: redis.Redis) -> dict[str, object]:
    """Every key with its bytes, so that any write shows."""
    with redis.Redis(port=raw.connection_pool.connection_kwargs["port"]) as bytewise:
        return {key: (bytewise.dump(key), bytewise.pexpiretime(key) == -1) for key in sorted(bytewise.keys())}


@pytest.mark.parametrize("key", ["messages", "metadata", "requests"])
async def test_a_key_of_the_wrong_type_refuses_every_step_and_nothing_is_written(
    storage: RedisStorage, raw: redis.Redis, key: str
) -> None:
    await storage.history.append(Append("s", [HELLO]))
    if key == "requests":
        key = f"requests:{int(time.time()) // 86400}"
    raw.delete(f"session:s:{key}")
    raw.set(f"session:s:{key}", "something else")
    before = everything(raw)
    steps = [
        storage.history.append(Append("s", [HELLO], request_id="r", fingerprint="f")),
        storage.history.page("s", start=1, limit=10, newest_first=False),
        storage.history.snapshot("s", tail=1),
        storage.history.clear("s"),
        storage.history.truncate("s", remove_last=1),
        storage.store.create("s", NewSession(), allow_existing=True),
        storage.store.get("s"),
        storage.store.update("s", SessionChange(title="t")),
        storage.store.delete("s"),
    ]
    for step in steps:
        with pytest.raises(UnusableData, match="is a string"):
            await step
    assert everything(raw) == before


@pytest.mark.parametrize("index", ["sessions:activity", "sessions:due"])
async def test_an_index_of_the_wrong_type_refuses_and_nothing_is_written(
    storage: RedisStorage, raw: redis.Redis, index: str
) -> None:
    raw.set(index, "x")
    before = everything(raw)
    with pytest.raises(UnusableData):
        await storage.history.append(Append("s", [HELLO]))
    with pytest.raises(UnusableData):
        await storage.store.page(after=None, limit=10)
    assert everything(raw) == before


async def test_data_of_a_newer_version_is_refused_and_left_alone(storage: RedisStorage, raw: redis.Redis) -> None:
    await storage.history.append(Append("s", [HELLO]))
    raw.hset("session:s:metadata", "version", "2")
    before = everything(raw)
    for step in (storage.history.append(Append("s", [HELLO])), storage.store.get("s"), storage.store.delete("s")):
        with pytest.raises(UnusableData, match="version 2"):
            await step
    assert everything(raw) == before
    await storage.history.append(Append("other", [HELLO]))
    assert [session.name for session in (await storage.store.page(after=None, limit=10)).sessions] == ["other"]


async def test_a_session_that_chat_ai_deleted_leaves_the_list_and_its_remains_go(
    storage: RedisStorage, raw: redis.Redis, channel: Channel
) -> None:
    await storage.history.append(Append("s", [HELLO], request_id="r", fingerprint="f"))
    channel.events()
    raw.delete("session:s:messages", "session:s:metadata")
    assert (await storage.store.page(after=None, limit=10)).sessions == ()
    assert types(channel.events(), "s") == ["deleted"]
    assert raw.keys("*") == []


async def test_whoever_looks_for_a_session_that_another_program_removed_tells_everybody_that_it_is_gone(
    storage: RedisStorage, raw: redis.Redis, channel: Channel
) -> None:
    await storage.history.append(Append("s", [HELLO], request_id="r", fingerprint="f"))
    channel.events()
    raw.delete("session:s:messages", "session:s:metadata")
    for _ in range(2):
        with pytest.raises(SessionNotFound):
            await storage.store.get("s")
    told = channel.events()
    assert types(told, "s") == ["deleted"]
    assert [event["type"] for event in told if event["channel"] == "ai-chat:sessions"] == ["deleted"]
    assert raw.keys("*") == []


async def test_a_reply_of_a_session_that_another_program_removed_is_no_part_of_the_next(
    storage: RedisStorage, raw: redis.Redis
) -> None:
    await storage.replies.start(ReplyStart("s", "r", "", "bot", "", 60_000, [HELLO]))
    raw.delete("session:s:messages", "session:s:metadata")
    appended = await storage.history.append(Append("s", [HELLO]))
    assert appended.session.reply is None
    assert not raw.exists("session:s:reply")
    assert raw.zscore("sessions:due", "s") is None


async def test_what_was_asked_in_a_session_that_another_program_removed_is_answered_by_nobody(
    storage: RedisStorage, raw: redis.Redis
) -> None:
    start = ReplyStart("s", "r", "", "bot", "", 60_000, [HELLO])
    await storage.replies.start(start)
    await storage.history.append(Append("s", [HELLO]))  # Asked again, which outlives the reply.
    raw.delete("session:s:messages", "session:s:metadata")
    lease = await storage.replies.start(start)
    assert isinstance(lease, ReplyLease)
    await storage.replies.finish(lease, attributes="", messages=[])
    assert not (await storage.store.get("s")).awaiting_reply


async def test_an_element_keeps_attributes_byte_for_byte(storage: RedisStorage, raw: redis.Redis) -> None:
    attributes = '{ "b":1.0,"a":[1e5, "\\u00e9"],\n "a":2 }'
    await storage.history.append(Append("s", [NewMessage(Role.TOOL, "x", id="m", attributes=attributes)]))
    stored = json.loads(raw.lindex("session:s:messages", 0) or "")
    assert stored["attributes"] == attributes
    assert "sequence" not in stored
    page = await storage.history.page("s", start=1, limit=1, newest_first=False)
    assert page.messages[0].attributes == attributes
