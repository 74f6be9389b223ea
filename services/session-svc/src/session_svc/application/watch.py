"""Following one session: what is there, then what happens. Nothing is missed and nothing comes twice."""

import asyncio
from contextlib import aclosing
from typing import Final

from session_svc.application.foreign import ANNOUNCING, ForeignWrites
from session_svc.application.listener import Listener
from session_svc.application.observations import Heartbeat, Observation, Observations, Start
from session_svc.application.watcher import Watcher
from session_svc.bus.base import Gap, StreamBus
from session_svc.domain.errors import StoreUnavailable, WatcherTooSlow
from session_svc.domain.events import Foreign, SessionEvent
from session_svc.entropy import jitter
from session_svc.storage.base import MessageHistory

HEARTBEAT_SECONDS: Final = 15.0
OUTAGE_SECONDS: Final = 30.0
"""How long after its last event a watch waits for the store to answer, before it ends with StoreUnavailable."""

_OUTAGE_PAUSE: Final = 1.0


class SessionWatch:
    """Opens watches of single sessions."""

    def __init__(self, history: MessageHistory, bus: StreamBus, foreign: ForeignWrites) -> None:
        self._history = history
        self._bus = bus
        self._foreign = foreign

    async def watch(self, name: str, start: Start) -> Observations:
        """Yields what `name` holds from `start` on, the reply in progress, then `CaughtUp`, then what happens.

        Ends when the session is deleted. Raises StoreUnavailable.
        """
        watcher = Watcher(name, self._history)
        loop = asyncio.get_running_loop()
        joined, last_read = False, loop.time()
        while not watcher.ended:
            try:
                async with self._bus.session(name) as events, Listener(events) as listener:
                    async with aclosing(watcher.resume() if joined else watcher.join(start)) as beginning:
                        async for observation in beginning:
                            yield observation
                    joined = True
                    async with aclosing(self._follow(watcher, listener)) as live:
                        async for observation in live:
                            last_read = loop.time()
                            yield observation
            except WatcherTooSlow:
                continue  # Its events were dropped, but the store has them: subscribe and read again.
            except StoreUnavailable:
                # The bus may be back before the store is, which is no reason to send every watcher away.
                if not joined or loop.time() - last_read > OUTAGE_SECONDS:
                    raise
                await asyncio.sleep(jitter(_OUTAGE_PAUSE))

    async def _follow(self, watcher: Watcher, listener: Listener[SessionEvent | Gap]) -> Observations:
        while not watcher.ended:
            event = await listener.next(HEARTBEAT_SECONDS)
            if event is None:
                yield Observation(watcher.at, Heartbeat())
                continue
            if isinstance(event, Foreign) and event.type in ANNOUNCING:
                self._foreign.expect_move(watcher.name, watcher.at)
            async with aclosing(watcher.accept(event)) as observations:
                async for observation in observations:
                    yield observation
