"""Builds the gateway from its settings, and runs it. The only module that names a concrete source."""

import asyncio
import gc
import socket
from collections.abc import Callable

import structlog
from ai_chat_client import AsyncClient
from ai_chat_client.connection import Connection
from aichat_runtime import metrics
from aichat_runtime.lifecycle import StopSignals
from aichat_runtime.tls import server_context

from stream_gateway import reach
from stream_gateway.history import History
from stream_gateway.http.admission import Admission
from stream_gateway.http.app import json_api
from stream_gateway.http.credentials import Cookie
from stream_gateway.http.edge import Edge
from stream_gateway.http.guard import Guard
from stream_gateway.http.health import Health
from stream_gateway.http.page import WebPage
from stream_gateway.http.quotas import Quotas
from stream_gateway.http.sign_in import SignIn
from stream_gateway.http.spare import Spare
from stream_gateway.http.stream import StreamRoute
from stream_gateway.hub import Hub
from stream_gateway.memory import Memory
from stream_gateway.server import GatewayServer
from stream_gateway.settings import GatewaySettings
from stream_gateway.sources.base import Source
from stream_gateway.sources.grpc import GrpcSource
from stream_gateway.sources.redis import RedisSource
from stream_gateway.watches import Watches

log = structlog.get_logger(__name__)


async def run(settings: GatewaySettings, listener: socket.socket) -> None:
    """Serves until the first signal, then drains; returns when everybody has been sent away."""
    token = settings.gateway_token.get_secret_value() if settings.gateway_token else None
    target, tls, tls_ca = settings.session_svc_address, settings.session_svc_tls, settings.session_svc_tls_ca
    connection = Connection(target, token=token, tls=tls, tls_ca=tls_ca, insecure=True)
    if settings.tokens_required and not connection.endpoint.tls and not connection.endpoint.local:
        log.warning("tokens_in_plaintext", server=target, remedy="use https:// where others share the network")
    certificate, key = settings.tls_cert, settings.tls_key
    tls_context = server_context(certificate, key) if certificate and key else None
    metrics.serve(settings.metrics_listen)
    async with (
        StopSignals() as stop,
        # What viewers share is read with the gateway's token; what one visitor asks, with the visitor's or none.
        AsyncClient(target, token=token, tls=tls, tls_ca=tls_ca, insecure=True) as own,
        AsyncClient(target, tls=tls, tls_ca=tls_ca, insecure=True) as visitors,
    ):
        sources = reach.Reach([reach.SESSIONS, *([reach.EVENTS] if settings.web_stream_enabled else [])])
        memory = Memory(settings.memory_limit)
        hub = _hub(settings, own, sources, memory) if settings.web_stream_enabled else None
        watches = Watches(visitors)
        app = edge(settings, visitors, hub, watches, sources, stop.draining.is_set, memory)
        address = f"{listener.getsockname()[0]}:{listener.getsockname()[1]}"

        def listening() -> None:
            gc.freeze()  # What is there by now stays: looking through it again and again would hold up everybody.
            log.info("listening", address=address)

        server = GatewayServer(app, listening, tls_context)
        async with asyncio.TaskGroup() as background:
            working = [background.create_task(reach.probe(connection, sources))]
            if hub:
                working += [background.create_task(hub.run()), background.create_task(watches.run())]
            serving = background.create_task(server.serve([listener]))
            await stop.draining.wait()
            log.info("draining", viewers=hub.viewers if hub else 0, seconds=settings.drain_seconds)
            if hub:
                await hub.drain(settings.drain_seconds)
            server.leave()
            await serving
            for task in working:
                task.cancel()
    log.info("stopped")


def edge(
    settings: GatewaySettings,
    visitors: AsyncClient,
    hub: Hub | None,
    watches: Watches,
    sources: reach.Reach,
    is_draining: Callable[[], bool],
    memory: Memory | None = None,
) -> Edge:
    """The ASGI application over what it draws from. `visitors`: a client without a token. No hub: no streaming."""
    memory = memory or Memory(settings.memory_limit)
    guard, cookie, quotas = Guard(settings), Cookie(settings), Quotas(settings)
    return Edge(
        settings,
        guard,
        cookie,
        quotas,
        stream=StreamRoute(hub, Admission(watches, quotas, memory.guard), is_draining),
        health=Health(sources, is_draining),
        page=WebPage(settings, guard, cookie),
        api=Spare(json_api(visitors, quotas), memory.guard, memory.requests),
        sign_in=SignIn(visitors, cookie, guard),
    )


def _hub(settings: GatewaySettings, client: AsyncClient, sources: reach.Reach, memory: Memory) -> Hub:
    history = History(client, memory.viewers)
    return Hub(_source(settings, client), history, sources, budget=memory.sessions, owed=memory.viewers)


def _source(settings: GatewaySettings, client: AsyncClient) -> Source:
    return RedisSource(settings.redis_dsn()) if settings.redis_enabled else GrpcSource(client)
