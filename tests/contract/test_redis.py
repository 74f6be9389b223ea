"""The contract suite, on a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from contract.backend import Backend, OpenBackend
from contract.bus_contract import BusContract
from contract.model_contract import StorageMachine, model_settings
from contract.storage_contract import HistoryContract, ReplyContract, SessionsContract
from redis.asyncio import Redis
from session_svc.bus.redis import RedisStreamBus
from session_svc.storage.redis import open_storage
from support.redis_server import RedisServer


async def pass_time(milliseconds: int) -> None:
    """Real time, and a little more: the server's clock has a start of its own within a millisecond."""
    await asyncio.sleep((milliseconds + 2) / 1000)


@asynccontextmanager
async def in_redis(url: str, default_ttl_ms: int | None = None) -> AsyncIterator[Backend]:
    """An empty deployment on the server at `url`."""
    async with Redis.from_url(url) as redis:
        await redis.flushall()
    async with open_storage(url, default_ttl_ms) as storage, RedisStreamBus(url) as bus:
        yield Backend(storage.history, storage.replies, storage.store, bus, pass_time)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def open_backend(server: RedisServer) -> OpenBackend:
    return partial(in_redis, server.url)


class TestHistory(HistoryContract):
    """MessageHistory, in Redis."""


class TestSessions(SessionsContract):
    """SessionStore, in Redis."""


class TestReplies(ReplyContract):
    """ReplyBuffer, in Redis."""


class TestBus(BusContract):
    """StreamBus, over Redis."""


@pytest.fixture(scope="module", autouse=True)
def _machine(server: RedisServer) -> None:
    RedisMachine.open_backend = partial(in_redis, server.url)


class RedisMachine(StorageMachine):
    """Storage in Redis against the model."""


TestModel = RedisMachine.TestCase
TestModel.settings = model_settings
