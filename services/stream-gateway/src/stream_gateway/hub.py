"""All viewers, all followed sessions, and what connects them."""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import Final

import structlog
from ai_chat_client.errors import AiChatError

from stream_gateway import metrics, sse
from stream_gateway.events import compose, now_ms, parse
from stream_gateway.feed import Admitted, Behind, Feed, Start
from stream_gateway.history import History, LogChangedError
from stream_gateway.position import Position
from stream_gateway.reach import EVENTS, Reach
from stream_gateway.ring import Budget, Ring
from stream_gateway.roster import Roster
from stream_gateway.sources.base import Listener, Source
from stream_gateway.tasks import Tasks
from stream_gateway.viewer import Viewer

HEARTBEAT_SECONDS: Final = 15
STUCK_SECONDS: Final = 10.0
LINGER_SECONDS: Final = 30.0
MAX_LINGERING: Final = 1000
MAX_VIEWERS: Final = 10_000
RETRY_MS: Final = 2000
TICK_SECONDS: Final = 1.0
LAST_WORDS_SECONDS: Final = 1.0

_STATES: Final = {True: "live", False: "lost"}

log = structlog.get_logger(__name__)


class AtCapacityError(Exception):
    """There are as many viewers as the process takes."""


@dataclass(slots=True)
class _Seat:
    """What a viewer takes part in. `second`: of the heartbeat's round, when it is this viewer's turn."""

    second: int
    feed: Feed | None = None


