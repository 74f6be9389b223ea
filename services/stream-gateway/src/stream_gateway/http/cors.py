"""Other sites' pages that may ask here with a token of their own: none, unless CORS_ORIGINS names them."""

from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from stream_gateway.settings import GatewaySettings

_EXPOSED: Final = "link, location, retry-after, session-position, www-authenticate, x-request-id"
_PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, POST, PATCH, DELETE",
    "access-control-allow-headers": (
        "authorization, content-type, idempotency-key, if-match, last-event-id, x-request-id"
    ),
    "access-control-max-age": "600",
}


class Cors:
    """What lets a browser show our answers to a page of another origin.

    Never with a cookie (no Access-Control-Allow-Credentials): such a page sends its token itself, or is refused.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._origins = frozenset(settings.cors_origins)

    def headers(self, request: Headers) -> dict[str, str]:
        """What the answer to a request carries: nothing where the page's origin is ours, or not named."""
        origin = request.get("origin", "")
        if origin.lower() not in self._origins:
            return {}
        return {"access-control-allow-origin": origin, "access-control-expose-headers": _EXPOSED, "vary": "Origin"}

    def preflight(self, method: str, request: Headers) -> Response | None:
        """The answer to a browser that asks whether a page may ask; None: it is no such question, or no."""
        if method != "OPTIONS" or "access-control-request-method" not in request:
            return None
        allowed = self.headers(request)
        return Response(status_code=204, headers=allowed | _PREFLIGHT) if allowed else None
