"""What every call passes: whose it is, whether that one may make it, and not too often."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, Protocol

import grpc
from aichat_runtime.limits import KEYS, OpenLimit, RateLimit, address_key, peer_host, peer_key
from aichat_runtime.proxies import Network, client_of

from session_svc.domain.access import Grant, Scope
from session_svc.domain.errors import RateLimited, ScopeMissing
from session_svc.transport import caller
from session_svc.transport.access import Access
from session_svc.transport.caller import Caller
from session_svc.transport.errors import TooManyStreams

Context = grpc.aio.ServicerContext[Any, Any]

VISITS: Final = 100
"""How many calls, and streams, of what is open to all (health, reflection) one address may have open."""

FORWARDED_KEY: Final = "x-forwarded-for"
_FORWARDED_CHARACTERS: Final = 256
"""Of which only the end counts, so that what is remembered of it is bounded."""

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
    calls: int = 0
    """With one answer each, under way at once."""
    streams: int = 0
    """Open at once."""


class _Meter:
    """What callers have used, each under its key."""

    def __init__(self, quota: Quota, whose: str) -> None:
        self._requests = RateLimit(quota.requests)
        self._bytes = RateLimit(quota.bytes)
        self.calls = OpenLimit(quota.calls)
        self.streams = OpenLimit(quota.streams)
        self._whose = whose

    def request(self, key: str) -> None:
        wait = self._requests.take(key)
        if wait:
            raise RateLimited(f"{self._whose} makes more requests than are allowed; try again in {wait:.1f} s", wait)

    def data(self, key: str, size: int) -> None:
        wait = self._bytes.take(key, size)
        if wait:
            raise RateLimited(f"{self._whose} sends more bytes than are allowed; try again in {wait:.1f} s", wait)

    def call(self, key: str) -> None:
        if not self.calls.open(key):
            raise RateLimited(f"{self._whose} has {self.calls.limit} calls under way; wait for some of them", 1.0)

    def stream(self, key: str) -> None:
        if not self.streams.open(key):
            raise TooManyStreams(self.streams.limit, self._whose)


class Guard:
    """Lets calls in."""

    def __init__(
        self,
        verifier: Verifier | None = None,
        *,
        per_token: Quota | None = None,
        per_address: Quota | None = None,
        trusted: Sequence[Network] = (),
    ) -> None:
        """Without `verifier` no token is asked for. `trusted`: the proxies that say for whom they call."""
        self._verifier = verifier
        self._tokens = _Meter(per_token or Quota(), _TOKEN)
        self._addresses = _Meter(per_address or Quota(), _ADDRESS)
        self._visits = _Meter(Quota(calls=VISITS, streams=VISITS), _ADDRESS)
        self._behind = lru_cache(KEYS)(lambda peer, forwarded: _behind(peer, forwarded, trusted)) if trusted else None

    def meet(self, context: Context) -> Caller:
        """Who calls, as far as the connection says."""
        metadata = context.invocation_metadata()
        peer = context.peer()
        if self._behind is None:
            return Caller(metadata, peer_key(peer))
        return Caller(metadata, self._behind(peer, caller.values(metadata, FORWARDED_KEY)[-_FORWARDED_CHARACTERS:]))

    async def admit(self, method: str, access: Access | None, by: Caller) -> None:
        """Finds out what `by` may do. Without `access`: the method is open to all.

        Raises RateLimited, TokenMissing, TokenInvalid, ScopeMissing; StoreUnavailable where a token cannot be judged.
        """
        if access is None:
            return
        self._addresses.request(by.address)
        if self._verifier is None:
            return
        by.token = caller.bearer(by.metadata)
        grant = await self._verifier.verify(by.token)
        self._tokens.request(grant.name)
        allow(method, access, grant.scope)
        by.grant = grant

    async def again(self, token: str) -> Grant:
        """What the token of an open stream permits now. Raises what the verifier raises."""
        assert self._verifier is not None  # noqa: S101 - Without one no stream has a token.
        return await self._verifier.verify(token)

    def data(self, by: Caller, size: int) -> None:
        """Counts a request of `size` bytes. Raises RateLimited."""
        self._addresses.data(by.address, size)
        if by.grant is not None:
            self._tokens.data(by.grant.name, size)

    def open_call(self, by: Caller, access: Access | None) -> Callable[[], None]:
        """Counts a call with one answer, until what is returned is called. Raises RateLimited."""
        meter = self._visits if access is None else self._addresses
        meter.call(by.address)
        return partial(meter.calls.close, by.address)

    def open_stream(self, by: Caller, access: Access | None) -> Callable[[], None]:
        """Counts a stream, until what is returned is called. Raises TooManyStreams."""
        meter = self._visits if access is None else self._addresses
        meter.stream(by.address)
        if by.grant is None:
            return partial(meter.streams.close, by.address)
        try:
            self._tokens.stream(by.grant.name)
        except TooManyStreams:
            meter.streams.close(by.address)
            raise
        return partial(self._close_stream, by.address, by.grant.name)

    def _close_stream(self, address: str, token: str) -> None:
        self._addresses.streams.close(address)
        self._tokens.streams.close(token)


def _behind(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Under what a caller is counted who may have come through proxies."""
    return address_key(client_of(peer_host(peer), forwarded, trusted))


def allow(method: str, access: Access, scope: Scope) -> None:
    """Raises ScopeMissing unless `scope` includes what `method` needs."""
    if scope < access.scope:
        raise ScopeMissing(access.scope, method)
