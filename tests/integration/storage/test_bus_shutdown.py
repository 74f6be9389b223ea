"""Closing the bus at any moment of its connecting."""

import asyncio

from session_svc.bus.redis import RedisStreamBus
from support.redis_server import RedisServer


async def test_a_bus_closed_at_any_moment_of_its_connecting_closes(server: RedisServer) -> None:
    for tenth in range(300):
        async with RedisStreamBus(server.url):
            await asyncio.sleep((tenth % 60) / 10_000)
