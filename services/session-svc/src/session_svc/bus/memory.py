"""The bus within one process."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from session_svc.bus.base import Gap, StreamBus
from session_svc.bus.subscriber import Subscriber
from session_svc.domain.events import ListEvent, SessionEvent


class InMemoryStreamBus(StreamBus):
    """Hands each event to its subscribers in the step that publishes it. Nothing is ever lost."""

    def __init__(self) -> None:
        self._sessions: defaultdict[str, set[Subscriber[SessionEvent]]] = defaultdict(set)
        self._list: set[Subscriber[ListEvent]] = set()

    def publish(self, name: str, event: SessionEvent, size: int) -> None:
        """Tells the subscribers of session `name`; `size` in bytes, about."""
        for subscriber in self._sessions.get(name, ()):
            subscriber.offer(event, size)

    def publish_list(self, event: ListEvent, size: int) -> None:
        """Tells the subscribers of the list; `size` in bytes, about."""
        for subscriber in self._list:
            subscriber.offer(event, size)

    @asynccontextmanager
    async def session(self, name: str) -> AsyncIterator[AsyncIterator[SessionEvent | Gap]]:
        subscriber = Subscriber[SessionEvent]()
        self._sessions[name].add(subscriber)
        try:
            yield subscriber
        finally:
            subscriber.close()
            self._sessions[name].discard(subscriber)
            if not self._sessions[name]:
                del self._sessions[name]

    @asynccontextmanager
    async def sessions(self) -> AsyncIterator[AsyncIterator[ListEvent | Gap]]:
        subscriber = Subscriber[ListEvent]()
        self._list.add(subscriber)
        try:
            yield subscriber
        finally:
            subscriber.close()
            self._list.discard(subscriber)
