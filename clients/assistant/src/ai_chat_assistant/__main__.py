"""`ai-chat-assistant` answers until it is told to stop; `ai-chat-assistant health` asks whether it could."""

import argparse
import asyncio
import logging
import sys
from typing import Final

import structlog
from ai_chat_client import AiChatError, AsyncClient, RetryPolicy
from aichat_runtime import logs, metrics
from aichat_runtime.lifecycle import StopSignals
from aichat_runtime.settings import load

from ai_chat_assistant.answering import Answering
from ai_chat_assistant.providers.choice import Providers
from ai_chat_assistant.settings import ECHO, AssistantSettings
from ai_chat_assistant.worker import Assistant

_HEALTH_SECONDS: Final = 3.0

_log = structlog.get_logger(__name__)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="ai-chat-assistant", description="Answers the sessions of ai-chat that wait for a reply."
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "health"),
        default="serve",
        help="serve (the default), or health: exit 0 if the session service answers an assistant set up like this",
    )
    command = parser.parse_args().command
    settings = load(AssistantSettings)
    if command == "health":
        raise SystemExit(asyncio.run(_health(settings)))
    logs.configure(settings.log_level, settings.log_format)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # A line per request, with the server's whole URL.
    asyncio.run(_serve(settings))


async def _serve(settings: AssistantSettings) -> None:
    try:
        metrics.serve(settings.metrics_listen)
    except OSError as error:
        raise SystemExit(
            f"ai-chat-assistant: METRICS_LISTEN: cannot listen on {settings.metrics_listen}: {error}"
        ) from error
    providers = Providers.of(settings)
    try:
        async with StopSignals() as stop, _client(settings) as client:
            _log.info(
                "started",
                name=settings.assistant_name,
                model=settings.assistant_model or ECHO,
                session_svc=settings.session_svc_address,
            )
            assistant = Assistant(
                client, Answering(client, providers, settings), concurrency=settings.assistant_concurrency
            )
            await assistant.run(stop.draining, drain_seconds=settings.drain_seconds)
    finally:
        await providers.close()
    _log.info("stopped")


async def _health(settings: AssistantSettings) -> int:
    """0 if session-svc lists sessions for this assistant; else 1, and one line says why."""
    async with _client(settings, RetryPolicy(timeout=_HEALTH_SECONDS, attempts=1)) as client:
        try:
            await client.list_sessions(page_size=1)
        except AiChatError as error:
            print(f"session-svc at {settings.session_svc_address}: {error.message}", file=sys.stderr)
            return 1
    return 0


def _client(settings: AssistantSettings, policy: RetryPolicy | None = None) -> AsyncClient:
    token = settings.assistant_token
    return AsyncClient(
        settings.session_svc_address,
        token=token.get_secret_value() if token else None,
        tls_ca=settings.session_svc_tls_ca,
        author=settings.author,
        tls=settings.session_svc_tls,
        insecure=settings.session_svc_trusted,
        policy=policy,
    )


if __name__ == "__main__":
    main()
