"""All sessions that are followed, for all viewers, and what connects them."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import structlog

from stream_gateway import metrics
from stream_gateway.audience import Audience
from stream_gateway.budget import Budget
from stream_gateway.events import parse
from stream_gateway.feed import Feed, Urgency
from stream_gateway.followed import FollowedSession
from stream_gateway.history import History
from stream_gateway.joining import Start, admit, bring
from stream_gateway.notices import goodbye, status
from stream_gateway.owed import Owed
from stream_gateway.pace import Pace
from stream_gateway.position import Position
from stream_gateway.reach import EVENTS, Reach
from stream_gateway.roster import Roster
from stream_gateway.seats import MAX_VIEWERS, STUCK_SECONDS, Seats
from stream_gateway.sources.base import Listener, Source
from stream_gateway.tasks import Tasks
from stream_gateway.viewer import Viewer

LINGER_SECONDS: Final = 30.0
MAX_LINGERING: Final = 1000
TICK_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Channel:
    """A session that is followed, and those who look at it."""

    session: FollowedSession
    audience: Audience


class Hub(Listener):
    """Follows at the source what viewers look at, and tells each viewer what it has not seen yet.

    A session is followed from its first viewer until `linger` seconds after its last.
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
        budget: Budget | None = None,
        owed: Owed | None = None,
    ) -> None:
        self._source = source
        self._history = history
        self._reach = reach
        self._linger = linger
        self._tick = tick
        self._tasks = Tasks()
        self._budget = budget or Budget()
        self._pace = Pace()
        self._seats = Seats(max_viewers, stuck_after, owed or Owed())
        self._channels: dict[str, _Channel] = {}
        self._names: dict[Audience, str] = {}
        self._lingering: dict[str, float] = {}
        self._roster = Roster(self._budget)
        self._list_audience = Audience(self._roster.ring, self._pace)
        reach.on_change = self._tell_reach

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

    async def drain(self, seconds: float) -> None:
        """Sends everybody away, each at a random moment within `seconds`; returns when all have gone, or at the end."""
        await self._seats.drain(seconds)

    # Viewers

    def enter(self, viewer: Viewer) -> None:
        """Counts a viewer in, until its end. Raises AtCapacityError.

        What nobody looks at any more is followed for a while yet.
        """
        self._seats.take(viewer)
        viewer.at_end(self._leave)

    def _leave(self, viewer: Viewer) -> None:
        audience = self._seats.leave(viewer)
        self._list_audience.viewers.discard(viewer)
        if audience is None:
            return
        audience.viewers.discard(viewer)
        name = self._names.get(audience)
        if name is not None and not audience.viewers:
            self._lingering[name] = time.monotonic() + self._linger
            if len(self._lingering) > MAX_LINGERING:
                self._drop(next(iter(self._lingering)))

    def tell_status(self, viewer: Viewer) -> None:
        """Tells the viewer that sources are out of reach, if they are."""
        if not self._reach.complete:
            viewer.say(status("lost"))

    def follow_list(self, viewer: Viewer) -> None:
        """Tells the viewer each change of the list from now on."""
        self._list_audience.viewers.add(viewer)
        viewer.follow(self._roster.ring)

    async def head(self, viewer: Viewer, name: str) -> Position:
        """The head of the session, once it is followed and the head known."""
        session = self._channel_of(viewer, name).session
        await session.known()
        return session.feed.head

    def follow_session(self, viewer: Viewer, name: str, start: Position | Start) -> None:
        """Brings the viewer from `start` to the head, and then tells it what comes."""
        session = self._channel_of(viewer, name).session
        if not admit(viewer, session, start):
            self._seats.bring(viewer, self._tasks.spawn(bring(viewer, session, start, self._history)))

    def _channel_of(self, viewer: Viewer, name: str) -> _Channel:
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = self._follow(name)
        self._lingering.pop(name, None)
        self._seats.assign(viewer, channel.audience)
        return channel

    def _follow(self, name: str) -> _Channel:
        def tell(urgency: Urgency) -> None:
            audience.tell(urgency)

        feed = Feed(self._budget, tell)
        audience = Audience(feed.ring, self._pace)
        session = FollowedSession(name, feed, self._history, self._tasks, lambda: self._break_off(name))
        self._names[audience] = name
        self._source.follow(name)
        metrics.FOLLOWED.set(len(self._names))
        return _Channel(session, audience)

    def _drop(self, name: str) -> None:
        channel = self._channels.pop(name)
        del self._names[channel.audience]
        self._lingering.pop(name, None)
        self._source.unfollow(name)
        channel.audience.close()
        channel.session.close()
        metrics.FOLLOWED.set(len(self._names))

    def _break_off(self, name: str) -> None:
        """Sends away whoever follows a session in which something went wrong: they come back to a new beginning."""
        if (channel := self._channels.get(name)) is not None:
            viewers = tuple(channel.audience.viewers)
            self._drop(name)
            for viewer in viewers:
                viewer.finish(goodbye())

    # What the source says

    def subscribed(self, name: str) -> None:
        if channel := self._channels.get(name):
            channel.session.subscribed()

    def event(self, name: str, data: bytes) -> None:
        channel = self._channels.get(name)
        if channel is None:
            return
        event = parse(data)
        if event is None:
            metrics.EVENTS_BAD.inc()
            return
        metrics.TALLY.received[event.kind] += 1
        channel.session.offer(event)

    def list_event(self, data: bytes) -> None:
        metrics.TALLY.received["list"] += 1
        if self._roster.take(data):
            self._list_audience.tell(Urgency.NOW)
        else:
            metrics.EVENTS_BAD.inc()

    def source_up(self) -> None:
        # Up again without having been reported down: changes of the list may have been missed all the same.
        if self._reach.up[EVENTS] and self._reach.complete:
            self._tell_reach(up=True)
        self._reach.report(EVENTS, up=True)

    def source_down(self) -> None:
        self._reach.report(EVENTS, up=False)

    def _tell_reach(self, *, up: bool) -> None:
        state = "live" if up else "lost"
        log.info("sources", state=state)
        self._seats.tell_all(status(state))

    # Time

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(self._tick)
            self._seats.tick()
            now = time.monotonic()
            for name in [name for name, until in self._lingering.items() if until <= now]:
                self._drop(name)
            metrics.TALLY.publish()
