"""Following the list of sessions: the latest state of each, and never more often than a person can see."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from session_svc.application.filters import SessionFilter
from session_svc.application.listener import Listener
from session_svc.application.observations import Heartbeat
from session_svc.application.watch import HEARTBEAT_SECONDS
from session_svc.bus.base import Gap, StreamBus
from session_svc.domain.errors import WatcherTooSlow
from session_svc.domain.events import ListEvent, SessionChanged, SessionCreated, SessionRemoved

INTERVAL_SECONDS: Final = 0.25
"""How soon after one change of a session the next one comes."""

_OWED: Final = 1000
"""More sessions than this changed and not yet told: the list is read again instead."""

_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True)
class ListAgain:
    """Something may have been missed."""


ListChange = ListAgain | SessionCreated | SessionChanged | SessionRemoved | Heartbeat
ListChanges = AsyncGenerator[ListChange, None]


class ListWatch:
    """Opens watches of the list."""

    def __init__(self, bus: StreamBus) -> None:
        self._bus = bus

    async def watch(self, wanted: SessionFilter) -> ListChanges:
        """Yields `ListAgain` once it is subscribed and after every loss, and what happens to the sessions that match.

        A session that was told and no longer matches is told as removed. Raises StoreUnavailable.
        """
        loop = asyncio.get_running_loop()
        while True:
            async with self._bus.sessions() as events, Listener(events) as listener:
                changes = _Changes(wanted)
                yield ListAgain()
                quiet_since = loop.time()
                try:
                    while True:
                        now = loop.time()
                        for change in changes.due(now):
                            quiet_since = now
                            yield change
                        rest = quiet_since + HEARTBEAT_SECONDS - now
                        if rest <= 0:
                            quiet_since = now
                            yield Heartbeat()
                            continue
                        event = await listener.next(min(rest, changes.wait(now)))
                        if event is not None and not changes.add(event):
                            break
                except WatcherTooSlow:
                    continue


class _Changes:
    """What a watcher of the list is owed."""

    def __init__(self, wanted: SessionFilter) -> None:
        self._wanted = wanted
        self._owed: dict[str, ListEvent] = {}
        self._told: OrderedDict[str, float] = OrderedDict()
        """When each session was last told, the longest ago first."""

    def add(self, event: ListEvent | Gap) -> bool:
        """Takes an event in; False when the list must be read again instead."""
        if isinstance(event, Gap):
            return False
        change = self._relevant(event)
        if change is not None:
            name = _name(change)
            before = self._owed.get(name)
            if isinstance(before, SessionCreated):
                if isinstance(change, SessionRemoved):
                    del self._owed[name]
                    return True
                if isinstance(change, SessionChanged):
                    change = SessionCreated(change.session)
            self._owed[name] = change
        return len(self._owed) <= _OWED

    def due(self, now: float) -> list[ListEvent]:
        """Takes out what may be told now."""
        names = [name for name in self._owed if self._not_before(name) <= now]
        for name in names:
            self._told[name] = now
            self._told.move_to_end(name)
        while len(self._told) > _KNOWN:
            self._told.popitem(last=False)
        return [self._owed.pop(name) for name in names]

    def wait(self, now: float) -> float:
        """Seconds until something is due; for ever when nothing is owed."""
        return min((self._not_before(name) - now for name in self._owed), default=float("inf"))

    def _not_before(self, name: str) -> float:
        return self._told.get(name, float("-inf")) + INTERVAL_SECONDS

    def _relevant(self, event: ListEvent) -> ListEvent | None:
        if isinstance(event, SessionRemoved):
            return event if self._wanted.shows(event.name) else None
        if self._wanted.matches(event.session):
            return event
        name = event.session.name
        return SessionRemoved(name) if name in self._told or name in self._owed else None


def _name(event: ListEvent) -> str:
    return event.name if isinstance(event, SessionRemoved) else event.session.name
