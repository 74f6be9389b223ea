"""Waiting for the next event with a time limit."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from session_svc.domain.errors import StoreUnavailable

T = TypeVar("T")


class Listener(Generic[T]):
    """Takes from an iterator without ending it when nothing comes in time.

    Cancelling `anext` closes a generator and may drop an event that was just taken; so the wait is given up
    here, and the same `anext` is waited for next time.
    """

    def __init__(self, events: AsyncIterator[T]) -> None:
        self._events = events
        self._taking: asyncio.Task[T] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait((self._taking,))
            self._taking = None

    async def next(self, seconds: float) -> T | None:
        """The next event; None when none came within `seconds`.

        Raises what the iterator raises; StoreUnavailable when it ends.
        """
        taking = self._taking or asyncio.ensure_future(self._take())
        self._taking = taking
        done, _ = await asyncio.wait((taking,), timeout=seconds)
        if not done:
            return None
        self._taking = None
        return taking.result()

    async def _take(self) -> T:
        try:
            return await anext(self._events)
        except StopAsyncIteration:
            raise StoreUnavailable("the subscription has ended") from None
