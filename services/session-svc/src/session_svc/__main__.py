"""`session-svc` serves until it is told to stop; `session-svc health` asks a running one whether it is ready."""

import argparse
import asyncio
import sys
from typing import Final

import grpc
import structlog
import uvloop
from aichat_runtime import logs, metrics
from aichat_runtime.lifecycle import StopSignals
from aichat_runtime.settings import Address, exit_with_errors, load
from grpc_health.v1 import health_pb2

from session_svc import bootstrap
from session_svc.settings import SessionServiceSettings
from session_svc.storage.redis import Unsupported
from session_svc.transport import server

LISTEN: Final = "SESSION_SVC_LISTEN"
_HEALTH_SECONDS: Final = 3.0
_LAST_WORDS_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="session-svc", description="Keeps the sessions of ai-chat and serves them.")
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "health"),
        default="serve",
        help="serve (the default), or health: exit 0 if the service that listens here is ready",
    )
    command = parser.parse_args().command
    settings = load(SessionServiceSettings)
    if command == "health":
        raise SystemExit(_health(settings.session_svc_listen))
    refusal = settings.refusal_to_publish(settings.session_svc_listen, LISTEN)
    if refusal:
        exit_with_errors([refusal])
    logs.configure(settings.log_level, settings.log_format)
    try:
        uvloop.run(_serve(settings))
    except (server.ListenError, Unsupported, ValueError) as error:
        raise SystemExit(f"session-svc: {error}") from None


async def _serve(settings: SessionServiceSettings) -> None:
    try:
        metrics.serve(settings.metrics_listen)
    except OSError as error:
        raise server.ListenError(f"METRICS_LISTEN: cannot listen on {settings.metrics_listen}: {error}") from error
    async with (
        StopSignals() as stop,
        bootstrap.open_backend(settings) as backend,
        bootstrap.build(backend) as service,
    ):
        try:
            address = server.listen(service.server, settings.session_svc_listen)
        except server.ListenError as error:
            raise server.ListenError(f"{LISTEN}: {error}") from error
        await service.health.begin()
        await service.server.start()
        _log.info("listening", address=str(address), redis=settings.redis_enabled)
        maintenance = asyncio.create_task(service.maintenance.run(), name="maintenance")
        stopping = asyncio.create_task(stop.draining.wait(), name="stop")
        try:
            await asyncio.wait((maintenance, stopping), return_when=asyncio.FIRST_COMPLETED)
            await _stop(service, settings.drain_seconds)
        finally:
            stopping.cancel()
            maintenance.cancel()
            results = await asyncio.gather(maintenance, stopping, return_exceptions=True)
            await service.server.stop(0)
        if isinstance(results[0], Exception):
            raise results[0]


async def _stop(service: bootstrap.Service, drain_seconds: float) -> None:
    """Not ready, no new calls, those under way end; then the connections."""
    _log.info("draining", seconds=drain_seconds)
    await service.health.stop()
    await service.calls.drain(drain_seconds)
    await service.server.stop(_LAST_WORDS_SECONDS)
    _log.info("stopped")


def _health(address: Address) -> int:
    """0 if the service at `address` is ready; else 1, and one line says why."""
    reachable = Address("127.0.0.1", address.port) if address.host in {"0.0.0.0", "::"} else address  # noqa: S104 - Read, not bound.
    with grpc.insecure_channel(str(reachable)) as channel:
        try:
            answer = _check(channel)(health_pb2.HealthCheckRequest(), timeout=_HEALTH_SECONDS)
        except grpc.RpcError as error:
            print(f"session-svc at {reachable} does not answer: {error.code().name}", file=sys.stderr)
            return 1
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        print(f"session-svc at {reachable} is not ready", file=sys.stderr)
        return 1
    return 0


def _check(
    channel: grpc.Channel,
) -> "grpc.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]":
    return channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )


if __name__ == "__main__":
    main()
