"""The streams that are open in this process, and how they are ended from outside."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import grpc

from session_svc.domain.access import Grant
from session_svc.domain.errors import (
    Draining,
    InvalidField,
    ScopeMissing,
    SessionForbidden,
    SessionServiceError,
    StoreUnavailable,
    WatcherTooSlow,
)
from session_svc.entropy import jitter
from session_svc.transport.access import Access
from session_svc.transport.caller import Caller
from session_svc.transport.capacity import Patience
from session_svc.transport.errors import TooManyStreams
from session_svc.transport.guard import Context, Guard, allow
from session_svc.transport.rpc import Rpc

RETRY_SPREAD: Final = 2.0
"""Over how many seconds those that were sent away together return."""


class OpenStream:
    """One stream, from its first header until its client has heard of its end.

    A message that is being written cannot be taken back, and until it is gone there is no room for a status. So an end
    that comes meanwhile waits for the client to read, for a time; then the call is torn down.

    session  the one it is about, once it has said so
    """

    __slots__ = (
        "_ending", "_hurry", "_over", "_patience", "_reason", "_rpc", "_writing_since",
        "access", "caller", "is_ended", "method", "session",
    )  # fmt: skip

    def __init__(
        self, method: str, access: Access | None, by: Caller, patience: Patience, over: Callable[["OpenStream"], None]
    ) -> None:
        """Of the handler that runs now; `over` is called at its end."""
        self.method = method
        self.access = access
        self.caller = by
        self.session: str | None = None
        self.is_ended = False
        self._rpc = Rpc()
        self._patience = patience
        self._over = over
        self._reason: SessionServiceError | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._hurry: asyncio.TimerHandle | None = None
        self._writing_since: float | None = None
        self._rpc.when_over(self._ended)

    def end(self, reason: SessionServiceError, within: float = 0.0) -> None:
        """Ends it with `reason`, `within` so many seconds; at once overrules later."""
        if not self.is_ended and (self._reason is None or not within):
            self._reason = reason
            if self._ending is not None:
                self._ending.cancel()
            self._ending = asyncio.get_running_loop().call_later(within, self._end)

    def last_words(self) -> None:
        """From now on its client may only hear why it ends, and has not long for that."""
        self.is_ended = True
        if self._hurry is None:
            self._hurry = asyncio.get_running_loop().call_later(self._patience.last_words, self._rpc.tear_down)

    def interrupted(self) -> None:
        """Raises why it is ended, if that is why its handler was cancelled."""
        if self.is_ended and not self._rpc.handler.uncancel():
            self._raise_reason()

    async def first(self, context: Context) -> bytes:
        """Its first message. Raises InvalidField when it does not come in time, or none does."""
        seconds = self._patience.request
        try:
            async with asyncio.timeout(seconds):
                data = await context.read()
        except TimeoutError:
            raise InvalidField("request", f"none came within {seconds:.0f} s; send it at once") from None
        if data is grpc.aio.EOF:
            raise InvalidField("request", "missing; it is the first message of a stream")
        assert isinstance(data, bytes)  # noqa: S101 - The server is built without deserializers.
        return data

    async def write(self, context: Context, response: object) -> None:
        """Writes one message, as soon as the client makes room for it. Raises the reason where it is to end."""
        loop = asyncio.get_running_loop()
        late = loop.call_later(self._patience.writing, self._is_too_slow)
        self._writing_since = loop.time()
        try:
            await context.write(response)
        except grpc.aio.InternalError:
            raise asyncio.CancelledError from None  # The client has left.
        finally:
            self._writing_since = None
            late.cancel()
        if self.is_ended:
            self._raise_reason()

    def relieve(self, since: float) -> None:
        """Gives it up if its client has made no room for a message since before `since`."""
        if self._writing_since is not None and self._writing_since < since:
            self._rpc.tear_down()

    def _is_too_slow(self) -> None:
        self.end(WatcherTooSlow())

    def _end(self) -> None:
        if self.is_ended:
            return
        self.last_words()
        if self._writing_since is None:
            self._rpc.handler.cancel()

    def _raise_reason(self) -> NoReturn:
        reason, self._reason = self._reason, None
        assert reason is not None  # noqa: S101 - `end` sets it first.
        try:
            raise reason.with_traceback(None)  # One reason may end many streams.
        finally:
            del reason  # Else it would hold this frame, which holds it, and both the call that is to go.

    def _ended(self, _: asyncio.Task[Any]) -> None:
        self.is_ended = True
        for timer in (self._ending, self._hurry):
            if timer is not None:
                timer.cancel()
        self._over(self)


class Streams:
    """All of them."""

    def __init__(self, guard: Guard, most: int, patience: Patience, on_end: Callable[[], None]) -> None:
        """`on_end` is called after each."""
        self._guard = guard
        self._most = most
        self._patience = patience
        self._on_end = on_end
        self._open: dict[OpenStream, Callable[[], None]] = {}
        """How to count each out again."""

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def __iter__(self) -> Iterator[OpenStream]:
        """Those that are open."""
        return iter(list(self._open))

    def begin(self, method: str, access: Access | None, by: Caller) -> OpenStream:
        """Counts the one whose handler runs now, until it is over. Raises TooManyStreams."""
        if len(self._open) >= self._most:
            raise TooManyStreams(self._most)
        close = self._guard.open_stream(by, access)
        stream = OpenStream(method, access, by, self._patience, self._over)
        self._open[stream] = close
        return stream

    def drain(self, seconds: float) -> None:
        """Ends them at random moments within `seconds`."""
        for stream in self:
            stream.end(Draining(jitter(RETRY_SPREAD)), jitter(seconds))

    def _over(self, stream: OpenStream) -> None:
        self._open.pop(stream)()
        self._on_end()

    def relieve(self, since: float) -> None:
        """Gives up those whose clients have made no room for a message since before `since`."""
        for stream in self:
            stream.relieve(since)

    async def review(self) -> None:
        """Ends those whose tokens have expired, were revoked, or permit something else by now."""
        verdicts: dict[str, Grant | SessionServiceError] = {}
        for stream in self:
            token = stream.caller.token
            if not token:
                continue
            if token not in verdicts:
                verdicts[token] = await self._verdict(token)
            verdict = verdicts[token]
            # Where the provider does not answer, nothing is known that was not known when the stream was let in.
            if verdict != stream.caller.grant and not isinstance(verdict, StoreUnavailable):
                stream.end(verdict if isinstance(verdict, SessionServiceError) else _after_a_change(stream, verdict))

    async def _verdict(self, token: str) -> Grant | SessionServiceError:
        try:
            return await self._guard.again(token)
        except SessionServiceError as error:
            return error


def _after_a_change(stream: OpenStream, grant: Grant) -> SessionServiceError:
    """Why `stream` ends when its token has become `grant`; where that permits it too, it may begin again."""
    assert stream.access is not None  # noqa: S101 - What is open to all is opened without a token.
    try:
        allow(stream.method, stream.access, grant.scope)
    except ScopeMissing as error:
        return error
    if stream.session is not None and not grant.covers(stream.session):
        return SessionForbidden(grant.sessions)
    return Draining(jitter(RETRY_SPREAD), "what this token permits has changed; call again")
