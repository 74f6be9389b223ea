"""The calls with one answer that are under way in this process, and how long each may take."""

import asyncio
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import grpc

from session_svc.domain.errors import InvalidField, RateLimited, SessionServiceError
from session_svc.transport.access import Access
from session_svc.transport.caller import Caller
from session_svc.transport.capacity import Patience
from session_svc.transport.errors import out_of_memory
from session_svc.transport.guard import Context, Guard
from session_svc.transport.rpc import Rpc


class OpenCall:
    """One call, from its first header until its client has taken the answer.

    Handlers begin with the headers and read the request themselves, so that who sends none is known and counted.
    """

    __slots__ = ("_answered", "_over", "_patience", "_refusal", "_rpc", "_timer", "_waits_since", "began")

    def __init__(self, patience: Patience, over: Callable[["OpenCall"], None]) -> None:
        """Of the handler that runs now; `over` is called at its end."""
        self._rpc = Rpc()
        self._patience = patience
        self._over = over
        self._refusal: SessionServiceError | None = None
        self._waits_since: float | None = None
        """Since when it waits for its client, to send the request or to take the answer."""
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None
        self.began = asyncio.get_running_loop().time()
        self._rpc.when_over(self._ended)

    async def request(self, context: Context) -> bytes:
        """The request. Raises InvalidField when it does not come in time, or none does; RateLimited."""
        self._waits_since = asyncio.get_running_loop().time()
        try:
            data = await context.read()
        except asyncio.CancelledError:
            if self._refusal is not None and not self._rpc.handler.uncancel():
                raise self._refusal from None
            raise
        finally:
            self._waits_since = None
        if data is grpc.aio.EOF:
            raise InvalidField("request", "missing; send one")
        assert isinstance(data, bytes)  # noqa: S101 - The server is built without deserializers.
        return data

    def answered(self) -> None:
        """The answer is there, and its client has to take it."""
        self._answered = True
        self._waits_since = asyncio.get_running_loop().time()

    def relieve(self, since: float) -> None:
        """Gives it up if it has waited for its client since before `since`."""
        if self._waits_since is not None and self._waits_since < since:
            self._give_up(out_of_memory())

    def overdue(self) -> None:
        """Gives it up: it has taken as long as it may."""
        seconds = f"{self._patience.call:.0f} s"
        self._give_up(InvalidField("request", f"not there within {seconds}; send it at once"))

    def _give_up(self, refusal: SessionServiceError) -> None:
        if self._refusal is not None:
            return  # It has its last words to hear that.
        if self._waits_since is None or self._answered:
            self._rpc.tear_down()
        else:
            self._refusal = refusal
            self._rpc.handler.cancel()
            self._timer = asyncio.get_running_loop().call_later(self._patience.last_words, self._rpc.tear_down)

    def _ended(self, _: asyncio.Task[Any]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._over(self)


class OpenCalls:
    """All of them."""

    def __init__(self, guard: Guard, most: int, patience: Patience, on_end: Callable[[], None]) -> None:
        """`on_end` is called after each."""
        self._guard = guard
        self._most = most
        self._patience = patience
        self._on_end = on_end
        self._open: dict[OpenCall, Callable[[], None]] = {}
        """How to count each out again."""

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._open)

    def begin(self, access: Access | None, by: Caller) -> OpenCall:
        """Counts the one whose handler runs now, until it is over. Raises RateLimited."""
        if len(self._open) >= self._most:
            raise RateLimited(f"{self._most} calls are under way here; try again", 1.0)
        close = self._guard.open_call(by, access)
        call = OpenCall(self._patience, self._over)
        self._open[call] = close
        return call

    def end_overdue(self, now: float) -> None:
        """Gives up those that have taken as long as they may. A timer for each call would cost more than the rest."""
        for call in list(takewhile(lambda call: call.began < now - self._patience.call, self._open)):
            call.overdue()

    def relieve(self, since: float) -> None:
        """Gives up those that have waited for their clients since before `since`."""
        for call in list(self._open):
            call.relieve(since)

    def _over(self, call: OpenCall) -> None:
        self._open.pop(call)()
        self._on_end()
