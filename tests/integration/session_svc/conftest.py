"""session-svc as a real process, in memory and on a real Redis."""

from collections.abc import Iterator
from itertools import count

import grpc
import pytest
from aichat.session.v1 import session_service_pb2_grpc as service
from support.processes import Service, session_svc
from support.redis_server import RedisServer

_names = count(1)


@pytest.fixture(scope="module", params=["memory", "redis"])
def running(request: pytest.FixtureRequest) -> Iterator[Service]:
    """One service for the tests of a module; they keep apart by the names of their sessions."""
    if request.param == "memory":
        with session_svc() as started:
            yield started
    else:
        with RedisServer() as redis, session_svc(redis.url) as started:
            yield started


@pytest.fixture(scope="module")
def channel(running: Service) -> Iterator[grpc.Channel]:
    options = (("grpc.max_send_message_length", -1),)
    with grpc.insecure_channel(running.address, options=options) as opened:
        yield opened


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> service.SessionServiceStub:
    return service.SessionServiceStub(channel)


@pytest.fixture
def name() -> str:
    """A session that no other test uses."""
    return f"session-{next(_names)}"
