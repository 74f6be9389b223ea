"""Puts the service together. The only module that names concrete adapters."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass

import grpc
from aichat_runtime.memory import MemoryGuard
from prometheus_client import REGISTRY

from session_svc.application.foreign import ForeignWrites
from session_svc.application.maintenance import Maintenance
from session_svc.application.messages import Messages
from session_svc.application.replies import Replies
from session_svc.application.sessions import Sessions
from session_svc.application.watch import SessionWatch
from session_svc.application.watch_list import ListWatch
from session_svc.bus.base import StreamBus
from session_svc.bus.memory import InMemoryStreamBus
from session_svc.bus.redis import RedisStreamBus
from session_svc.identity.identity import Identity, Provider
from session_svc.identity.tokens import FileTokens
from session_svc.settings import SessionServiceSettings
from session_svc.storage.base import MessageHistory, ReplyBuffer, SessionStore
from session_svc.storage.memory import InMemoryStorage
from session_svc.storage.redis import open_storage
from session_svc.transport import server
from session_svc.transport.calls import Calls
from session_svc.transport.capacity import Capacity, Patience
from session_svc.transport.guard import Guard, Quota
from session_svc.transport.health import Health
from session_svc.transport.metrics import CallMetrics, StoreMetrics
from session_svc.transport.servicer import SessionServicer


@dataclass(frozen=True, slots=True)
class Backend:
    """The adapters behind the ports."""

    history: MessageHistory
    replies: ReplyBuffer
    store: SessionStore
    bus: StreamBus


@dataclass(frozen=True, slots=True)
class Service:
    """The whole service, ready to listen."""

    server: grpc.aio.Server
    calls: Calls
    health: Health
    maintenance: Maintenance


@asynccontextmanager
async def open_backend(settings: SessionServiceSettings) -> AsyncIterator[Backend]:
    """The adapters that `settings` ask for. Raises ValueError, Unsupported as `open_storage` does."""
    if not settings.redis_enabled:
        bus = InMemoryStreamBus()
        memory = InMemoryStorage(bus, default_ttl_ms=settings.default_ttl_ms)
        yield Backend(memory.history, memory.replies, memory.store, bus)
        return
    store_metrics = StoreMetrics()
    async with AsyncExitStack() as stack:
        REGISTRY.register(store_metrics)
        stack.callback(REGISTRY.unregister, store_metrics)
        redis = await stack.enter_async_context(
            open_storage(settings.redis_dsn(), settings.default_ttl_ms, store_metrics.took)
        )
        redis_bus = await stack.enter_async_context(RedisStreamBus(settings.redis_dsn()))
        yield Backend(redis.history, redis.replies, redis.store, redis_bus)


def find_identity(settings: SessionServiceSettings) -> Identity | None:
    """Who knows the callers; None where no tokens are required. Raises UnusableTokensError."""
    if not settings.tokens_required:
        return None
    file = FileTokens(settings.auth_tokens_file) if settings.auth_tokens_file else None
    return Identity(file, _provider(settings))


def _provider(settings: SessionServiceSettings) -> Provider | None:
    if not (settings.oidc_issuer and settings.oidc_audience):
        return None
    from session_svc.identity.keys import ProviderKeys  # noqa: PLC0415 - Its cryptography doubles the time of a start.
    from session_svc.identity.oidc import ProviderTokens  # noqa: PLC0415 - As above.

    keys = ProviderKeys(settings.oidc_issuer, settings.oidc_jwks)
    return ProviderTokens(settings.oidc_issuer, settings.oidc_audience, keys)


def _guard(settings: SessionServiceSettings, identity: Identity | None) -> Guard:
    return Guard(
        identity,
        per_token=Quota(
            settings.limit_token_requests, settings.limit_token_bytes, streams=settings.limit_token_streams
        ),
        per_address=Quota(
            settings.limit_address_requests,
            settings.limit_address_bytes,
            calls=settings.limit_address_calls,
            streams=settings.limit_address_streams,
        ),
        trusted=settings.trusted_proxies,
    )


@asynccontextmanager
async def build(
    backend: Backend,
    settings: SessionServiceSettings,
    identity: Identity | None,
    patience: Patience = Patience(),  # noqa: B008 - It is frozen.
) -> AsyncIterator[Service]:
    """The service over `backend`; its tasks end with the context."""
    foreign = ForeignWrites(backend.store)
    metrics = CallMetrics()
    capacity = Capacity(settings.limit_calls, settings.limit_streams, settings.limit_connections)
    calls = Calls(metrics, _guard(settings, identity), MemoryGuard(settings.memory_limit), capacity, patience)
    health = Health(server.SERVICE.full_name)
    servicer = SessionServicer(
        Sessions(backend.store),
        Messages(backend.history),
        Replies(backend.replies, backend.bus),
        SessionWatch(backend.history, backend.bus, foreign),
        ListWatch(backend.bus),
    )
    REGISTRY.register(metrics)
    try:
        async with (
            foreign.running(),
            calls.relief.running(),
            identity.running(calls.streams.review) if identity else nullcontext(),
        ):
            yield Service(
                server.build(servicer, calls, health, capacity),
                calls,
                health,
                Maintenance(backend.store, health.set_ready),
            )
    finally:
        REGISTRY.unregister(metrics)
