"""What requests hold in memory while they come, and while their answers are taken, all of them together."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aichat_runtime.memory import MemoryGuard
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from stream_gateway import metrics
from stream_gateway.budget import Budget
from stream_gateway.http.edge import App, Message, Receive, Scope, Send
from stream_gateway.http.problems import Problem, too_many

PIECE_BYTES: Final = 64 * 1024
"""How much of an answer is handed to the server at once, which waits until the socket takes it."""
STALL_SECONDS: Final = 60.0
"""How long a piece of a body, or of an answer, may take."""
LENIENT_SECONDS: Final = 1.0
"""How long it may take while others need the room."""
PARALLEL_READS: Final = 4
"""How many histories are read at once: one may be megabytes, and several times that while it is put together."""
TURN_SECONDS: Final = 10.0
"""How long a request waits for its turn to read one."""
_DETAIL: Final = "this gateway has no memory to spare now; try again"


class Spare:
    """Serves `app` while there is memory to spare, else refuses what is new: 429 RATE_LIMITED.

    Where bodies and answers together hold too much, those that neither come nor are taken are broken off first.
    """

    def __init__(self, app: App, guard: MemoryGuard, budget: Budget) -> None:
        self._app = app
        self._guard = guard
        self._budget = budget
        self._reads = asyncio.Semaphore(PARALLEL_READS)
        self._waiting: dict[_Exchange, asyncio.Timeout] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request. Raises Problem."""
        if self._guard.exceeded or not self.has_room():
            metrics.REQUESTS_REFUSED.inc()
            raise _refusal()
        exchange = _Exchange(self, scope, receive, send)
        try:
            if scope["method"] == "GET" and scope["path"].endswith("/messages"):
                await self._take_turn(exchange)
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            exchange.end_turn()
            self._budget.used -= exchange.held

    async def _take_turn(self, exchange: "_Exchange") -> None:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._reads.acquire()
        except TimeoutError:
            metrics.REQUESTS_REFUSED.inc()
            raise _refusal() from None
        exchange.turn = self._reads

    def hold(self, exchange: "_Exchange", size: int) -> None:
        """Counts bytes that a request holds until its end."""
        exchange.held += size
        self._budget.used += size

    def has_room(self) -> bool:
        """Whether there is room; where there is none, it is being made."""
        if not self._budget.exceeded:
            return True
        now = asyncio.get_running_loop().time()
        excess = self._budget.used - self._budget.limit // 2
        for exchange, patience in tuple(self._waiting.items()):  # The one that has waited longest comes first.
            if excess <= 0 or now - exchange.since < LENIENT_SECONDS:
                break
            excess -= exchange.held
            patience.reschedule(now)
        return False

    @asynccontextmanager
    async def wait(self, exchange: "_Exchange") -> AsyncIterator[None]:
        """Inside, the request waits for its peer. Raises TimeoutError when that takes too long."""
        exchange.since = asyncio.get_running_loop().time()
        async with asyncio.timeout(STALL_SECONDS) as patience:
            self._waiting[exchange] = patience
            try:
                yield
            finally:
                del self._waiting[exchange]


class _Exchange:
    """One request and its answer: `held` bytes, and `since` when it waits for its peer. `turn`: to read a history."""

    def __init__(self, spare: Spare, scope: Scope, receive: Receive, send: Send) -> None:
        self._spare = spare
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_come = False
        self._start: Message | None = None
        self._refused = False
        self.held = 0
        self.since = 0.0
        self.turn: asyncio.Semaphore | None = None

    def end_turn(self) -> None:
        """Lets the next one read."""
        if self.turn is not None:
            self.turn.release()
            self.turn = None

    async def receive(self) -> Message:
        """ASGI's `receive`. Raises starlette's own exception: FastAPI takes others for a body that cannot be parsed."""
        if self._has_come:
            return await self._receive()  # What can come now is that the peer has left.
        async with self._spare.wait(self):
            message = await self._receive()
        self._spare.hold(self, len(message.get("body", b"")))
        self._has_come = not message.get("more_body", False)
        if not self._has_come and not self._spare.has_room():
            refusal = _refusal()
            raise HTTPException(refusal.status, refusal.detail, refusal.headers)
        return message

    async def send(self, message: Message) -> None:
        """ASGI's `send`, a piece at a time. Raises ClientDisconnect when the peer takes too long."""
        if self._refused:
            return
        if message["type"] != "http.response.body":
            self._start = message
            return
        body = message.get("body", b"")
        self.end_turn()
        if self._start is not None and len(body) > PIECE_BYTES:
            self._spare.hold(self, len(body))
            if not self._spare.has_room() and self._scope["method"] == "GET":
                self._refused = True
                await _refusal().response()(self._scope, self._receive, self._send)
                return
        try:
            await self._send_all(message, body)
        except TimeoutError:
            raise ClientDisconnect from None

    async def _send_all(self, message: Message, body: bytes) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        for begin in range(0, max(1, len(body)), PIECE_BYTES):
            piece = body[begin : begin + PIECE_BYTES]
            more = begin + PIECE_BYTES < len(body) or message.get("more_body", False)
            async with self._spare.wait(self):
                await self._send({**message, "body": piece, "more_body": more})


def _refusal() -> Problem:
    return too_many("RATE_LIMITED", _DETAIL, random.uniform(1, 5))  # noqa: S311 - Spreads load only.
