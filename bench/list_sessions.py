"""What the first page of ListSessions costs with 100,000 sessions, against 100."""

import asyncio
from typing import Final

import grpc
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from redis.asyncio import Redis
from session_svc.domain.session import NewSession
from session_svc.storage.redis import open_storage
from session_svc.storage.redis.adoption import LOCK as SCANNING

from bench.figure import Figure
from bench.load import Load, cpu_microseconds
from bench.processes import redis_server, session_svc

MANY: Final = 100_000
FEW: Final = 100
IN_FLIGHT: Final = 8
ROUNDS: Final = 9
CALLS: Final = 300
TARGET: Final = 1.2
_AT_ONCE: Final = 512
_LOOKS: Final = 20
"""So often in a row must no scan be seen."""


async def measure() -> Figure:
    """Two deployments side by side; what Redis does for a call counts too."""
    with redis_server() as many_redis, redis_server() as few_redis:
        await _fill(many_redis.url, MANY)
        await _fill(few_redis.url, FEW)
        with session_svc(many_redis, with_redis=True) as many, session_svc(few_redis, with_redis=True) as few:
            await _settle(many_redis.url)
            async with (
                grpc.aio.insecure_channel(many.address) as many_channel,
                grpc.aio.insecure_channel(few.address) as few_channel,
            ):
                many_stub, few_stub = SessionServiceStub(many_channel), SessionServiceStub(few_channel)
                request = api.ListSessionsRequest()
                loads = {
                    "many": Load(many, lambda _: many_stub.ListSessions(request)),
                    "few": Load(few, lambda _: few_stub.ListSessions(request)),
                }
                cost = await cpu_microseconds(loads, rounds=ROUNDS, calls=CALLS, in_flight=IN_FLIGHT)
    return Figure(f"first page of {MANY:,} sessions / of {FEW}", cost["many"], cost["few"], TARGET)


async def _settle(url: str) -> None:
    """Waits for the end of the scan that a replica makes at its start, which is no part of a call."""
    absent = 0
    async with Redis.from_url(url) as redis:
        while absent < _LOOKS:
            absent = 0 if await redis.exists(SCANNING) else absent + 1
            await asyncio.sleep(0.05)


async def _fill(url: str, sessions: int) -> None:
    async with open_storage(url) as storage:
        numbers = iter(range(sessions))

        async def create() -> None:
            for number in numbers:
                new = NewSession(title=f"About matter {number}", labels={"team": f"team-{number % 20}"})
                await storage.store.create(f"bench-{number:06}", new, allow_existing=False)

        async with asyncio.TaskGroup() as creators:
            for _ in range(_AT_ONCE):
                creators.create_task(create())
