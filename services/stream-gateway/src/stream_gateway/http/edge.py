"""The first to see each request: gives it an id, checks it, and hands it to whoever answers."""

import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog
from ai_chat_client import context
from aichat_runtime.logs import HEADER as REQUEST_ID_HEADER
from aichat_runtime.logs import bind_request_id
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from stream_gateway import metrics
from stream_gateway.http.cors import Cors
from stream_gateway.http.credentials import Cookie, credential_of, token_missing
from stream_gateway.http.guard import Guard
from stream_gateway.http.problems import Problem
from stream_gateway.http.quotas import Quotas
from stream_gateway.http.visitor import Visitor, visitor_of
from stream_gateway.settings import GatewaySettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

VISITOR: Final = "stream_gateway.visitor"
"""The key of the scope under which the Visitor is."""
CREDENTIAL: Final = "stream_gateway.credential"
"""The key of the scope under which a request to the API has its Credential, None where nobody needs one."""
STREAM_PATH: Final = "/api/stream"
API: Final = "/api/"
SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"
SIGNING_PATHS: Final = frozenset({SIGN_IN, SIGN_OUT})
HEALTH_PATHS: Final = frozenset({"/healthz", "/readyz"})
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE"})
SECURITY_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
CLIENT_GONE: Final = 499
"""The status in log and metrics of a request whose client left before the answer; nginx's word for it."""
TOO_SLOW: Final = 408
UNFINISHED: Final = frozenset({TOO_SLOW, 413, 429})
"""Answers that may come before the whole body has."""
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")

log = structlog.get_logger(__name__)


class Edge:
    """The ASGI application. Paths are matched undecoded, so that a session's name is one segment whatever it holds.

    `stream` is called with the bare `send`: nothing stands between the hub and the socket.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        guard: Guard,
        cookie: Cookie,
        quotas: Quotas,
        *,
        stream: App,
        health: App,
        page: App,
        api: App,
        sign_in: App,
    ) -> None:
        self._prefix = settings.path_prefix
        self._trusted = settings.trusted_proxies
        self._tokens_required = settings.tokens_required
        self._cors = Cors(settings)
        self._guard = guard
        self._cookie = cookie
        self._quotas = quotas
        self._stream = stream
        self._health = health
        self._page = page
        self._api = api
        self._sign_in = sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"nothing here speaks {scope['type']}")
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        context.request_id.set(request_id)
        bind_request_id(request_id)
        scope["path"] = self._local_path(scope["raw_path"].decode("ascii"))
        visitor = visitor_of(scope, headers, self._trusted)
        scope[VISITOR] = visitor
        if scope["path"] == STREAM_PATH and scope["method"] == "GET":
            await self._serve_stream(scope, receive, send, visitor, request_id)
        else:
            await self._serve(scope, receive, send, visitor, request_id)

    async def _serve_stream(
        self, scope: Scope, receive: Receive, send: Send, visitor: Visitor, request_id: str
    ) -> None:
        extra = {REQUEST_ID_HEADER: request_id, **self._cors.headers(Headers(scope=scope))}
        scope["stream_gateway.headers"] = [(name.encode(), value.encode()) for name, value in extra.items()]
        try:
            self._quotas.request_from(visitor)
            self._guard.check_host(visitor)
            self._authorize(scope, visitor)
            await self._stream(scope, receive, send)
        except Problem as problem:
            await self._serve(scope, receive, send, visitor, request_id, problem.response())

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, visitor: Visitor, request_id: str, answer: App | None = None
    ) -> None:
        started = time.perf_counter()
        status: int | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                if scope["path"].startswith(API):
                    headers.update(self._cors.headers(Headers(scope=scope)))
                if status in UNFINISHED and (status == TOO_SLOW or "content-length" not in Headers(scope=scope)):
                    headers["connection"] = "close"  # Nobody knows when such a body ends.
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await (answer or self._answer(scope, visitor))(scope, receive, send_with_headers)
        except Problem as problem:
            await problem.response()(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception:
            log.exception("defect", method=scope["method"], path=scope["path"])
            if status is None:
                defect = Problem(500, "INTERNAL", "something went wrong; the log of the gateway has the details")
                await defect.response()(scope, receive, send_with_headers)
        finally:
            self._report(scope, visitor, status, time.perf_counter() - started)

    def _answer(self, scope: Scope, visitor: Visitor) -> App:
        path = scope["path"]
        if path in HEALTH_PATHS:
            return self._health
        self._quotas.request_from(visitor)
        self._guard.check_host(visitor)
        if path.startswith(API):
            if answer := self._cors.preflight(scope["method"], Headers(scope=scope)):
                return answer
            self._authorize(scope, visitor)
            if path == STREAM_PATH:
                raise Problem(405, "METHOD_NOT_ALLOWED", "only GET", headers={"allow": "GET"})
            if credential := scope[CREDENTIAL]:
                context.token.set(credential.token)
            return self._api
        if path in SIGNING_PATHS and self._tokens_required:
            return self._sign_in
        return self._api if path == "/openapi.json" else self._page

    def _authorize(self, scope: Scope, visitor: Visitor) -> None:
        """Takes the token of a request to the API. Raises Problem when it is not to be served."""
        headers = Headers(scope=scope)
        credential = credential_of(headers, visitor, self._cookie) if self._tokens_required else None
        if self._tokens_required and credential is None:
            raise token_missing()
        self._quotas.request_with(credential)
        self._guard.check_api(scope["method"], visitor, headers, credential)
        scope[CREDENTIAL] = credential

    def _local_path(self, path: str) -> str:
        """The path below PUBLIC_URL, whether or not the proxy has cut that off; empty where its slash is missing."""
        if self._prefix and (path == self._prefix or path.startswith(self._prefix + "/")):
            return path.removeprefix(self._prefix)
        return path

    def _report(self, scope: Scope, visitor: Visitor, status: int | None, seconds: float) -> None:
        route = _route_of(scope)
        method = scope["method"] if scope["method"] in METHODS else "other"
        metrics.REQUESTS.labels(method, route, status).inc()
        metrics.SECONDS.labels(route).observe(seconds)
        quiet = scope["path"] in HEALTH_PATHS
        (log.debug if quiet else log.info)(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            client=visitor.client,
            ms=round(seconds * 1000, 1),
        )


def _route_of(scope: Scope) -> str:
    """The route's pattern: what metrics are counted by must not grow with what people ask for."""
    path = scope["path"]
    if path in (*HEALTH_PATHS, *SIGNING_PATHS, STREAM_PATH, "/"):
        return str(path)
    matched = getattr(scope.get("route"), "path", None)
    if matched:
        return str(matched)
    return "/s/{name}" if path.startswith("/s/") else "/static" if path.startswith("/static/") else "other"


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
