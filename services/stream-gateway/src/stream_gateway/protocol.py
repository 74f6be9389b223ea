"""One connection: uvicorn's, with an end to whoever sends slowly, too much, or nothing at all."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aichat_runtime.address import is_loopback
from aichat_runtime.limits import OpenLimit, address_key
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

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
"""Also of what stands between the pieces of a body, or behind it: nothing reads that, but it has to be parsed."""
MAX_HEADERS: Final = 100
MAX_PIPELINED: Final = 32
"""How many requests may wait behind the one that is being answered: each is kilobytes, and 20 bytes to send."""

peers = OpenLimit(MAX_CONNECTIONS_PER_PEER)
"""The connections of each address, as the network has it: a proxy is one peer, and this machine's are not counted."""


def open_place(client: tuple[str, int] | None, connections: int) -> str | None:
    """Counts a connection from there, the last of so many of the process.

    Returns the key under which it is in `peers`, to be closed there; empty: it is in none. None: there is no room.
    """
    host = client[0] if client else ""
    key = "" if not host or is_loopback(host) else address_key(host)
    if connections > MAX_CONNECTIONS or (key and not peers.open(key)):
        metrics.CONNECTIONS_REFUSED.inc()
        return None
    return key


class GatewayProtocol(HttpToolsProtocol):
    """Refuses connections beyond what the process takes, heads that are too large or too slow, and endless framing.

    A route may take over its connection, as servers have it for WebSockets.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _in_head = False
    _in_body = False
    _has_moved_on = False
    """Whether a body began, or a piece of it came, with what is being parsed."""
    _framing_bytes = 0
    _answered: RequestResponseCycle | None = None
    """The request that is being answered; uvicorn's `cycle` is the one that came last, and may wait behind it."""
    _place: str | None = None
    """What `open_place` returned of this connection, until it is left."""

    def take_place(self, place: str) -> None:
        """Has the connection, before it is made, take over a place that was opened for it."""
        self._place = place

    def leave_place(self) -> None:
        """Gives up its place, if it has one."""
        if self._place:
            peers.close(self._place)
        self._place = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # As uvicorn's is.
        """Takes the connection, or drops it."""
        super().connection_made(transport)
        if self._place is None:
            self._place = open_place(self.client, len(self.connections))
        if self._place is None:
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._head_came()
        self.leave_place()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came; more of a head, or between pieces of a body, than there may be ends the connection."""
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()
        self._has_moved_on = False
        super().data_received(data)
        if self._in_head or (self._in_body and not self._has_moved_on):
            self._framing_bytes += len(data)
            if self._framing_bytes > MAX_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "TOO_LARGE", _TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begins a request."""
        super().on_message_begin()
        self._in_head = True
        self._framing_bytes = 0
        self.scope["extensions"] = {TAKE_OVER: {"call": self._hand_over}}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a field of the head. One behind a body is none: it would fill the memory, and contradict the head."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Has the request answered, once its head is there. Raises ValueError when too many wait for that."""
        self._in_head = False
        self._body_moves_on()
        self._in_body = True
        self._head_came()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self.app = _refuse_head
        super().on_headers_complete()
        if not self.pipeline or self.pipeline[0][0] is not self.cycle:
            self._answered = self.cycle

    def on_body(self, body: bytes) -> None:
        """Takes a piece of the body."""
        self._body_moves_on()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends the body."""
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Waits for the next request, of whose head a piece may be here already."""
        if self.pipeline:
            self._answered = self.pipeline[-1][0]
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
        if self._answered is not None:
            self._answered.disconnected = True  # To uvicorn: the route has nothing to answer any more.
        if self._place:
            viewer.at_end(partial(_leave, self._place))
        self._place = None
        transport.set_protocol(viewer)
        transport.resume_reading()  # A pipelined request may have stopped it, and the end would not be noticed.
        # Nothing may be left that refers to itself: thousands of those are long in collecting.
        self.cycle = self._answered = self.scope = self.headers = self.parser = None  # type: ignore[assignment]  # As uvicorn does.
        self.pipeline.clear()
        return transport

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _body_moves_on(self) -> None:
        self._framing_bytes = 0
        self._has_moved_on = True

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
            if self.cycle is not self._answered or self.cycle.response_started or not self.cycle.more_body:
                self.transport.abort()
                return
            # Its own body is what is wrong. The route hears that nobody waits for another answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
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
