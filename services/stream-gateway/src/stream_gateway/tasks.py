"""Tasks with an owner that hears them die."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Tasks:
    """Owns background tasks: keeps them alive, reports a defect in one, ends all of them together."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], on_defect: Callable[[], None] | None = None) -> asyncio.Task[None]:
        """Runs `work` outside of any request. Should it raise, that is logged and `on_defect` called."""
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._running.add(task)

        def done(finished: asyncio.Task[None]) -> None:
            self._running.discard(finished)
            if not finished.cancelled() and (error := finished.exception()):
                log.error("task_failed", exc_info=error)
                if on_defect:
                    on_defect()

        task.add_done_callback(done)
        return task

    async def close(self) -> None:
        """Cancels all and waits until they have ended."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
