"""Events over gRPC: one WatchSession for each session that is followed, and one WatchSessions."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from ai_chat_client import AsyncClient
from ai_chat_client.errors import AiChatError

from stream_gateway import metrics
from stream_gateway.sources.base import Listener, Source
from stream_gateway.sources.watched import list_event, session_events
from stream_gateway.tasks import Tasks

MAX_DELAY_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class GrpcSource(Source):
    """Watches sessions through session-svc; for where there is no Redis."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._tasks = Tasks()
        self._listener: Listener | None = None
        self._wanted: set[str] = set()

    def follow(self, name: str) -> None:
        self._wanted.add(name)
        if self._listener is not None:
            self._begin(self._listener, name)

    def unfollow(self, name: str) -> None:
        self._wanted.discard(name)
        watch = self._watches.pop(name, None)
        if watch is not None:
            watch.cancel()
        metrics.SUBSCRIPTIONS.set(len(self._watches))

    async def run(self, listener: Listener) -> None:
        self._listener = listener
        for name in self._wanted:
            self._begin(listener, name)
        try:
            await self._keep(lambda: self._watch_list(listener), listener.source_down)
        finally:
            self._listener = None
            self._watches.clear()
            await self._tasks.close()

    def _begin(self, listener: Listener, name: str) -> None:
        if name not in self._watches:
            self._watches[name] = self._tasks.spawn(
                self._keep(lambda: self._watch_session(listener, name), lambda: None)
            )
            metrics.SUBSCRIPTIONS.set(len(self._watches))

    async def _watch_session(self, listener: Listener, name: str) -> None:
        """One watch, until the session is deleted or the watch fails."""
        async with contextlib.aclosing(self._client.watch_session(name)) as responses:
            async for response in responses:
                if response.HasField("caught_up"):
                    # Again after each lost connection. The client has filled the gap, but a title is no part of that.
                    listener.subscribed(name)
                else:
                    for data in session_events(response):
                        listener.event(name, data)

    async def _watch_list(self, listener: Listener) -> None:
        def lost(error: AiChatError) -> None:
            log.debug("list_watch_lost", reason=error.reason)
            listener.source_down()

        async with contextlib.aclosing(self._client.watch_sessions(on_loss=lost)) as responses:
            async for response in responses:
                if response.HasField("reset"):
                    listener.source_up()
                elif data := list_event(response):
                    listener.list_event(data)

    async def _keep(self, watch: Callable[[], Awaitable[None]], lost: Callable[[], None]) -> None:
        """Watches again whenever a watch has ended."""
        ceiling = 0.25
        while True:
            try:
                await watch()
                ceiling = 0.25
            except AiChatError as error:
                log.debug("watch_failed", reason=error.reason)
                lost()
                await asyncio.sleep(random.uniform(0, ceiling))  # noqa: S311 - Spreads load only.
                ceiling = min(ceiling * 2, MAX_DELAY_SECONDS)
