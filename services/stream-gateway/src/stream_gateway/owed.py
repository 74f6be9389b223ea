"""What viewers have still to take, all of them together."""

import asyncio
from collections.abc import Iterable
from typing import Final

from aichat_runtime.memory import MemoryGuard

from stream_gateway.budget import PROCESS_BYTES

ROOM: Final = 0.5
"""How much of the limit what is read for those who join may fill: the rest is for what happens meanwhile."""


class Owed:
    """Counts bytes that wait for viewers: those that many of them wait for, once.

    `limit`: how many there should be at most. What is over is cleared by those who can: see `Seats`.
    """

    def __init__(self, limit: int = PROCESS_BYTES, guard: MemoryGuard | None = None) -> None:
        self.limit = limit
        self.used = 0
        self._guard = guard or MemoryGuard(0)
        self._holders: dict[int, int] = {}
        self._waiting = 0
        self._freed = asyncio.Event()

    @property
    def is_short_of_memory(self) -> bool:
        """Whether the process has too much in memory, whatever for."""
        return self._guard.exceeded

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for room that there is not."""
        return self._waiting > 0 and not self._has_room

    def hold(self, data: bytes) -> None:
        """Counts bytes that one viewer more waits for, who keeps them until they are released."""
        key = id(data)
        holders = self._holders.get(key, 0)
        if not holders:
            self.used += len(data)
        self._holders[key] = holders + 1

    def release(self, items: Iterable[bytes]) -> None:
        """Counts them out again, for one viewer."""
        for data in items:
            key = id(data)
            holders = self._holders.pop(key) - 1
            if holders:
                self._holders[key] = holders
            else:
                self.used -= len(data)
        if self._waiting and self._has_room:
            self._freed.set()

    async def room(self) -> None:
        """Returns once there is room for what is read for those who join."""
        self._waiting += 1
        try:
            while not self._has_room:
                self._freed.clear()
                await self._freed.wait()
        finally:
            self._waiting -= 1

    @property
    def _has_room(self) -> bool:
        return self.used <= self.limit * ROOM
