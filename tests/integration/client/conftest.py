"""The services that the client talks to."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.processes import Service, session_svc
from support.redis_server import RedisServer


@dataclass(frozen=True)
class Stack:
    """A store and the service in front of it."""

    redis: RedisServer
    svc: Service

    @property
    def server(self) -> str:
        """host:port of the service."""
        return self.svc.address


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with RedisServer() as redis, session_svc(redis.url) as svc:
        yield Stack(redis, svc)
