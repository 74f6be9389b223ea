"""The port of the bus."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from enum import Enum, auto

from session_svc.domain.events import ListEvent, SessionEvent


class Gap(Enum):
    """What a subscription yields in place of events."""

    LOST = auto()
    """Events may have been missed and the subscription is live again: read the store again."""


class StreamBus(ABC):
    """Events of sessions and of the list, to whoever listens in any process, in the order of publishing.

    Delivery is at most once. A subscription is live from the moment its context is entered: an event
    published after that is yielded, or LOST in its place once the connection to the store is back. A subscriber
    that falls more than 1000 events or 8 MiB behind gets WatcherTooSlow from its iterator and no more events.
    Subscriptions to the same session share one subscription to the store.
    """

    @abstractmethod
    def session(self, name: str) -> AbstractAsyncContextManager[AsyncIterator[SessionEvent | Gap]]:
        """Subscribes to one session, which need not exist. Raises StoreUnavailable on entering."""

    @abstractmethod
    def sessions(self) -> AbstractAsyncContextManager[AsyncIterator[ListEvent | Gap]]:
        """Subscribes to the list of sessions. Raises StoreUnavailable on entering."""
