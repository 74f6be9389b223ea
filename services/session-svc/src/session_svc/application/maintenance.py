"""What is done without being asked: expiry, adoption, and knowing whether the store answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from session_svc.domain.errors import SessionServiceError, StoreUnavailable
from session_svc.storage.base import SessionStore

SETTLE_SECONDS: Final = 0.4
ADOPT_SECONDS: Final = 60.0
PING_SECONDS: Final = 1.0
_PING_PATIENCE: Final = 2.0

_log = structlog.get_logger(__name__)

OnReadiness = Callable[[bool], None]
"""Told of every change: whether calls can be served."""


class Maintenance:
    """The tasks of one replica that look after the store."""

    def __init__(self, store: SessionStore, on_readiness: OnReadiness) -> None:
        self._store = store
        self._on_readiness = on_readiness
        self._answers = asyncio.Event()
        self._regained = asyncio.Event()

    async def run(self) -> None:
        """Runs until it is cancelled. Raises only what is a defect of this module."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_store(), name="watch-store")
            tasks.create_task(self._settle(), name="settle-due")
            tasks.create_task(self._adopt(), name="adopt")

    async def _watch_store(self) -> None:
        """Ready means: the store answers and there is a list of sessions."""
        while True:
            answers = await self._attempt("ping", self._ping)
            if answers and not self._answers.is_set():
                answers = await self._attempt("adopt", self._list_unless_listed)
            if answers != self._answers.is_set():
                self._turn(answers)
            await asyncio.sleep(PING_SECONDS)

    def _turn(self, answers: bool) -> None:
        if answers:
            self._answers.set()
            self._regained.set()
            _log.info("store_answers")
        else:
            self._answers.clear()
            _log.warning("store_unavailable")
        self._on_readiness(answers)

    async def _settle(self) -> None:
        while True:
            await self._answers.wait()
            await self._attempt("settle", self._store.settle_due)
            await asyncio.sleep(SETTLE_SECONDS)

    async def _adopt(self) -> None:
        while True:
            await self._answers.wait()
            self._regained.clear()
            await self._attempt("adopt", self._adopt_once)
            try:
                async with asyncio.timeout(ADOPT_SECONDS):
                    await self._regained.wait()
            except TimeoutError:
                continue

    async def _ping(self) -> None:
        async with asyncio.timeout(_PING_PATIENCE):
            await self._store.ping()

    async def _list_unless_listed(self) -> None:
        if not await self._store.is_listed() and not await self._adopt_once():
            raise StoreUnavailable("another replica is listing the sessions")

    async def _adopt_once(self) -> bool:
        """Whether all sessions are listed by it."""
        adopted = await self._store.adopt()
        if adopted:
            _log.info("sessions_adopted", count=adopted)
        return adopted is not None

    async def _attempt(self, what: str, step: Callable[[], Awaitable[object]]) -> bool:
        """Whether `step` succeeded. One that fails is tried again in time: conversations go on without it."""
        try:
            await step()
        except (SessionServiceError, TimeoutError) as error:
            _log.debug("maintenance_failed", step=what, problem=str(error))
            return False
        except Exception:  # noqa: BLE001 - One defective session must not take down every conversation; it is logged.
            _log.exception("maintenance_defect", step=what)
            return False
        return True
