"""What the gateway draws from, and whether it is within reach."""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

import grpc.aio
import structlog
from ai_chat_client.connection import Connection
from grpc_health.v1 import health_pb2

from stream_gateway import metrics

EVENTS: Final = "events"
SESSIONS: Final = "session-svc"
PROBE_SECONDS: Final = 1.0
CALM_ROUNDS: Final = 5
"""Only every so manieth time while it is ready and the connection holds: that much is known without asking."""
PROBE_TIMEOUT_SECONDS: Final = 3.0

log = structlog.get_logger(__name__)


class OnChange(Protocol):
    """Called when all sources have come within reach (`up`), and when that is over."""

    def __call__(self, *, up: bool) -> None: ...


def _ignore(*, up: bool) -> None:
    del up


class Reach:
    """Which of the sources answer; `on_change` is told."""

    def __init__(self, sources: Iterable[str]) -> None:
        self.up = dict.fromkeys(sources, False)
        self.on_change: OnChange = _ignore

    @property
    def complete(self) -> bool:
        """Whether all sources are within reach."""
        return all(self.up.values())

    def report(self, source: str, *, up: bool) -> None:
        """Takes in how a source fares."""
        was_complete = self.complete
        if self.up[source] is not up:
            log.info("source", source=source, up=up)
        self.up[source] = up
        metrics.SOURCE_UP.labels(source).set(up)
        if self.complete is not was_complete:
            self.on_change(up=self.complete)


async def probe(connection: Connection, reach: Reach) -> None:
    """Asks session-svc again and again whether it is ready, until cancelled."""
    target, options = connection.endpoint.target, connection.channel_options
    credentials = connection.credentials
    async with (
        grpc.aio.secure_channel(target, credentials, options=options)
        if credentials
        else grpc.aio.insecure_channel(target, options=options)
    ) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        while True:
            try:
                answer = await check(
                    health_pb2.HealthCheckRequest(), timeout=PROBE_TIMEOUT_SECONDS, metadata=connection.metadata()
                )
                up = answer.status == health_pb2.HealthCheckResponse.SERVING
            except grpc.RpcError as failure:
                log.debug("session_svc_not_reached", error=str(failure))
                up = False
            reach.report(SESSIONS, up=up)
            for _ in range(CALM_ROUNDS if up else 1):
                await asyncio.sleep(PROBE_SECONDS)
                if channel.get_state() is not grpc.ChannelConnectivity.READY:
                    break
