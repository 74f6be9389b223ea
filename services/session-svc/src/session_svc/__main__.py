"""`session-svc` serves until it is told to stop; `health` asks a running one whether it is ready, `token` keeps the
tokens."""

import argparse
import asyncio
from typing import Final

import structlog
import uvloop
from aichat_runtime import logs, metrics
from aichat_runtime.lifecycle import StopSignals
from aichat_runtime.settings import exit_with_errors, load
from aichat_runtime.tls import RenewedPair, UnusablePairError

from session_svc import bootstrap, health_command
from session_svc.identity import command as token_command
from session_svc.identity.token_file import UnusableTokensError
from session_svc.settings import HealthSettings, SessionServiceSettings, TokenSettings
from session_svc.storage.redis import Unsupported
from session_svc.transport import server

_LAST_WORDS_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="session-svc", description="Keeps the sessions of ai-chat and serves them.")
    commands = parser.add_subparsers(dest="command", metavar="serve|health|token")
    commands.add_parser("serve", help="serve until it is told to stop (the default)")
    commands.add_parser("health", help="exit 0 if the service that listens here is ready")
    token_command.add_parser(commands)
    arguments = parser.parse_args()
    if arguments.command == "token":
        raise SystemExit(_token(arguments))
    if arguments.command == "health":
        raise SystemExit(health_command.run(load(HealthSettings)))
    settings = load(SessionServiceSettings)
    logs.configure(settings.log_level, settings.log_format)
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


def _token(arguments: argparse.Namespace) -> int:
    path = load(TokenSettings).auth_tokens_file
    if path is None:
        exit_with_errors(["AUTH_TOKENS_FILE: not set; it names the file in which tokens are kept"])
    return token_command.run(arguments, path)


if __name__ == "__main__":
    main()
