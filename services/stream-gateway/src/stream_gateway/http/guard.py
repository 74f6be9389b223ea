"""Who may ask at all while there are no tokens: no other site's page, no name that an attacker can point at us."""

from typing import Final

from aichat_runtime.settings import is_loopback
from starlette.datastructures import Headers

from stream_gateway.http.problems import Problem
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Guard:
    """Checks Host on every request, Origin and the kind of body on those that write."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._hosts = settings.hosts
        self._public_origin = settings.public_origin
        self._write = settings.gateway_write
        self._on_loopback = settings.is_published_on_loopback

    def check(self, method: str, visitor: Visitor, headers: Headers) -> None:
        """Raises Problem when the request is not to be served."""
        if visitor.host not in self._hosts:
            raise Problem(
                403,
                "HOST_NOT_ALLOWED",
                f"the Host {visitor.authority!r} is not one under which this gateway is served; "
                "if it should be, name it in GATEWAY_HOSTS",
            )
        if method in WRITING:
            self._check_write(method, visitor, headers)

    def may_write(self, visitor: Visitor) -> bool:
        """Whether writing is on for whoever reaches us like this."""
        return self._on_loopback and is_loopback(visitor.host) if self._write is None else self._write

    def _check_write(self, method: str, visitor: Visitor, headers: Headers) -> None:
        if not self.may_write(visitor):
            raise Problem(
                403,
                "WRITE_DISABLED",
                "writing over HTTP is off here; GATEWAY_WRITE=true turns it on, the command line always writes",
            )
        origin = headers.get("origin", "").lower()
        if origin not in (visitor.origin, self._public_origin):
            raise Problem(
                403,
                "ORIGIN_NOT_ALLOWED",
                f"a request that writes must carry the Origin {self._public_origin or visitor.origin}, "
                f"not {origin or 'none'}; behind a proxy set PUBLIC_URL or TRUSTED_PROXIES",
            )
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method != "DELETE" and media_type != "application/json":
            raise Problem(415, "INVALID_FIELD", "send the body as JSON, with Content-Type: application/json")
