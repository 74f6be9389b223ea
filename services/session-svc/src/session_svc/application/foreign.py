"""What chat.ai announces before it stores it: asking the store until it is there.

Reading a session makes the store announce what it finds, so nothing is delivered from here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from session_svc.domain.errors import SessionNotFound, SessionServiceError
from session_svc.domain.position import Position
from session_svc.storage.base import SessionStore

ANNOUNCING: Final = frozenset({"user", "complete", "clear"})
"""chat.ai's events after which its log moves."""

GIVE_UP_SECONDS: Final = 5.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.5

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pursuit:
    """One session that is being asked for.

    head      where it was last seen
    expected  how many moves are still to come: one for each event
    deadline  when to give up, in the loop's time
    """

    head: Position | None
    expected: int
    deadline: float
    task: asyncio.Task[None] | None = None


class ForeignWrites:
    """Asks for a session after chat.ai's events until its head has moved as often; one inquiry for each session."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._pursuits: dict[str, _Pursuit] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Owns the inquiries: those that are under way at the end are given up."""
        try:
            yield
        finally:
            tasks = [pursuit.task for pursuit in self._pursuits.values() if pursuit.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def expect_move(self, name: str, head: Position | None) -> None:
        """An event of chat.ai's came while the watcher was at `head`."""
        deadline = asyncio.get_running_loop().time() + GIVE_UP_SECONDS
        pursuit = self._pursuits.get(name)
        if pursuit is None:
            pursuit = self._pursuits[name] = _Pursuit(head, 1, deadline)
            pursuit.task = asyncio.create_task(self._pursue(name, pursuit), name=f"foreign-writes:{name}")
        else:
            pursuit.expected += 1
            pursuit.deadline = deadline

    async def _pursue(self, name: str, pursuit: _Pursuit) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        try:
            # Until the deadline also when nothing more is expected: an event may still come that was
            # published before what has just been found, and its watcher does not know of that yet.
            while loop.time() < pursuit.deadline:
                if pursuit.expected > 0:
                    moved = await self._moves(name, pursuit)
                    pursuit.expected -= moved
                    pause = _FIRST_PAUSE if moved else min(pause * 2, _LONGEST_PAUSE)
                await asyncio.sleep(pause)
        except SessionServiceError as error:
            _log.warning("foreign_writes_unread", problem=str(error))
        finally:
            del self._pursuits[name]

    async def _moves(self, name: str, pursuit: _Pursuit) -> int:
        try:
            head = (await self._store.get(name)).position
        except SessionNotFound:
            return 0
        before, pursuit.head = pursuit.head, head
        if before == head:
            return 0
        if before is None or before.epoch != head.epoch:
            return pursuit.expected
        return head.sequence - before.sequence
