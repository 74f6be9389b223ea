"""What the gateway draws from, and whether it is within reach."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import grpc
import structlog
from ai_chat_client.connection import Connection
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stream_gateway import metrics

EVENTS: Final = "events"
SESSIONS: Final = "session-svc"
PROBE_SECONDS: Final = 1.0
PROBE_TIMEOUT_SECONDS: Final = 3.0

log = structlog.get_logger(__name__)


class Reach:
    """Which of the sources answer. `on_change` is called when all do, and when that is over."""

    def __init__(self, sources: Iterable[str]) -> None:
        self.up = dict.fromkeys(sources, False)
        self.on_change: Callable[[bool], None] = lambda up: None  # noqa: ARG005 - Nobody listens yet.

    @property
    def complete(self) -> bool:
        """Whether all sources are within reach."""
        return all(self.up.values())

    def report(self, source: str, *, up: bool) -> None:
        """Takes in how a source fares."""
        was_complete = self.complete
        self.up[source] = up
        metrics.SOURCE_UP.labels(source).set(up)
        if self.complete is not was_complete:
            self.on_change(self.complete)


async def probe(connection: Connection, reach: Reach) -> None:
    """Asks session-svc again and again whether it is ready, until cancelled."""
    target, options = connection.endpoint.target, connection.channel_options
    credentials = connection.credentials
    async with (
        grpc.aio.secure_channel(target, credentials, options=options)
        if credentials
        else grpc.aio.insecure_channel(target, options=options)
    ) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while True:
            try:
                answer = await health.Check(
                    health_pb2.HealthCheckRequest(), timeout=PROBE_TIMEOUT_SECONDS, metadata=connection.metadata()
                )
                up = answer.status == health_pb2.HealthCheckResponse.SERVING
            except grpc.RpcError as failure:
                log.debug("session_svc_not_reached", error=str(failure))
                up = False
            reach.report(SESSIONS, up=up)
            await asyncio.sleep(PROBE_SECONDS)
