"""A viewer that comes back: whatever ends its stream, it goes on where it was, at one gateway after the other."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final, Self

import httpx
from support.background import Background
from support.draft import Draft
from support.web_viewer import WebViewer

PAUSE_SECONDS: Final = 0.05
DEADLINE_SECONDS: Final = 90.0


class LastingViewer(Background):
    """Async context manager. `events`: all that came, over all its streams. `joins`: how many there were."""

    def __init__(self, session: str, *addresses: str) -> None:
        self.joins = 0
        self._session = session
        self._addresses = addresses
        self._before: list[dict[str, Any]] = []
        self._now: WebViewer | None = None
        self._last_id = ""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.until(lambda: self._now is not None, "a stream")
        return self

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything that has come."""
        return [*self._before, *(self._now.events if self._now else [])]

    @property
    def types(self) -> list[str]:
        """The types of everything that has come."""
        return [event["type"] for event in self.events]

    @property
    def states(self) -> list[str]:
        """The states that its present stream told."""
        return self._now.states if self._now else []

    @property
    def draft(self) -> Draft:
        """The reply as it was seen. AssertionError: something was missing, or came twice."""
        return Draft(self.events)

    @property
    def last(self) -> str | None:
        """What the last message says; None: the last thing that happened was no message."""
        events = [event for event in self.events if event["type"] not in ("updated", "session", "snapshot")]
        return events[-1]["payload"].get("content") if events and "sequence" in events[-1]["payload"] else None

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Returns once `condition()` holds."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not condition():  # noqa: ASYNC110 - Anything may be waited for.
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{what} did not come; there is {self.events[-20:]}") from None

    async def run(self) -> None:
        """See Background."""
        while True:
            address = self._addresses[self.joins % len(self._addresses)]
            self.joins += 1
            with contextlib.suppress(httpx.HTTPError, AssertionError):
                await self._follow(address)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self, address: str) -> None:
        where = {"last_event_id": self._last_id} if self._last_id else {}
        async with WebViewer(address, self._session, **where) as viewer:
            self._now = viewer
            try:
                await viewer.until(lambda: viewer.ended or viewer.broken, "the end", seconds=None)
            finally:
                self._before += viewer.events
                self._now = None
                self._last_id = viewer.last_id or self._last_id
