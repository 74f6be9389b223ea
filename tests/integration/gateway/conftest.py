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
from support.tokens import TokensFile

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


@dataclass(frozen=True)
class Secured:
    """A deployment with tokens. `tokens` makes and revokes them; `ada` may read and write team-*, `root` everything."""

    session_svc: Service
    gateway: Service
    tokens: TokensFile
    ada: str
    root: str

    @property
    def base(self) -> str:
        """The page's address."""
        return f"http://{self.gateway.address}"

    def browser(self, token: str | None) -> httpx.AsyncClient:
        """A page's requests, its visitor signed in with `token`."""
        client = httpx.AsyncClient(base_url=self.base, headers={"origin": self.base})
        if token is not None:
            client.cookies.set("ai-chat", token)
        return client


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    tokens = TokensFile(tmp_path_factory.mktemp("tokens") / "tokens.json")
    own = tokens.add("gateway", scopes=["read"])
    ada, root = tokens.add("ada", sessions=["team-*"]), tokens.add("root", scopes=["read", "write", "admin"])
    with (
        RedisServer() as server,
        session_svc(server.url, AUTH_TOKENS_FILE=str(tokens.path)) as svc,
        gateway(svc.address, server.url, GATEWAY_TOKEN=own, LIMIT_TOKEN_REQUESTS="0") as web,
    ):
        yield Secured(svc, web, tokens, ada, root)


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
