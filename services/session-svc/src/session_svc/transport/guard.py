"""What every call passes: whose it is, whether that one may make it, and not too often."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
from aichat_runtime.limits import OpenLimit, RateLimit, peer_key

from session_svc.domain.access import Grant, Scope
from session_svc.domain.errors import RateLimited, ScopeMissing
from session_svc.transport import caller
from session_svc.transport.access import Access
from session_svc.transport.caller import Caller
from session_svc.transport.errors import TooManyStreams

Context = grpc.aio.ServicerContext[Any, Any]

_ADDRESS: Final = "this address"
_TOKEN: Final = "this token"  # noqa: S105 - Words of a message.


class Verifier(Protocol):
    """Knows what a token permits."""

    async def verify(self, token: str) -> Grant:
        """Raises TokenInvalid, StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one caller may use; 0: as much as it likes."""

    requests: float = 0
    """A second."""
    bytes: float = 0
    """Of requests, a second."""
    streams: int = 0
    """Open at once."""


class _Meter:
    """What callers have used, each under its key."""

    def __init__(self, quota: Quota, whose: str) -> None:
        self._requests = RateLimit(quota.requests)
        self._bytes = RateLimit(quota.bytes)
        self._streams = OpenLimit(quota.streams)
        self._whose = whose

    def request(self, key: str) -> None:
        wait = self._requests.take(key)
        if wait:
            raise RateLimited(f"{self._whose} makes more requests than are allowed; try again in {wait:.1f} s", wait)

    def data(self, key: str, size: int) -> None:
        wait = self._bytes.take(key, size)
        if wait:
            raise RateLimited(f"{self._whose} sends more bytes than are allowed; try again in {wait:.1f} s", wait)

    def open(self, key: str) -> None:
        if not self._streams.open(key):
            raise TooManyStreams(self._streams.limit, self._whose)

    def close(self, key: str) -> None:
        self._streams.close(key)


class Guard:
    """Lets calls in."""

    def __init__(
        self, verifier: Verifier | None = None, *, per_token: Quota | None = None, per_address: Quota | None = None
    ) -> None:
        """Without `verifier` no token is asked for."""
        self._verifier = verifier
        self._tokens = _Meter(per_token or Quota(), _TOKEN)
        self._addresses = _Meter(per_address or Quota(), _ADDRESS)

    async def admit(self, method: str, access: Access, context: Context) -> Caller:
        """Who calls.

        Raises RateLimited, TokenMissing, TokenInvalid, ScopeMissing; StoreUnavailable where a token cannot be judged.
        """
        metadata = context.invocation_metadata()
        address = peer_key(context.peer())
        self._addresses.request(address)
        if self._verifier is None:
            return Caller(metadata, address)
        token = caller.bearer(metadata)
        grant = await self._verifier.verify(token)
        self._tokens.request(grant.name)
        allow(method, access, grant.scope)
        return Caller(metadata, address, token, grant)

    async def again(self, token: str) -> Grant:
        """What the token of an open stream permits now. Raises what the verifier raises."""
        assert self._verifier is not None  # noqa: S101 - Without one no stream has a token.
        return await self._verifier.verify(token)

    def data(self, by: Caller, size: int) -> None:
        """Counts a request of `size` bytes. Raises RateLimited."""
        self._addresses.data(by.address, size)
        if by.grant is not None:
            self._tokens.data(by.grant.name, size)

    def open_stream(self, by: Caller) -> None:
        """Counts a stream, until `close_stream`. Raises TooManyStreams."""
        self._addresses.open(by.address)
        if by.grant is not None:
            try:
                self._tokens.open(by.grant.name)
            except TooManyStreams:
                self._addresses.close(by.address)
                raise

    def close_stream(self, by: Caller) -> None:
        """A stream that was opened is no more."""
        self._addresses.close(by.address)
        if by.grant is not None:
            self._tokens.close(by.grant.name)


def allow(method: str, access: Access, scope: Scope) -> None:
    """Raises ScopeMissing unless `scope` includes what `method` needs."""
    if scope < access.scope:
        raise ScopeMissing(access.scope, method)
