"""`session-svc serve`: from the environment to a running process."""

import asyncio
from typing import Final

import structlog
import uvloop
from aichat_runtime import logs, metrics
from aichat_runtime.descriptors import allow_descriptors
from aichat_runtime.lifecycle import StopSignals
from aichat_runtime.settings import load
from aichat_runtime.tls import RenewedPair, UnusablePairError

from session_svc import bootstrap
from session_svc.identity.token_file import UnusableTokensError
from session_svc.settings import SessionServiceSettings
from session_svc.storage.redis import Unsupported
from session_svc.transport import server

_LAST_WORDS_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


def serve() -> None:
    """Serves until it is told to stop; raises SystemExit with one line when it cannot, with 2 for bad settings."""
    settings = load(SessionServiceSettings)
    logs.configure(settings.log_level, settings.log_format)
    allow_descriptors()
    try:
        uvloop.run(_serve(settings))
    except (UnusableTokensError, UnusablePairError, server.ListenError, Unsupported, ValueError) as error:
        raise SystemExit(f"session-svc: {error}") from None


async def _serve(settings: SessionServiceSettings) -> None:
    identity = bootstrap.find_identity(settings)
    pair = RenewedPair(settings.tls_cert, settings.tls_key) if settings.tls_cert and settings.tls_key else None
    try:
        metrics.serve(settings.metrics_listen)
    except OSError as error:
        raise server.ListenError(f"METRICS_LISTEN: cannot listen on {settings.metrics_listen}: {error}") from error
    async with (
        StopSignals() as stop,
        bootstrap.open_backend(settings) as backend,
        bootstrap.build(backend, settings, identity) as service,
    ):
        try:
            address = server.listen(service.server, settings.session_svc_listen, pair)
        except server.ListenError as error:
            raise server.ListenError(f"SESSION_SVC_LISTEN: {error}") from error
        service.health.begin()
        await service.server.start()
        _log.info(
            "listening", address=str(address), redis=settings.redis_enabled, tokens=bool(identity), tls=bool(pair)
        )
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
    service.health.stop()
    await service.calls.drain(drain_seconds)
    await service.server.stop(_LAST_WORDS_SECONDS)
    _log.info("stopped")
