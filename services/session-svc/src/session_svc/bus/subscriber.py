"""One listener of the bus: a bounded queue with a named ending."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Generic, Self, TypeVar

from session_svc.bus.base import Gap
from session_svc.domain.errors import WatcherTooSlow
from session_svc.domain.limits import MIB

Event = TypeVar("Event")

QUEUED_EVENTS: Final = 1000
QUEUED_BYTES: Final = 8 * MIB


class Subscriber(AsyncIterator[Event | Gap], Generic[Event]):
    """Yields what is offered to it, in order; ends when it is closed or falls too far behind."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Event | Gap, int]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._too_slow = False
        self._closed = False

    def offer(self, event: Event, size: int) -> None:
        """Queues an event of about `size` bytes; one more than it may hold ends it with WatcherTooSlow."""
        if self._too_slow or self._closed:
            return
        if len(self._queue) >= QUEUED_EVENTS or self._bytes + size > QUEUED_BYTES:
            self._too_slow = True
            self._forget()
            return
        self._queue.append((event, size))
        self._bytes += size
        self._wake.set()

    def lose(self) -> None:
        """Says that events may have been missed. What is still queued is part of what is read again."""
        if self._too_slow or self._closed:
            return
        self._forget()
        self._queue.append((Gap.LOST, 0))

    def close(self) -> None:
        """Ends it; what is queued is dropped."""
        self._closed = True
        self._forget()

    def _forget(self) -> None:
        self._queue.clear()
        self._bytes = 0
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Gap:
        while not self._queue:
            if self._too_slow:
                raise WatcherTooSlow
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        event, size = self._queue.popleft()
        self._bytes -= size
        return event
