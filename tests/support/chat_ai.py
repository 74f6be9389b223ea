"""What the real chat.ai program does to its Redis: a recording of it, and its single writes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import redis

RECORDING = Path(__file__).parent / "data" / "chat-ai-recording.jsonl"
"""Every write and publish of four short chats, one a line: `at` in seconds, `command`."""

SESSIONS = ("my-project", "frontend-work", "session-1795369216362-cxk53d")
"""The sessions the recording leaves behind."""


def recording() -> Iterator[tuple[float, list[str]]]:
    """The recorded commands and when they came, in seconds since the first."""
    for line in RECORDING.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        yield entry["at"], entry["command"]


def replay(client: redis.Redis, *, speed: float | None = None) -> None:
    """Sends every recorded command; at `speed` times real time, or at once."""
    began = time.monotonic()
    for at, command in recording():
        if speed is not None:
            time.sleep(max(0.0, at / speed - (time.monotonic() - began)))
        client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py leaves it so.


def say(client: redis.Redis, name: str, role: str, content: str) -> None:
    """Stores one message as chat.ai does, in its order of commands."""
    key = f"session:{name}"
    now = str(time.time_ns() // 1_000_000)
    client.rpush(f"{key}:messages", json.dumps({"role": role, "content": content}, separators=(",", ":")))
    client.expire(f"{key}:messages", 86400)
    if not client.exists(f"{key}:metadata"):
        client.hset(f"{key}:metadata", "createdAt", now)
        client.hset(f"{key}:metadata", "name", name)
        client.expire(f"{key}:metadata", 86400)
    client.hset(f"{key}:metadata", "lastMessage", now)
    client.hincrby(f"{key}:metadata", "messageCount", 1)


def clear(client: redis.Redis, name: str) -> None:
    """Empties a session as chat.ai does."""
    client.delete(f"session:{name}:messages")
    client.hset(f"session:{name}:metadata", "messageCount", "0")


def history(client: redis.Redis, name: str) -> list[tuple[str, str]]:
    """The messages as chat.ai reads them: role and content of every element."""
    elements = [json.loads(element) for element in client.lrange(f"session:{name}:messages", 0, -1)]
    return [(element["role"], element["content"]) for element in elements]
