"""The gateway over a real session service, once with a real Redis and once without, and a client that writes."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest
import redis
from ai_chat_client import AsyncClient
from support.processes import Service, gateway, session_svc
from support.redis_server import RedisServer

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Deployment:
    """What runs: session-svc, the gateway, and Redis unless everything is in memory."""

    session_svc: Service
    gateway: Service
    redis: RedisServer | None

    @property
    def address(self) -> str:
        """Where browsers go."""
        return self.gateway.address


@pytest.fixture(scope="session")
def on_redis() -> Iterator[Deployment]:
    with RedisServer() as server, session_svc(server.url) as svc, gateway(svc.address, server.url) as web:
        yield Deployment(svc, web, server)


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Deployment]:
    with session_svc() as svc, gateway(svc.address) as web:
        yield Deployment(svc, web, None)


@pytest.fixture(params=["on_redis", "in_memory"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Whatever is true of one way to follow sessions is true of the other."""
    found: Deployment = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def name() -> str:
    """The name of a session that is not there yet."""
    return f"session-{next(_numbers)}"


@pytest.fixture
async def chat(deployment: Deployment) -> AsyncIterator[AsyncClient]:
    """Somebody who writes, past the gateway."""
    async with AsyncClient(deployment.session_svc.address) as client:
        yield client


@pytest.fixture
async def web(deployment: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    """A page's requests: same origin, JSON."""
    base = f"http://{deployment.address}"
    async with httpx.AsyncClient(base_url=base, headers={"origin": base}) as client:
        yield client


@pytest.fixture
def raw(on_redis: Deployment) -> Iterator[redis.Redis]:
    """chat.ai's hand on the keys."""
    assert on_redis.redis
    with redis.Redis(port=on_redis.redis.port, decode_responses=True) as client:
        yield client
