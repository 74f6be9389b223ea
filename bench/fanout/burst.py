"""How often Redis is asked for a reply whose tokens come faster than it answers."""

import time
from typing import Final

from ai_chat_client import AsyncClient
from redis.asyncio import Redis

from bench import processes
from bench.fanout import replies
from bench.fanout.contenders import current_topics
from bench.fanout.results import Burst

TOKENS: Final = 2000


async def measure() -> Burst:
    """One reply, its question and its end included. Each script is one round trip, or shares one with others."""
    with processes.redis_server() as redis, processes.session_svc(redis) as service:
        topic = current_topics(service.address, 1)[0]
        async with (
            AsyncClient(service.address, author=replies.AUTHOR) as client,
            Redis.from_url(redis.url) as observer,
        ):
            before, began = await _scripts(observer), time.monotonic()
            async with replies.reply(client, topic.name) as writer:
                for number in range(TOKENS):
                    await writer.write(f"token {number} ")
            return Burst(TOKENS, await _scripts(observer) - before, time.monotonic() - began)


async def _scripts(observer: "Redis") -> int:
    """How many scripts have been run so far."""
    commands = await observer.info("commandstats")
    return sum(stats["calls"] for name, stats in commands.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))
