"""GET /api/stream: what happens in a session, and to the list, as server-sent events."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from starlette.datastructures import Headers, QueryParams

from stream_gateway import metrics, sse, wire
from stream_gateway.http.admission import Admission
from stream_gateway.http.edge import Receive, Scope, Send
from stream_gateway.http.names import check_name
from stream_gateway.http.problems import Problem, unavailable
from stream_gateway.hub import Hub
from stream_gateway.joining import Start
from stream_gateway.position import ABSENT, Position
from stream_gateway.protocol import TAKE_OVER, TakeOver
from stream_gateway.seats import AtCapacityError
from stream_gateway.viewer import Viewer

RETRY_MS: Final = 2000
PATIENCE_SECONDS: Final = 0.5
"""How long the headers wait for the session to be followed."""
HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants to see: a session from some point on, changes to the list, or both."""

    name: str | None
    start: Position | Start
    list: bool = False


class StreamRoute:
    """A plain ASGI route that answers only refusals. A stream leaves ASGI: its connection becomes the viewer's own.

    With it goes all that the server keeps of a request, and the request's task: between events a viewer is a cursor.
    """

    def __init__(self, hub: Hub | None, admission: Admission, is_draining: Callable[[], bool]) -> None:
        self._hub = hub
        self._admission = admission
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        hub = self._hub
        if hub is None:
            raise Problem(404, "NOT_FOUND", "streaming is off here; WEB_STREAM_ENABLED=true turns it on")
        wish = _wish(QueryParams(scope["query_string"]), Headers(scope=scope))
        if self._is_draining():
            metrics.REFUSED.labels("draining").inc()
            raise unavailable("DRAINING", "this gateway is stopping; connect again", random.uniform(1, 5))  # noqa: S311
        viewer = Viewer()
        try:
            watch = self._admission.enter(scope, viewer)
            if watch is not None:
                await self._admission.check(watch, wish.name)
            _enter(hub, viewer)
            if watch is not None:
                watch.admit(viewer, wish.name)
            head = wire.head((*HEADERS, *scope["stream_gateway.headers"]))
            take_over: TakeOver = scope["extensions"][TAKE_OVER]["call"]
            await join(hub, viewer, wish, lambda first: viewer.open(take_over(viewer), head, first), watch)
        except BaseException:
            viewer.end()
            raise


def _enter(hub: Hub, viewer: Viewer) -> None:
    try:
        hub.enter(viewer)
    except AtCapacityError:
        metrics.REFUSED.labels("capacity").inc()
        raise unavailable(
            "TOO_MANY_STREAMS",
            "this gateway has as many streams as it takes; try again",
            random.uniform(5, 30),  # noqa: S311
        ) from None


class ListOfSessions(Protocol):
    """Who tells a viewer what changes in the list: all of it, or what its token may see."""

    def follow_list(self, viewer: Viewer) -> None: ...


async def join(
    hub: Hub,
    viewer: Viewer,
    wish: Wish,
    begin: Callable[[bytes], None],
    sessions: ListOfSessions | None = None,
) -> None:
    """Has the stream begin, with its first frame, and brings the viewer to where it is told what comes.

    The beginning waits a moment for the session to be followed: what a client reads once the headers have come cannot
    be older than the first event. `sessions`: who tells it the list, if not the hub all of it.
    """
    known = None
    if wish.name is not None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                known = await hub.head(viewer, wish.name)
        except TimeoutError:
            log.debug("head_not_known_yet")
    resume_from = wish.start if isinstance(wish.start, Position) else known if wish.start is Start.HEAD else None
    if wish.list:
        (sessions or hub).follow_list(viewer)
    begin(sse.opening(RETRY_MS, str(resume_from) if resume_from else None))
    if viewer.is_closed:
        return
    hub.tell_status(viewer)
    if wish.name is not None:
        hub.follow_session(viewer, wish.name, wish.start)


def _wish(query: QueryParams, headers: Headers) -> Wish:
    name = query.get("session") or None
    wants_list = query.get("list", "") in ("1", "true")
    if name is None and not wants_list:
        raise Problem(400, "INVALID_FIELD", "say which session to follow: session=<name>; or follow the list: list=1")
    if name is not None:
        check_name(name)
    return Wish(name, _start(headers.get("last-event-id", ""), query.get("after")), list=wants_list)


def _start(last_event_id: str, after: str | None) -> Position | Start:
    if last_event_id:
        return Position.parse(last_event_id) or Start.UNKNOWN
    if after is None:
        return Start.HEAD
    return (Position.parse(after) or Start.UNKNOWN) if after else ABSENT
