"""The port of a source of events."""

from abc import ABC, abstractmethod
from typing import Protocol


class Listener(Protocol):
    """Who is told what a source hears. Every method returns at once."""

    def subscribed(self, name: str) -> None:
        """Events of the session are delivered from now on; what was before may have been missed."""

    def event(self, name: str, data: bytes) -> None:
        """Something happened in a session; `data` is the JSON of contract section 4. Each once, in order."""

    def list_event(self, data: bytes) -> None:
        """Something happened to the list of sessions."""

    def source_up(self) -> None:
        """Events of the list are delivered from now on; what was before may have been missed."""

    def source_down(self) -> None:
        """The source is out of reach, and is being tried again."""


class Source(ABC):
    """Delivers the events of the list, and of the sessions that are followed, to a listener.

    Delivery is at most once. After any loss it comes back by itself and says `subscribed` again for each session, in
    batches where there are many; only then are events of that session delivered again.
    """

    @abstractmethod
    async def run(self, listener: Listener) -> None:
        """Delivers until it is cancelled."""

    @abstractmethod
    def follow(self, name: str) -> None:
        """Has events of a session delivered; `subscribed` says from when on."""

    @abstractmethod
    def unfollow(self, name: str) -> None:
        """Has them delivered no more."""
