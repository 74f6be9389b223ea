"""How much one address, and one token, may ask of the gateway."""

from typing import Final

from aichat_runtime.address import is_loopback
from aichat_runtime.limits import OpenLimit, RateLimit, address_key

from stream_gateway import metrics
from stream_gateway.http.credentials import Credential
from stream_gateway.http.problems import too_many
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings
from stream_gateway.viewer import Viewer

RETRY_SECONDS: Final = 10.0
MAX_KEY: Final = 64
"""Characters of an address that count: a proxy's header may hold anything."""


class _Meter:
    """What each of a kind of callers has used."""

    def __init__(self, whose: str, requests: float, bytes_: float, streams: int) -> None:
        self._whose = whose
        self._requests = RateLimit(requests)
        self._bytes = RateLimit(bytes_)
        self._streams = OpenLimit(streams)

    def request(self, key: str) -> None:
        self._judge(self._requests.take(key), "makes more requests")

    def body(self, key: str, size: int) -> None:
        self._judge(self._bytes.take(key, size), "sends more bytes")

    def stream(self, key: str, viewer: Viewer) -> None:
        if not self._streams.open(key):
            metrics.REFUSED.labels("quota").inc()
            detail = f"{self._whose} has {self._streams.limit} streams open, as many as are allowed; close one"
            raise too_many("TOO_MANY_STREAMS", detail, RETRY_SECONDS)
        viewer.at_end(lambda _: self._streams.close(key))

    def _judge(self, wait: float, does: str) -> None:
        if wait:
            detail = f"{self._whose} {does} than are allowed; try again in {wait:.1f} s"
            raise too_many("RATE_LIMITED", detail, wait)


class Quotas:
    """Requests and bytes of their bodies a second, and open streams. Every method raises Problem when they are used up.

    This machine's addresses are not counted: behind a proxy here that is not among TRUSTED_PROXIES everybody has one.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._addresses = _Meter(
            "this address",
            settings.limit_address_requests,
            settings.limit_address_bytes,
            settings.limit_address_streams,
        )
        self._tokens = _Meter(
            "this token",
            settings.limit_token_requests,
            settings.limit_token_bytes,
            settings.limit_token_streams,
        )

    def request_from(self, visitor: Visitor) -> None:
        """Counts a request of an address, before anything else is done for it."""
        if key := _address(visitor):
            self._addresses.request(key)

    def request_with(self, credential: Credential | None) -> None:
        """Counts a request of a token."""
        if credential:
            self._tokens.request(credential.token)

    def body(self, visitor: Visitor, credential: Credential | None, size: int) -> None:
        """Counts `size` bytes of a body."""
        if key := _address(visitor):
            self._addresses.body(key, size)
        if credential:
            self._tokens.body(credential.token, size)

    def stream(self, visitor: Visitor, credential: Credential | None, viewer: Viewer) -> None:
        """Counts a stream until the viewer's end."""
        if key := _address(visitor):
            self._addresses.stream(key, viewer)
        if credential:
            self._tokens.stream(credential.token, viewer)


def _address(visitor: Visitor) -> str | None:
    return None if is_loopback(visitor.client) else address_key(visitor.client[:MAX_KEY])