class Hub(Listener):
    """Follows at the source what viewers look at, and tells each viewer what it has not seen yet.

    A session is followed from its first viewer until `linger` seconds after its last. More than `max_viewers` at once
    are refused. One timer sends heartbeats, each viewer's at a second of its own, disconnects viewers that took nothing
    for `stuck_after` seconds, and drops what has lingered.
    """

    def __init__(
        self,
        source: Source,
        history: History,
        reach: Reach,
        *,
        linger: float = LINGER_SECONDS,
        max_viewers: int = MAX_VIEWERS,
        stuck_after: float = STUCK_SECONDS,
        tick: float = TICK_SECONDS,
    ) -> None:
        self._source = source
        self._history = history
        self._reach = reach
        self._linger = linger
        self._max_viewers = max_viewers
        self._stuck_after = stuck_after
        self._tick = tick
        self._tasks = Tasks()
        self._budget = Budget()
        self._seats: dict[Viewer, _Seat] = {}
        self._feeds: dict[str, Feed] = {}
        self._audiences: dict[Feed, set[Viewer]] = {}
        self._lingering: dict[str, float] = {}
        self._roster = Roster(Ring(self._budget))
        self._list_audience: set[Viewer] = set()
        self._news: set[Feed] = set()
        self._list_news = False
        self._flushing = False
        self._empty = asyncio.Event()
        self._empty.set()
        reach.on_change = self._tell_all

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return len(self._seats)

    async def run(self) -> None:
        """Follows and keeps time until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._source.run(self))
                group.create_task(self._keep_time())
        finally:
            await self._tasks.close()

    # Viewers

    def enter(self, viewer: Viewer) -> None:
        """Counts a viewer in, until `leave`. Raises AtCapacityError."""
        if len(self._seats) >= self._max_viewers:
            raise AtCapacityError
        self._seats[viewer] = _Seat(random.randrange(HEARTBEAT_SECONDS))  # noqa: S311 - Spreads load only.
        self._empty.clear()
        metrics.VIEWERS.set(len(self._seats))

    def leave(self, viewer: Viewer) -> None:
        """Forgets a viewer. What nobody looks at any more is followed for a while yet."""
        seat = self._seats.pop(viewer, None)
        self._list_audience.discard(viewer)
        if seat and seat.feed and (audience := self._audiences.get(seat.feed)) is not None:
            audience.discard(viewer)
            if not audience:
                self._lingering[seat.feed.name] = time.monotonic() + self._linger
                if len(self._lingering) > MAX_LINGERING:
                    self._drop(self._feeds[next(iter(self._lingering))])
        if not self._seats:
            self._empty.set()
        metrics.VIEWERS.set(len(self._seats))

    def tell_status(self, viewer: Viewer) -> None:
        """Tells the viewer that sources are out of reach, if they are."""
        if not self._reach.complete:
            viewer.say(_status(up=False))

    def follow_list(self, viewer: Viewer) -> None:
        """Tells the viewer each change of the list from now on.

        One that is too slow for that gets `status` in place of what it missed: it lists again, as after any loss.
        """
        self._list_audience.add(viewer)
        viewer.follow(self._roster.ring, lambda: _status(up=True))

    async def head(self, viewer: Viewer, name: str) -> Position:
        """The head of the session, once it is followed and the head known."""
        feed = self._feed_of(viewer, name)
        await feed.known()
        return feed.head

    async def follow_session(self, viewer: Viewer, name: str, start: Position | Start) -> None:
        """Brings the viewer from `start` to the head, and then tells it what comes.

        Takes as long as it takes for the head to be known, and for session-svc to be within reach where needed.
        """
        feed = self._feed_of(viewer, name)
        await feed.known()
        verified = False
        while True:
            placement = feed.place(start, verified=verified)
            if isinstance(placement, Admitted):
                viewer.follow(feed.ring, lambda: feed.reset_frame().data)
                if placement.first:
                    viewer.say(placement.first)
                return
            if isinstance(placement, Behind):
                start = await self._catch_up(viewer, feed, placement.after)
            else:
                await feed.verify()
                verified = True

    async def _catch_up(self, viewer: Viewer, feed: Feed, after: Position) -> Position:
        try:
            page = await self._history.after(feed.name, after)
        except LogChangedError:
            await feed.verify()
            return after
        except AiChatError as error:
            log.debug("history_not_read", reason=error.reason)
            await asyncio.sleep(random.uniform(0.1, 2.0))  # noqa: S311 - Spreads load only.
            return after
        if not page.frames:
            # The feed knows of messages that session-svc does not: it has lost some, or the feed is wrong.
            await feed.verify()
            return after
        for frame in page.frames:
            viewer.say(frame.data)
        await viewer.drained()
        return page.last

    def _feed_of(self, viewer: Viewer, name: str) -> Feed:
        feed = self._feeds.get(name)
        if feed is None:
            feed = Feed(name, Ring(self._budget), self._history, self._tasks, self._has_news)
            self._feeds[name] = feed
            self._audiences[feed] = set()
            self._source.follow(name)
            metrics.FOLLOWED.set(len(self._feeds))
        self._lingering.pop(name, None)
        self._audiences[feed].add(viewer)
        self._seats[viewer].feed = feed
        return feed

    def _drop(self, feed: Feed) -> None:
        del self._feeds[feed.name]
        del self._audiences[feed]
        self._lingering.pop(feed.name, None)
        self._source.unfollow(feed.name)
        feed.close()
        metrics.FOLLOWED.set(len(self._feeds))

    # What the source says

    def subscribed(self, name: str) -> None:
        if feed := self._feeds.get(name):
            feed.suspect()

    def event(self, name: str, data: bytes) -> None:
        feed = self._feeds.get(name)
        if feed is None:
            return
        event = parse(data)
        if event is None:
            metrics.EVENTS_BAD.inc()
            return
        metrics.EVENTS_IN.labels(event.kind.name.lower()).inc()
        feed.offer(event)

    def list_event(self, data: bytes) -> None:
        metrics.EVENTS_IN.labels("list").inc()
        if self._roster.take(data):
            self._has_list_news()
        else:
            metrics.EVENTS_BAD.inc()

    def source_up(self) -> None:
        # Up again without having been reported down: changes of the list may have been missed all the same.
        if self._reach.up[EVENTS] and self._reach.complete:
            self._tell_all(up=True)
        self._reach.report(EVENTS, up=True)

    def source_down(self) -> None:
        self._reach.report(EVENTS, up=False)

    def _tell_all(self, *, up: bool) -> None:
        log.info("sources", state=_STATES[up])
        frame = _status(up=up)
        for viewer in tuple(self._seats):
            if viewer.is_open:
                viewer.say(frame)

    # Delivery

    def _has_news(self, feed: Feed) -> None:
        self._news.add(feed)
        self._flush_soon()

    def _has_list_news(self) -> None:
        self._list_news = True
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Once per turn of the loop: what arrives together is written together."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        news, self._news = self._news, set()
        for feed in news:
            audience = tuple(self._audiences.get(feed, ()))
            for viewer in audience:
                viewer.pump()
            feed.ring.settle()
            if feed.failed and feed in self._audiences:
                self._drop(feed)
                for viewer in audience:
                    viewer.finish(_goodbye())
        if self._list_news:
            self._list_news = False
            for viewer in tuple(self._list_audience):
                viewer.pump()
            self._roster.ring.settle()

    # Time

    async def _keep_time(self) -> None:
        second = 0
        while True:
            await asyncio.sleep(self._tick)
            second = (second + 1) % HEARTBEAT_SECONDS
            now = time.monotonic()
            for viewer, seat in tuple(self._seats.items()):
                if viewer.stuck_for(now) > self._stuck_after:
                    metrics.STUCK.inc()
                    viewer.disconnect()
                elif seat.second == second:
                    viewer.heartbeat()
            for name in [name for name, until in self._lingering.items() if until <= now]:
                self._drop(self._feeds[name])
            metrics.TALLY.publish()

    async def drain(self, seconds: float) -> None:
        """Sends everybody away, each at a random moment within `seconds`; returns when all have gone, or at the end."""
        start = time.monotonic()
        leaving = list(self._seats)
        moments = sorted(random.uniform(0, seconds) for _ in leaving)  # noqa: S311 - Spreads load only.
        for moment, viewer in zip(moments, leaving, strict=True):
            if await self._is_empty_within(start + moment - time.monotonic()):
                return
            viewer.finish(_goodbye())
        if not await self._is_empty_within(LAST_WORDS_SECONDS):
            for viewer in tuple(self._seats):
                viewer.disconnect()

    async def _is_empty_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._empty.wait()
        return self._empty.is_set()


def _status(*, up: bool) -> bytes:
    return sse.encode(compose("status", f'{{"state":"{_STATES[up]}"}}', now_ms()))


def _goodbye() -> bytes:
    return sse.opening(random.randint(500, 5000))  # noqa: S311 - Spreads load only.
