"""Every port over one client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from session_svc.storage.redis.client import RedisClient, Took
from session_svc.storage.redis.history import RedisMessageHistory
from session_svc.storage.redis.replies import RedisReplyBuffer
from session_svc.storage.redis.store import RedisSessionStore


@dataclass(frozen=True, slots=True)
class RedisStorage:
    """The ports of storage, in Redis."""

    history: RedisMessageHistory
    replies: RedisReplyBuffer
    store: RedisSessionStore


@asynccontextmanager
async def open_storage(
    url: str, default_ttl_ms: int | None = None, took: Took = lambda _step, _seconds: None
) -> AsyncIterator[RedisStorage]:
    """Storage at `url`, connected while entered; enters also when Redis is away, and keeps trying.

    default_ttl_ms  how long a session without a ttl of its own outlives its last write; None: for ever
    took            told of every script: its name, and how many seconds passed until its answer

    Raises ValueError for what is no URL, Unsupported for a server that cannot be used.
    """
    client = RedisClient(url, default_ttl_ms, took)
    async with client.connected():
        yield RedisStorage(RedisMessageHistory(client), RedisReplyBuffer(client), RedisSessionStore(client))
