"""The open streams of the process: how many there may be, and what concerns them all."""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import Final

from stream_gateway import metrics
from stream_gateway.audience import Audience
from stream_gateway.notices import goodbye
from stream_gateway.owed import Owed
from stream_gateway.viewer import Viewer

HEARTBEAT_SECONDS: Final = 15
STUCK_SECONDS: Final = 10.0
MAX_VIEWERS: Final = 10_000
LAST_WORDS_SECONDS: Final = 1.0
LENIENT_SECONDS: Final = 1.0
"""For how long a socket may be full before its viewer counts as slow: others who take what they get never are."""
RELIEF: Final = 0.25
"""Down to which part of its limit what viewers hold is brought when it has to be brought down."""


class AtCapacityError(Exception):
    """There are as many viewers as the process takes."""


@dataclass(slots=True)
class _Seat:
    """`second`: of the heartbeat's round, when it is this viewer's turn. `joining`: what brings it to its session."""

    second: int
    audience: Audience | None = None
    joining: asyncio.Task[None] | None = None


class Seats:
    """Who is there. More than `max_viewers` at once are refused; nobody who keeps up is sent away for a newcomer.

    Viewers whose socket has taken nothing for `stuck_after` seconds are disconnected; and when too much waits for all
    of them, those slow ones for whom most does: they come back, and resume.
    """

    def __init__(self, max_viewers: int, stuck_after: float, owed: Owed) -> None:
        self._max_viewers = max_viewers
        self._stuck_after = stuck_after
        self._owed = owed
        self._seats: dict[Viewer, _Seat] = {}
        self._rounds: list[set[Viewer]] = [set() for _ in range(HEARTBEAT_SECONDS)]
        self._slow: set[Viewer] = set()
        self._second = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._seats)

    def take(self, viewer: Viewer) -> None:
        """Counts a viewer in. Raises AtCapacityError."""
        if len(self._seats) >= self._max_viewers:
            raise AtCapacityError
        seat = self._seats[viewer] = _Seat(random.randrange(HEARTBEAT_SECONDS))  # noqa: S311 - Spreads load only.
        self._rounds[seat.second].add(viewer)
        viewer.slow, viewer.account = self._slow, self._owed
        self._empty.clear()
        metrics.VIEWERS.set(len(self._seats))

    def leave(self, viewer: Viewer) -> Audience | None:
        """Counts a viewer out. Returns the audience of the session that it looked at."""
        seat = self._seats.pop(viewer, None)
        if not self._seats:
            self._empty.set()
        metrics.VIEWERS.set(len(self._seats))
        if seat is None:
            return None
        self._rounds[seat.second].discard(viewer)
        if seat.joining is not None:
            seat.joining.cancel()
        return seat.audience

    def assign(self, viewer: Viewer, audience: Audience) -> None:
        """Says which session's audience the viewer belongs to."""
        if (seat := self._seats.get(viewer)) is not None:
            seat.audience = audience
            audience.viewers.add(viewer)

    def bring(self, viewer: Viewer, joining: asyncio.Task[None]) -> None:
        """Has a task end when the viewer leaves."""
        if (seat := self._seats.get(viewer)) is None:
            joining.cancel()
            return
        seat.joining = joining
        joining.add_done_callback(lambda _: self._brought(viewer))

    def tell_all(self, frame: bytes) -> None:
        """Says something to everybody."""
        for viewer in tuple(self._seats):
            if viewer.is_open:
                viewer.say(frame)

    def tick(self) -> None:
        """Takes one of the heartbeat's seconds: a heartbeat for those whose turn it is, the end for the stuck."""
        self._second = (self._second + 1) % HEARTBEAT_SECONDS
        now = time.monotonic()
        for viewer in tuple(self._slow):
            if viewer.stuck_for(now) > self._stuck_after:
                metrics.STUCK.inc()
                viewer.disconnect()
        self._relieve(now)
        for viewer in tuple(self._rounds[self._second]):
            viewer.heartbeat()

    async def drain(self, seconds: float) -> None:
        """Sends everybody away, each at a random moment within `seconds`; returns when all have gone, or at the end."""
        start = time.monotonic()
        leaving = list(self._seats)
        moments = sorted(random.uniform(0, seconds) for _ in leaving)  # noqa: S311 - Spreads load only.
        for moment, viewer in zip(moments, leaving, strict=True):
            if await self._is_empty_within(start + moment - time.monotonic()):
                return
            viewer.finish(goodbye())
        if not await self._is_empty_within(LAST_WORDS_SECONDS):
            for viewer in tuple(self._seats):
                viewer.disconnect()

    def _relieve(self, now: float) -> None:
        """Disconnects slow viewers, those for whom most waits first, when that is too much."""
        owed = self._owed
        buffered = sum(viewer.buffered for viewer in self._slow)
        metrics.OWED_BYTES.set(owed.used + buffered)
        is_short = owed.is_short_of_memory
        if not (is_short or owed.is_awaited or owed.used + buffered > owed.limit):
            return
        slow = sorted((viewer for viewer in self._slow if viewer.paused_for(now) > LENIENT_SECONDS), key=_held)
        spared = len(slow) * 3 // 4 if is_short else len(slow)
        while slow and (len(slow) > spared or owed.used + buffered > owed.limit * RELIEF):
            viewer = slow.pop()
            buffered -= viewer.buffered
            metrics.RELIEVED.inc()
            viewer.disconnect()

    def _brought(self, viewer: Viewer) -> None:
        if (seat := self._seats.get(viewer)) is not None:
            seat.joining = None

    async def _is_empty_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._empty.wait()
        return self._empty.is_set()


def _held(viewer: Viewer) -> int:
    return viewer.held
