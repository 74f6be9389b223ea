"""Who is measured: stream-gateway, and what it is compared with, each with a Redis and a session-svc of its own."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from ai_chat_client import Client
from aichat_dev.embedded_redis import EmbeddedRedis

from bench import processes
from bench.fanout import nginx
from bench.fanout.cost import cpu_seconds, memory_bytes
from bench.fanout.publisher_process import Target, Topic
from bench.processes import Server

GATEWAY: Final = "stream-gateway"
NCHAN: Final = "nginx + nchan"
PEER: Final = "queue per viewer"
_SOME_POSITION: Final = "0mf1kzq3v0a1b2.0"
_PROCESSORS: Final = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that tells viewers of `topics` what is published at `target`.

    path     leads, with a session's name, to its stream
    service  the address of the session-svc behind it; None: it has none
    """

    name: str
    server: Server
    target: Target
    path: str
    topics: Sequence[Topic]
    service: str | None

    def request(self, topic: Topic) -> bytes:
        """What a browser asks for, without the line that ends the headers."""
        return (
            f"GET {self.path}{quote(topic.name)} HTTP/1.1\r\nHost: {self.server.address}\r\nUser-Agent: bench\r\n"
            "Accept: text/event-stream\r\nAccept-Encoding: gzip, deflate, br\r\nCache-Control: no-store\r\n"
        ).encode()

    def cpu_seconds(self) -> float:
        """Processor time that its processes have used so far."""
        return cpu_seconds(self.server.pids)

    def memory_bytes(self) -> int:
        """What its processes hold."""
        return memory_bytes(self.server.pids)


@contextmanager
def contenders(names: Sequence[str], sessions: int) -> Iterator[Sequence[Contender]]:
    """Starts the contenders of these names, each for so many new sessions without a message, with nothing open yet."""
    with ExitStack() as running:
        yield [running.enter_context(_STARTED[name](sessions)) for name in names]


def installed() -> list[str]:
    """The contenders that can be started on this machine."""
    return [name for name in (GATEWAY, NCHAN, PEER) if name != NCHAN or nginx.is_installed()]


def current_topics(service: str, sessions: int) -> list[Topic]:
    """So many sessions where they are now; those that do not exist are created."""
    with Client(service, author="bench") as client:
        found = [client.create_session(f"bench-{number}", allow_existing=True) for number in range(sessions)]
    return [Topic(session.name, session.position) for session in found]


@contextmanager
def apart() -> Iterator[None]:
    """Inside, contenders have the last processor to themselves; this process and all else that it starts, the others.

    Otherwise the scheduler decides from run to run whether a viewer that wakes pushes the server aside.
    """
    if len(_PROCESSORS) > 1:
        os.sched_setaffinity(0, _PROCESSORS[:-1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, _PROCESSORS)


@contextmanager
def gateway(sessions: int, *, fsync: str = "always") -> Iterator[Contender]:
    """stream-gateway as it ships, but for the `fsync` of its Redis (appendfsync)."""
    with (
        processes.redis_server({"appendfsync": fsync}) as redis,
        processes.session_svc(redis) as service,
        processes.stream_gateway(redis, service) as server,
    ):
        yield _fed_by_redis(GATEWAY, server, redis, service, sessions)


@contextmanager
def _peer(sessions: int) -> Iterator[Contender]:
    with (
        processes.redis_server() as redis,
        processes.session_svc(redis) as service,
        processes.queue_peer(redis) as server,
    ):
        yield _fed_by_redis(PEER, server, redis, service, sessions)


@contextmanager
def _nchan(sessions: int) -> Iterator[Contender]:
    topics = [Topic(f"bench-{number}", _SOME_POSITION) for number in range(sessions)]
    with nginx.nginx() as server:
        _give_a_processor_to(server)
        yield Contender(NCHAN, server, Target("nchan", server.address), "/sub/", topics, None)


def _fed_by_redis(name: str, server: Server, redis: EmbeddedRedis, service: Server, sessions: int) -> Contender:
    _give_a_processor_to(server)
    topics = current_topics(service.address, sessions)
    target = Target("redis", f"127.0.0.1:{redis.port}")
    return Contender(name, server, target, "/api/stream?session=", topics, service.address)


def _give_a_processor_to(server: Server) -> None:
    if os.sched_getaffinity(0) == set(_PROCESSORS):
        return
    for process in server.processes:
        for thread in process.threads():
            os.sched_setaffinity(thread.id, _PROCESSORS[-1:])


_STARTED: Final[dict[str, Callable[[int], AbstractContextManager[Contender]]]] = {
    GATEWAY: gateway,
    NCHAN: _nchan,
    PEER: _peer,
}
