"""What goes on beside a test, in a task of its own."""

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """Async context manager: `run` goes on until the block is left. What ended it before is raised there."""

    _running: asyncio.Task[None] | None = None

    @abstractmethod
    async def run(self) -> None:
        """What goes on; cancelled at the end."""

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.run())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.wait([self._running])
        if exc is None and not self._running.cancelled():
            await self._running
