"""Whoever follows the channel ends with what is stored, whoever wrote it and in whatever order."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_svc.domain.errors import SessionNotFound
from session_svc.domain.message import NewMessage, Role
from session_svc.storage.base import Append
from session_svc.storage.redis import RedisStorage, open_storage
from support import chat_ai
from support.channel import Channel
from support.redis_server import RedisServer

NAME = "s"

OURS = st.sampled_from(["append", "append two", "clear", "truncate", "delete", "read"])
THEIRS = st.sampled_from(["say", "say answer", "say twice", "clear", "delete", "lose metadata", "garbage"])
STEPS = st.lists(st.tuples(st.just("we"), OURS) | st.tuples(st.just("chat.ai"), THEIRS), max_size=25)


@dataclass
class Follower:
    """Keeps a copy of the session by its events alone; reads it again only where an event says so."""

    storage: RedisStorage
    position: str = ""
    messages: list[tuple[str | None, str]] = field(default_factory=list)

    async def follow(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            if event["channel"] != f"ai-chat:stream:{NAME}" or "position" not in event:
                continue
            epoch, _, sequence = event["position"].partition(".")
            match event["type"]:
                case "user" | "message":
                    payload = event["payload"]
                    known = len(self.messages) if self.position.startswith(f"{epoch}.") else 0
                    if payload["sequence"] <= known:
                        continue  # Part of what a reset made us read.
                    assert payload["sequence"] == known + 1 == int(sequence), "a hole"
                    if known == 0:
                        self.messages = []
                    self.messages.append((payload["role"], payload["content"]))
                case "clear" | "deleted":
                    self.messages = []
                case "truncate":
                    del self.messages[event["payload"]["keep"] :]
                case "reset":
                    await self.read()
                    continue
                case "updated":
                    continue
            assert event["position"] >= self.position or event["type"] in {"user", "message"}, "went back"
            self.position = event["position"]

    async def read(self) -> None:
        try:
            snapshot = await self.storage.history.snapshot(NAME, tail=1000)
        except SessionNotFound:
            self.messages, self.position = [], ""
            return
        self.messages = [(message.role, message.content) for message in snapshot.messages]
        self.position = str(snapshot.session.position)


async def take(step: tuple[str, str], storage: RedisStorage, raw: redis.Redis, serial: int) -> None:  # noqa: C901 - One case a step.
    said = [NewMessage(Role.USER, f"we {serial}", id=f"m{serial}"), NewMessage(Role.ASSISTANT, "so", id=f"n{serial}")]
    try:
        match step:
            case "we", "append":
                await storage.history.append(Append(NAME, said[:1]))
            case "we", "append two":
                await storage.history.append(Append(NAME, said))
            case "we", "clear":
                await storage.history.clear(NAME)
            case "we", "truncate":
                await storage.history.truncate(NAME, remove_last=2)
            case "we", "delete":
                await storage.store.delete(NAME)
            case "we", "read":
                await storage.store.get(NAME)
            case "chat.ai", "say":
                chat_ai.say(raw, NAME, "user", f"they {serial}")
            case "chat.ai", "say answer":
                chat_ai.say(raw, NAME, "assistant", f"they {serial}")
            case "chat.ai", "say twice":
                chat_ai.say(raw, NAME, "user", f"they {serial}")
                chat_ai.say(raw, NAME, "assistant", f"they {serial}")
            case "chat.ai", "clear":
                chat_ai.clear(raw, NAME)
            case "chat.ai", "delete":
                raw.delete(f"session:{NAME}:messages", f"session:{NAME}:metadata")
            case "chat.ai", "lose metadata":
                raw.delete(f"session:{NAME}:metadata")
            case "chat.ai", "garbage":
                raw.rpush(f"session:{NAME}:messages", f"garbage {serial}")
    except SessionNotFound:
        pass


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_follower_ends_with_what_is_stored(server: RedisServer, steps: list[tuple[str, str]]) -> None:
    async def run() -> None:
        with redis.Redis(port=server.port, decode_responses=True) as raw:
            raw.flushall()
            channel = Channel(raw, "ai-chat:*")
            try:
                async with open_storage(server.url) as storage:
                    follower = Follower(storage)
                    for serial, step in enumerate(steps):
                        await take(step, storage, raw, serial)
                        await follower.follow(channel.events())
                    await storage.store.adopt()
                    await storage.store.page(after=None, limit=100)  # Whatever chat.ai did last is found by a read.
                    await follower.follow(channel.events())
                    seen = follower.messages
                    await follower.read()
                    assert seen == follower.messages
            finally:
                channel.close()

    asyncio.run(run())
