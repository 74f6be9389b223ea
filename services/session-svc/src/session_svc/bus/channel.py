"""One channel of the store and all of this process that listen to it."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from session_svc.bus.subscriber import Subscriber

Event = TypeVar("Event")


class Channel(Generic[Event]):
    """A channel that somebody listens to, or did a moment ago.

    wanted  how many listen or are about to
    live    set while the server has confirmed it on the present connection
    """

    def __init__(self, name: bytes, decode: Callable[[bytes], Event | None]) -> None:
        self.name = name
        self.wanted = 0
        self.live = asyncio.Event()
        self._decode = decode
        self._subscribers: set[Subscriber[Event]] = set()

    def join(self) -> Subscriber[Event]:
        """A new subscriber, which gets what is delivered from now on."""
        subscriber = Subscriber[Event]()
        self._subscribers.add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber[Event]) -> None:
        """Ends a subscriber."""
        self._subscribers.discard(subscriber)
        subscriber.close()

    def confirm(self) -> None:
        """The server says it is live. Whoever listens already did so on a connection that was lost."""
        self.live.set()
        for subscriber in self._subscribers:
            subscriber.lose()

    def deliver(self, data: bytes) -> None:
        """Decodes an event once and hands it to everyone. Raises NotAnEvent."""
        event = self._decode(data)
        if event is not None:
            for subscriber in self._subscribers:
                subscriber.offer(event, len(data))

    def close(self) -> None:
        """Ends every subscriber."""
        for subscriber in self._subscribers:
            subscriber.close()
