"""The streams that are open in this process, and how they are ended from outside."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from session_svc.domain.access import Grant
from session_svc.domain.errors import (
    Draining,
    ScopeMissing,
    SessionForbidden,
    SessionServiceError,
    StoreUnavailable,
)
from session_svc.entropy import jitter
from session_svc.transport.access import Access
from session_svc.transport.caller import Caller
from session_svc.transport.errors import TooManyStreams
from session_svc.transport.guard import Guard, allow

RETRY_SPREAD: Final = 2.0
"""Over how many seconds those that were sent away together return."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one process serves at once, whoever calls."""

    calls: int
    """With one answer each."""
    streams: int
    connections: int


@dataclass(eq=False, slots=True)
class OpenStream:
    """One stream.

    session  the one it is about, once it has said so
    reason   why it is being ended
    """

    method: str
    access: Access
    caller: Caller
    until: asyncio.Timeout
    session: str | None = None
    reason: SessionServiceError | None = None

    def end(self, reason: SessionServiceError, within: float = 0.0) -> None:
        """Ends it with `reason`, `within` so many seconds; at once overrules later."""
        if not self.until.expired() and (self.reason is None or not within):
            self.reason = reason
            self.until.reschedule(asyncio.get_running_loop().time() + within)


class Streams:
    """All of them."""

    def __init__(self, guard: Guard, most: int) -> None:
        self._guard = guard
        self._most = most
        self._open: set[OpenStream] = set()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    @contextmanager
    def counted(self, stream: OpenStream) -> Iterator[None]:
        """Has `stream` among them while entered. Raises TooManyStreams."""
        if len(self._open) >= self._most:
            raise TooManyStreams(self._most)
        self._guard.open_stream(stream.caller)
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)
            self._guard.close_stream(stream.caller)

    def drain(self, seconds: float) -> None:
        """Ends them at random moments within `seconds`."""
        for stream in self._open:
            stream.end(Draining(jitter(RETRY_SPREAD)), jitter(seconds))

    async def review(self) -> None:
        """Ends those whose tokens have expired, were revoked, or permit something else by now."""
        verdicts: dict[str, Grant | SessionServiceError] = {}
        for stream in list(self._open):
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
    try:
        allow(stream.method, stream.access, grant.scope)
    except ScopeMissing as error:
        return error
    if stream.session is not None and not grant.covers(stream.session):
        return SessionForbidden(grant.sessions)
    return Draining(jitter(RETRY_SPREAD), "what this token permits has changed; call again")
