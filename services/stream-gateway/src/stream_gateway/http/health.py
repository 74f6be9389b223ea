"""Whether the process lives, and whether it can serve."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stream_gateway.http.edge import Receive, Scope, Send
from stream_gateway.http.problems import Problem
from stream_gateway.reach import Reach


class Health:
    """`/healthz`: always 200. `/readyz`: 503 while a source is out of reach, or the gateway is stopping."""

    def __init__(self, reach: Reach, is_draining: Callable[[], bool]) -> None:
        self._reach = reach
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if request.method not in ("GET", "HEAD"):
            raise Problem(405, "METHOD_NOT_ALLOWED", "only GET", headers={"allow": "GET, HEAD"})
        response = JSONResponse({"status": "live"}) if scope["path"] == "/healthz" else self._readiness()
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    def _readiness(self) -> Response:
        sources = {name: "up" if up else "down" for name, up in self._reach.up.items()}
        ready = self._reach.complete and not self._is_draining()
        status = "draining" if self._is_draining() else "ready" if ready else "not ready"
        return JSONResponse({"status": status, "sources": sources}, 200 if ready else 503)
