"""What is done when the process has as much memory as it may.

Most of it is then held for clients: requests that are still coming, answers and messages that are not being taken. So
nothing new is begun, and those that have waited for their clients longest are given up; whoever is quick is served.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aichat_runtime.memory import SAMPLE_SECONDS, MemoryGuard

from session_svc.transport.errors import out_of_memory
from session_svc.transport.open_calls import OpenCalls
from session_svc.transport.streams import Streams

WAIT_SECONDS: Final = 0.5
"""So long a client may always take: a request that is on its way, a client that reads, takes less."""

_log = structlog.get_logger(__name__)


class Relief:
    """Keeps the process within its memory, and its calls within their time."""

    def __init__(self, memory: MemoryGuard, calls: Sequence[OpenCalls], streams: Streams) -> None:
        self._memory = memory
        self._calls = calls
        self._streams = streams
        self._told = False

    def check(self) -> None:
        """Raises RateLimited when nothing new may be begun."""
        if self._memory.exceeded:
            raise out_of_memory()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks after both while entered."""
        task = asyncio.create_task(self._look(), name="relief")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            try:
                self._relieve(loop.time())
            except Exception:  # noqa: BLE001 - Calls must go on being ended in time; it is logged.
                _log.exception("relief_defect")

    def _relieve(self, now: float) -> None:
        for calls in self._calls:
            calls.end_overdue(now)
        exceeded = self._memory.exceeded
        if exceeded:
            for calls in self._calls:
                calls.relieve(now - WAIT_SECONDS)
            self._streams.relieve(now - WAIT_SECONDS)
        if exceeded != self._told:
            self._told = exceeded
            _log.warning("memory", exceeded=exceeded, limit=self._memory.limit)
