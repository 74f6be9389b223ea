"""Two replicas that start at once on what other programs left: neither shows half a list."""

import asyncio

import redis
from session_svc.storage.redis import RedisStorage, open_storage
from support.redis_server import RedisServer

SESSIONS = 600


async def test_a_list_that_another_replica_is_still_making_is_none(
    server: RedisServer, raw: redis.Redis, storage: RedisStorage
) -> None:
    with raw.pipeline() as pipeline:
        for number in range(SESSIONS):
            pipeline.rpush(f"session:s{number}:messages", '{"role":"user","content":"Hello"}')
        pipeline.execute()
    async with open_storage(server.url) as other:
        adopting = asyncio.create_task(storage.store.adopt())
        async with asyncio.timeout(60):
            while not raw.exists("sessions:activity"):  # noqa: ASYNC110 - Redis sets no event.
                await asyncio.sleep(0)
        assert await other.store.adopt() is None
        seen = 0
        while not await other.store.is_listed():
            seen += 1
        assert await adopting == SESSIONS
        assert seen, "there was a list, but not the whole one"
        assert raw.zcard("sessions:activity") == SESSIONS
        assert await other.store.adopt() == 0


async def test_where_the_one_that_makes_the_first_list_dies_another_one_makes_it(
    raw: redis.Redis, storage: RedisStorage
) -> None:
    raw.rpush("session:s:messages", '{"role":"user","content":"Hello"}')
    raw.set("sessions:adopting", "first-of-one-that-died", px=300)
    assert await storage.store.adopt() is None
    async with asyncio.timeout(60):
        while await storage.store.adopt() is None:  # noqa: ASYNC110 - As above.
            await asyncio.sleep(0.05)
    assert await storage.store.is_listed()
