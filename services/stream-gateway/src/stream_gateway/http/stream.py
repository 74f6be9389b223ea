"""GET /api/stream: what happens in a session, and to the list, as server-sent events."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

import structlog
from starlette.datastructures import Headers, QueryParams

from stream_gateway import metrics, sse
from stream_gateway.feed import Start
from stream_gateway.http.edge import Receive, Scope, Send
from stream_gateway.http.names import check_name
from stream_gateway.http.problems import Problem, unavailable
from stream_gateway.hub import RETRY_MS, AtCapacityError, Hub
from stream_gateway.position import ABSENT, Position
from stream_gateway.viewer import Viewer

ABORT: Final = "stream_gateway.abort"
"""The key of the scope's extensions under which the server says how to drop a connection."""
PATIENCE_SECONDS: Final = 0.5
"""How long the first frame waits for the head, to carry it."""
HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

log = structlog.get_logger(__name__)


class StreamRoute:
    """A plain ASGI route: the request's own task only waits for the end; the hub writes."""

    def __init__(self, hub: Hub | None, is_draining: Callable[[], bool]) -> None:
        self._hub = hub
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hub = self._hub
        if hub is None:
            raise Problem(404, "NOT_FOUND", "streaming is off here; WEB_STREAM_ENABLED=true turns it on")
        name, wants_list, start = _wish(QueryParams(scope["query_string"]), Headers(scope=scope))
        if self._is_draining():
            metrics.REFUSED.labels("draining").inc()
            raise unavailable("DRAINING", "this gateway is stopping; connect again", random.uniform(1, 5))  # noqa: S311
        viewer = Viewer(send, scope.get("extensions", {}).get(ABORT, {}).get("call", lambda: None))
        try:
            hub.enter(viewer)
        except AtCapacityError:
            metrics.REFUSED.labels("capacity").inc()
            raise unavailable(
                "TOO_MANY_STREAMS",
                "this gateway has as many streams as it takes; try again",
                random.uniform(5, 30),  # noqa: S311
            ) from None
        try:
            async with asyncio.TaskGroup() as group:
                joining = group.create_task(
                    _join(hub, viewer, name, start, wants_list=wants_list, headers=scope["stream_gateway.headers"])
                )
                while (await receive())["type"] != "http.disconnect":
                    pass
                joining.cancel()
        finally:
            hub.leave(viewer)
            await viewer.close()


async def _join(
    hub: Hub,
    viewer: Viewer,
    name: str | None,
    start: Position | Start,
    *,
    wants_list: bool,
    headers: list[tuple[bytes, bytes]],
) -> None:
    known = start if isinstance(start, Position) else None
    if name is not None and start is Start.HEAD:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                known = await hub.head(viewer, name)
        except TimeoutError:
            log.debug("head_not_known_yet")
    if wants_list:
        hub.follow_list(viewer)
    first = sse.opening(RETRY_MS, str(known) if known and name is not None else None)
    await viewer.open((*HEADERS, *headers), first)
    hub.tell_status(viewer)
    if name is not None:
        await hub.follow_session(viewer, name, start)


def _wish(query: QueryParams, headers: Headers) -> tuple[str | None, bool, Position | Start]:
    name = query.get("session") or None
    wants_list = query.get("list", "") in ("1", "true")
    if name is None and not wants_list:
        raise Problem(400, "INVALID_FIELD", "say which session to follow: session=<name>; or follow the list: list=1")
    if name is not None:
        check_name(name)
    return name, wants_list, _start(headers.get("last-event-id", ""), query.get("after"))


def _start(last_event_id: str, after: str | None) -> Position | Start:
    if last_event_id:
        return Position.parse(last_event_id) or Start.UNKNOWN
    if after is None:
        return Start.HEAD
    return (Position.parse(after) or Start.UNKNOWN) if after else ABSENT
