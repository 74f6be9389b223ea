"""People move over from chat.ai without converting anything."""

import threading

import redis
from session_svc.domain.message import NewMessage, Role
from session_svc.storage.base import Append
from session_svc.storage.redis import RedisStorage, open_storage
from support import chat_ai
from support.redis_server import RedisServer


async def listed(storage: RedisStorage) -> dict[str, int]:
    page = await storage.store.page(after=None, limit=100)
    return {session.name: session.message_count for session in page.sessions}


async def test_sessions_left_by_chat_ai_are_adopted_with_their_times_and_counts(
    server: RedisServer, raw: redis.Redis
) -> None:
    chat_ai.replay(raw)
    async with open_storage(server.url) as storage:
        assert not await storage.store.is_listed()
        assert await storage.store.adopt() == 3
        assert await listed(storage) == {"session-1795369216362-cxk53d": 2, "frontend-work": 3, "my-project": 6}
        assert await storage.store.adopt() == 0

        session = await storage.store.get("my-project")
        assert session.create_time == 1795369207769
        assert session.last_active_time == int(raw.hget("session:my-project:metadata", "lastMessage") or 0)
        assert session.title == "Hello, what is Redis?"
        assert session.last_role is Role.ASSISTANT
        assert not session.awaiting_reply
        assert session.expire_time is not None


async def test_adopted_sessions_are_listed_by_their_last_message(server: RedisServer, raw: redis.Redis) -> None:
    chat_ai.replay(raw)
    async with open_storage(server.url) as storage:
        await storage.store.adopt()
        page = await storage.store.page(after=None, limit=100)
    assert [session.name for session in page.sessions] == [
        "my-project",
        "session-1795369216362-cxk53d",
        "frontend-work",
    ]


async def test_a_recorded_session_is_read_as_chat_ai_wrote_it(storage: RedisStorage, raw: redis.Redis) -> None:
    chat_ai.replay(raw)
    for name in chat_ai.SESSIONS:
        snapshot = await storage.history.snapshot(name, tail=1000)
        assert [(message.role, message.content) for message in snapshot.messages] == chat_ai.history(raw, name)
        assert [message.id for message in snapshot.messages] == [
            f"{snapshot.session.position.epoch}.{place}" for place in range(1, len(snapshot.messages) + 1)
        ]
        assert all(message.create_time is None for message in snapshot.messages)


async def test_a_recorded_session_takes_new_messages_that_chat_ai_can_read(
    storage: RedisStorage, raw: redis.Redis
) -> None:
    chat_ai.replay(raw)
    before = chat_ai.history(raw, "my-project")
    said = [
        NewMessage(Role.USER, 'naïve "quotes" \\ and\nlines 🙂', id="a"),
        NewMessage(Role.ASSISTANT, "", id="b", author="m", model="x", attributes='{"usage": {"n": 1.50}}'),
    ]
    appended = await storage.history.append(Append("my-project", said))
    assert [receipt.sequence for receipt in appended.receipts] == [7, 8]
    assert chat_ai.history(raw, "my-project") == [*before, ("user", said[0].content), ("assistant", "")]
    metadata = raw.hgetall("session:my-project:metadata")
    assert metadata["messageCount"] == "8"
    assert metadata["name"] == "my-project"
    assert metadata["createdAt"] == "1795369207769"
    assert int(metadata["lastMessage"]) == appended.session.last_active_time

    chat_ai.say(raw, "my-project", "user", "chat.ai goes on")
    assert raw.hget("session:my-project:metadata", "messageCount") == "9"
    assert (await storage.store.get("my-project")).position.sequence == 9


async def test_a_recorded_session_is_cleared_and_truncated(storage: RedisStorage, raw: redis.Redis) -> None:
    chat_ai.replay(raw)
    truncated = await storage.history.truncate("my-project", remove_last=2)
    assert truncated.removed[0].content == "resumed question"
    assert len(chat_ai.history(raw, "my-project")) == 4
    cleared = await storage.history.clear("frontend-work")
    assert cleared.message_count == 0
    assert cleared.title == "after the clear"
    assert chat_ai.history(raw, "frontend-work") == []


async def test_the_recording_replayed_while_we_look_shows_every_message_once(
    server: RedisServer, raw: redis.Redis
) -> None:
    """A reader that asks all the time, between any two of chat.ai's commands, still ends with the same list."""
    async with open_storage(server.url) as storage:
        writer = threading.Thread(target=chat_ai.replay, args=(raw,), kwargs={"speed": 10.0})
        writer.start()
        while writer.is_alive():
            for session in (await storage.store.page(after=None, limit=100)).sessions:
                await storage.history.snapshot(session.name, tail=1000)
            await storage.store.adopt()
        writer.join()
        await storage.store.adopt()
        assert await listed(storage) == {"my-project": 6, "frontend-work": 3, "session-1795369216362-cxk53d": 2}
        for name in chat_ai.SESSIONS:
            snapshot = await storage.history.snapshot(name, tail=1000)
            assert [(message.role, message.content) for message in snapshot.messages] == chat_ai.history(raw, name)
