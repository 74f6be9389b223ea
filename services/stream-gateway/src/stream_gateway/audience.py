"""Those who look at one ring, and the moments at which they are told what is new in it."""

import asyncio

import structlog

from stream_gateway.feed import Urgency
from stream_gateway.pace import Pace
from stream_gateway.ring import Ring
from stream_gateway.viewer import Viewer  # noqa: TC001 - Type arguments of attributes are plain to read this way.

log = structlog.get_logger(__name__)


class Audience:
    """Writes to its viewers at most once per turn of the loop, and what is not urgent at most once per interval.

    What waits when something urgent comes goes with it: order is kept, and what arrives together is written together.
    """

    def __init__(self, ring: Ring, pace: Pace) -> None:
        self.ring = ring
        self.viewers: set[Viewer] = set()
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._handle: asyncio.Handle | None = None
        self._written = 0.0

    def tell(self, urgency: Urgency) -> None:
        """Has everybody told soon what is new; at once, when waiting would cost those who keep up a frame."""
        now = self._loop.time()
        if self.ring.is_pressing:
            self._due = now
            self._write()
            return
        due = now if urgency is Urgency.NOW else max(now, self._written + self._pace.interval)
        if self._handle is not None:
            if self._due <= due:
                return
            self._handle.cancel()
        self._due = due
        self._handle = self._loop.call_soon(self._write) if due <= now else self._loop.call_at(due, self._write)

    def close(self) -> None:
        """Tells nobody anything any more."""
        if self._handle is not None:
            self._handle.cancel()
        self.viewers.clear()

    def _write(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._pace.observe(self._loop.time() - self._due)
        # By when it was due: else what is late once would make late whatever comes as often as it is written.
        self._written = self._due
        for viewer in tuple(self.viewers):
            try:
                viewer.pump()
            except Exception:
                log.exception("viewer_failed")  # The others have news too.
                viewer.disconnect()
        self.ring.settle()
