"""A real server for this folder, storage over it, and chat.ai's own hand on its keys."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from session_svc.storage.redis import RedisStorage, open_storage
from support.channel import Channel
from support.redis_server import RedisServer


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def raw(server: RedisServer) -> Iterator[redis.Redis]:
    """A plain client: what another program sees and does. Empties the server first."""
    with redis.Redis(port=server.port, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
async def storage(server: RedisServer, raw: redis.Redis) -> AsyncIterator[RedisStorage]:
    del raw  # Emptied before.
    async with open_storage(server.url) as opened:
        yield opened


@pytest.fixture
def channel(raw: redis.Redis) -> Iterator[Channel]:
    opened = Channel(raw, "ai-chat:*")
    yield opened
    opened.close()
