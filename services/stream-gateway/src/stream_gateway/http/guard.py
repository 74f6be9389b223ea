"""Who may ask at all: no other site's page, and without tokens nobody under a name that an attacker can point at us."""

from typing import Final

from aichat_runtime.address import is_loopback
from starlette.datastructures import Headers

from stream_gateway.http.credentials import Credential
from stream_gateway.http.problems import Problem
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OWN_SITES: Final = ("", "same-origin", "none")
"""What Sec-Fetch-Site says of our own page, of an address that somebody typed, and of whatever is no browser."""


class Guard:
    """Checks Host, Origin and the kind of body; whether a token is good is session-svc's to say."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._hosts = settings.hosts
        self._public_origin = settings.public_origin
        self._write = settings.gateway_write
        self._on_loopback = settings.is_published_on_loopback
        self._tokens_required = settings.tokens_required

    def check_host(self, visitor: Visitor) -> None:
        """Raises Problem when the gateway is not to be reached by that name."""
        if self._hosts is not None and visitor.host not in self._hosts:
            raise Problem(
                403,
                "HOST_NOT_ALLOWED",
                f"the Host {visitor.authority!r} is not one under which this gateway is served; "
                "if it should be, name it in GATEWAY_HOSTS",
            )

    def check_api(self, method: str, visitor: Visitor, headers: Headers, credential: Credential | None) -> None:
        """Raises Problem when a request to the API is not to be served, whatever its token may do.

        A program that sends its token itself is nobody's instrument; a browser that adds a cookie may be.
        """
        by_itself = credential is None or credential.ambient
        if method in WRITING:
            if not self.may_write(visitor):
                raise Problem(
                    403,
                    "WRITE_DISABLED",
                    "writing over HTTP is off here; GATEWAY_WRITE=true turns it on, the command line always writes",
                )
            if by_itself:
                self.check_origin(visitor, headers)
            _check_media_type(method, headers)
        elif by_itself:
            self._check_reader(visitor, headers)

    def check_origin(self, visitor: Visitor, headers: Headers) -> None:
        """Raises Problem when a request that changes something does not come from our own page."""
        origin = headers.get("origin", "").lower()
        if origin not in (visitor.origin, self._public_origin):
            raise Problem(
                403,
                "ORIGIN_NOT_ALLOWED",
                f"a request that writes must carry the Origin {self._public_origin or visitor.origin}, "
                f"not {origin or 'none'}; behind a proxy set PUBLIC_URL or TRUSTED_PROXIES",
            )

    def may_write(self, visitor: Visitor) -> bool:
        """Whether writing is on for whoever reaches us like this; with tokens their scopes decide."""
        if self._write is not None:
            return self._write
        return self._tokens_required or (self._on_loopback and is_loopback(visitor.host))

    def _check_reader(self, visitor: Visitor, headers: Headers) -> None:
        """Another site's page could not read the answer, but hold streams open in its visitor's name."""
        origin = headers.get("origin", "").lower()
        foreign = origin and origin not in (visitor.origin, self._public_origin)
        if foreign or headers.get("sec-fetch-site", "") not in _OWN_SITES:
            raise Problem(
                403,
                "ORIGIN_NOT_ALLOWED",
                f"the page of another site ({origin or 'not named'}) may not ask here; behind a proxy set PUBLIC_URL "
                "or TRUSTED_PROXIES",
            )


def _check_media_type(method: str, headers: Headers) -> None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method != "DELETE" and media_type != "application/json":
        raise Problem(415, "INVALID_FIELD", "send the body as JSON, with Content-Type: application/json")
