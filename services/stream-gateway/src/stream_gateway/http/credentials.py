"""The token that a request brings: in its Authorization header, or in the cookie that signing in has set."""

import re
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from stream_gateway.http.problems import Problem, unauthenticated
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

MAX_TOKEN: Final = 6000
"""Characters: gRPC carries 8 KiB of metadata, this among it."""
MAX_KEPT: Final = 3800
"""Characters of one that a cookie holds: a browser takes 4096, its name and attributes included."""
COOKIE_SECONDS: Final = 30 * 86_400
"""How long a browser stays signed in, if the token lives that long."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750's b64token.


@dataclass(frozen=True, slots=True)
class Credential:
    """A token that nobody has verified yet. `ambient`: the browser sends it by itself, whoever caused the request."""

    token: str = field(repr=False)
    ambient: bool


def is_token(text: str) -> bool:
    """Whether `text` has the form of a token."""
    return len(text) <= MAX_TOKEN and _TOKEN.fullmatch(text) is not None


class Cookie:
    """The cookie that holds the token: out of reach of scripts, of other sites and, under TLS, of other hosts."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._path = settings.path_prefix or "/"
        self._public_tls = (settings.public_origin or "").startswith("https:")

    def name(self, visitor: Visitor) -> str:
        """Its name: browsers let nobody but this very host, over TLS, set one with such a prefix."""
        if not self._is_secure(visitor):
            return "ai-chat"
        return "__Host-ai-chat" if self._path == "/" else "__Secure-ai-chat"

    def kept(self, visitor: Visitor, token: str) -> str:
        """The header that has the browser keep `token`."""
        return self._header(visitor, token, COOKIE_SECONDS)

    def forgotten(self, visitor: Visitor) -> str:
        """The header that has the browser forget it."""
        return self._header(visitor, "", 0)

    def _header(self, visitor: Visitor, value: str, seconds: int) -> str:
        secure = "; Secure" if self._is_secure(visitor) else ""
        return f"{self.name(visitor)}={value}; Path={self._path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"

    def _is_secure(self, visitor: Visitor) -> bool:
        return self._public_tls or visitor.scheme == "https"


def credential_of(headers: Headers, visitor: Visitor, cookie: Cookie) -> Credential | None:
    """What the request brings; the header before the cookie. Raises Problem when it cannot be a token."""
    for value in headers.getlist("authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            return Credential(_checked(token.strip()), ambient=False)
    kept = cookie_parser("; ".join(headers.getlist("cookie"))).get(cookie.name(visitor))
    return Credential(_checked(kept), ambient=True) if kept else None


def token_missing() -> Problem:
    """The refusal of a request that brings none."""
    return unauthenticated(
        "TOKEN_MISSING", "this needs a token: send it as Authorization: Bearer <token>, or sign in on the web page"
    )


def _checked(token: str) -> str:
    if not is_token(token):
        raise unauthenticated("TOKEN_INVALID", "what was sent cannot be a token; ask who runs this for one")
    return token
