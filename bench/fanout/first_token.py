"""How long the first token takes, from a writer to a browser's socket, against a bare PUBLISH to SUBSCRIBE."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from typing import Final

from ai_chat_client import AsyncClient
from redis.asyncio import Redis

from bench.fanout import marks, replies
from bench.fanout.contenders import Contender, gateway
from bench.fanout.crowd import Crowd, crowd
from bench.fanout.results import FirstToken

REPETITIONS: Final = 100
WARM_UP: Final = 5
_PAUSE_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 10.0
_CHANNEL: Final = "bench"

Probe = Callable[[int], Awaitable[int]]
"""Sends one token as a run of its own and returns the microseconds that it took."""


async def measure(repetitions: int = REPETITIONS) -> FirstToken:
    """All four ways in turn, again and again."""
    async with AsyncExitStack() as running:
        viewers = running.enter_context(crowd())
        durable = running.enter_context(gateway(1))
        careless = running.enter_context(gateway(1, fsync="no"))
        probes = [
            await running.enter_async_context(_delta(viewers, durable, "durable")),
            await running.enter_async_context(_delta(viewers, careless, "careless")),
            await running.enter_async_context(_asyncio_publish(durable)),
            await running.enter_async_context(_raw_publish(viewers, durable)),
        ]
        taken: list[list[int]] = [[] for _ in probes]
        for run in range(1, (WARM_UP + repetitions) * len(probes) + 1):
            took = await probes[run % len(probes)](run)
            if run > WARM_UP * len(probes):
                taken[run % len(probes)].append(took)
    return FirstToken(*(median(each) for each in taken))


@asynccontextmanager
async def _delta(viewers: Crowd, contender: Contender, group: str) -> AsyncIterator[Probe]:
    """From `write` in a Python client, through session-svc, Redis and the gateway, to a browser's socket."""
    assert contender.service
    topic = contender.topics[0]
    viewers.open(group, contender.server.address, [(0, contender.request(topic))])
    async with AsyncClient(contender.service, author=replies.AUTHOR) as client:

        async def probe(run: int) -> int:
            async with replies.reply(client, topic.name) as writer:
                await asyncio.sleep(_PAUSE_SECONDS)
                viewers.begin(group, run, [1])
                await writer.write(marks.mark(run, 0, marks.now()))
                return await _took(viewers)

        yield probe


@asynccontextmanager
async def _raw_publish(viewers: Crowd, contender: Contender) -> AsyncIterator[Probe]:
    """From one socket of Redis to another, with nobody's library between."""
    host, _, port = contender.target.address.rpartition(":")
    viewers.open(_CHANNEL, contender.target.address, [(0, f"SUBSCRIBE {_CHANNEL}".encode())])
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        async def probe(run: int) -> int:
            viewers.begin(_CHANNEL, run, [1])
            event = b"data: " + marks.chunk(run, 0, marks.now(), "0.0") + b"\n\n"
            connection.sendall(b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n" % (len(_CHANNEL), _CHANNEL.encode()))
            connection.sendall(b"$%d\r\n%b\r\n" % (len(event), event))
            took = await _took(viewers)
            connection.recv(1024)
            return took

        yield probe


@asynccontextmanager
async def _asyncio_publish(contender: Contender) -> AsyncIterator[Probe]:
    """From redis-py to redis-py, in one program on asyncio."""
    async with (
        Redis.from_url(f"redis://{contender.target.address}") as redis,
        redis.pubsub(ignore_subscribe_messages=True) as pubsub,
    ):
        await pubsub.subscribe(_CHANNEL)

        async def probe(run: int) -> int:
            await asyncio.sleep(_PAUSE_SECONDS)
            begin = marks.now()
            await redis.publish(_CHANNEL, marks.chunk(run, 0, begin, "0.0"))
            while await pubsub.get_message(timeout=_PATIENCE_SECONDS) is None:
                pass
            return marks.now() - begin

        yield probe


async def _took(viewers: Crowd) -> int:
    await asyncio.sleep(_PAUSE_SECONDS)
    tally = await asyncio.to_thread(viewers.finish, _PATIENCE_SECONDS, grace=0.0)
    return tally.latencies[0]
