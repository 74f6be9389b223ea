"""One connection: uvicorn's, with an end to whoever sends slowly, too much, or nothing at all."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aichat_runtime.address import is_loopback
from aichat_runtime.limits import OpenLimit, address_key
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stream_gateway import metrics
from stream_gateway.viewer import Viewer

TAKE_OVER: Final = "stream_gateway.take_over"
"""The key of the scope's extensions under which the server gives its connection away: a TakeOver."""
TakeOver = Callable[[Viewer], asyncio.Transport]
"""Makes a viewer the connection's protocol, and returns its transport."""
MAX_CONNECTIONS: Final = 12_000
MAX_CONNECTIONS_PER_PEER: Final = 2_000
HEAD_SECONDS: Final = 10.0
"""How long a request's head may take, and a new connection without one."""
MAX_HEAD_BYTES: Final = 32 * 1024
MAX_HEADERS: Final = 100

peers = OpenLimit(MAX_CONNECTIONS_PER_PEER)
"""The connections of each address, as the network has it: a proxy is one peer, and this machine's are not counted."""


class GatewayProtocol(HttpToolsProtocol):
    """Refuses connections beyond what the process takes, and heads that are too large or too slow.

    A route may take over its connection, as servers have it for WebSockets.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0
    _peer: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # As uvicorn's is.
        """Takes the connection, or drops it."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS or not self._count():
            metrics.CONNECTIONS_REFUSED.inc()
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._head_came()
        if self._peer is not None:
            peers.close(self._peer)
            self._peer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came; more of a head than there may be ends the connection."""
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "TOO_LARGE", _TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begins a request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self.scope["extensions"] = {TAKE_OVER: {"call": self._hand_over}}

    def on_headers_complete(self) -> None:
        """Has the request answered, once its head is there."""
        self._in_head = False
        self._head_came()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self.app = _refuse_head
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Waits for the next request, of whose head a piece may be here already."""
        super().on_response_complete()
        if self._in_head and self._head_timer is None:
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "INVALID_FIELD", msg)

    def _hand_over(self, viewer: Viewer) -> asyncio.Transport:
        """Makes `viewer` the connection's protocol. Uvicorn forgets the connection and all that it knew of it."""
        transport = self.transport
        self.connections.discard(self)
        self.cycle.disconnected = True  # To uvicorn: the route has nothing to answer any more.
        if self._peer is not None:
            viewer.at_end(partial(_leave, self._peer))
            self._peer = None
        transport.set_protocol(viewer)
        transport.resume_reading()  # A pipelined request may have stopped it, and the end would not be noticed.
        # Nothing may be left that refers to itself: thousands of those are long in collecting.
        self.cycle = self.scope = self.headers = self.parser = None  # type: ignore[assignment]  # As uvicorn does.
        self.pipeline.clear()
        return transport

    def _count(self) -> bool:
        host = self.client[0] if self.client else ""
        if not host or is_loopback(host):
            return True
        key = address_key(host)
        if not peers.open(key):
            return False
        self._peer = key
        return True

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        detail = f"the head of the request did not come within {HEAD_SECONDS:.0f} s"
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "TOO_SLOW", detail)

    def _refuse(self, status: HTTPStatus, reason: str, detail: str) -> None:
        """Says why, unless an answer is on its way, and closes."""
        self._head_came()
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        body = _problem(status, reason, detail)
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in _headers(body).items()
        )
        self.transport.write(head.encode() + b"\r\n" + body)
        self.transport.close()


def _leave(peer: str, viewer: Viewer) -> None:
    del viewer
    peers.close(peer)


_TOO_LARGE: Final = f"the head of a request has at most {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} fields"


async def _refuse_head(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    del scope, receive
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    body = _problem(status, "TOO_LARGE", _TOO_LARGE)
    headers = [(name.encode(), value.encode()) for name, value in _headers(body).items()]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _problem(status: HTTPStatus, reason: str, detail: str) -> bytes:
    problem = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "reason": reason}
    return json.dumps(problem).encode()


def _headers(body: bytes) -> dict[str, str]:
    return {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "x-content-type-options": "nosniff",
        "connection": "close",
    }
