"""What the contract suite needs of a backend, and the words its tests are told in.

A backend of one's own is proven in two steps: a fixture `open_backend` that returns an OpenBackend, and a class
that inherits from StorageContract and BusContract (test_memory.py shows it).
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import pytest
from session_svc.bus.base import Gap, StreamBus
from session_svc.domain.events import (
    ListEvent,
    MessageAppended,
    SessionChanged,
    SessionCreated,
    SessionEvent,
)
from session_svc.domain.message import Message, NewMessage, Role
from session_svc.domain.session import Appended, NewSession, Session
from session_svc.storage.base import Append, MessageHistory, ReplyBuffer, SessionStore

PATIENCE: Final = 60.0
"""Seconds that a test waits for what must come."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Backend:
    """One deployment: the ports of storage and the bus they publish on.

    pass_time      lets so many ms pass on the store's clock
    movable_clock  whether days may pass, because nobody has to wait for them
    """

    history: MessageHistory
    replies: ReplyBuffer
    store: SessionStore
    bus: StreamBus
    pass_time: Callable[[int], Awaitable[None]]
    movable_clock: bool = False

    async def append(self, name: str, *messages: NewMessage, **fields: Any) -> Appended:  # noqa: ANN401 - passed on, and checked there.
        """Appends messages; `fields` are those of Append, the same body unless they say otherwise."""
        return await self.history.append(Append(name, messages, **{"fingerprint": "same", **fields}))

    async def create(self, name: str, **fields: Any) -> Session:  # noqa: ANN401 - passed on, and checked there.
        """Creates a session; `fields` are those of NewSession."""
        return await self.store.create(name, NewSession(**fields), allow_existing=False)

    async def log(self, name: str) -> list[Message]:
        """Every message, read page by page."""
        messages: list[Message] = []
        while True:
            page = await self.history.page(name, start=len(messages) + 1, limit=1000, newest_first=False)
            messages.extend(page.messages)
            if not page.more:
                return messages

    async def listed(self, limit: int = 100) -> list[Session]:
        """Every session, read page by page."""
        sessions: list[Session] = []
        after = None
        while True:
            page = await self.store.page(after=after, limit=limit)
            sessions.extend(page.sessions)
            after = page.next
            if after is None:
                return sessions


class OpenBackend(Protocol):
    """Opens an empty deployment."""

    def __call__(self, default_ttl_ms: int | None = None) -> AbstractAsyncContextManager[Backend]: ...


class Contract:
    """What every part of the suite begins with."""

    @pytest.fixture
    async def backend(self, open_backend: OpenBackend) -> AsyncIterator[Backend]:
        """An empty deployment without a default ttl."""
        async with open_backend() as backend:
            yield backend


def say(content: str = "hello", role: Role = Role.USER, **fields: Any) -> NewMessage:  # noqa: ANN401 - passed on, and checked there.
    """A message with an id of its own; `fields` are those of NewMessage."""
    return NewMessage(role, content, **{"id": f"m{next(_numbers)}", **fields})


Event = TypeVar("Event")


async def next_of(events: AsyncIterator[Event]) -> Event:
    """The next event, which must come."""
    async with asyncio.timeout(PATIENCE):
        return await anext(events)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Returns once `condition` holds, which it must in the end; what it asks announces nothing by itself."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - it is in another process, which sets no event of ours.
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Told:
    """What was published: on the session's channel and on that of the list."""

    session: list[SessionEvent]
    list: list[ListEvent]


class Witness:
    """Follows one session and the list, and says what was published."""

    def __init__(
        self,
        backend: Backend,
        name: str,
        session_events: AsyncIterator[SessionEvent | Gap],
        list_events: AsyncIterator[ListEvent | Gap],
    ) -> None:
        self._backend = backend
        self._name = name
        self._session_events = session_events
        self._list_events = list_events

    async def told(self) -> Told:
        """Everything since the last time, and nothing more is under way.

        To know that, it appends a message to the session, which it leaves out: events come in order.
        """
        mark = f"mark {next(_numbers)}"
        await self._backend.append(self._name, say(mark, Role.SYSTEM))
        told = Told([], [])
        while True:
            event = await next_of(self._session_events)
            assert not isinstance(event, Gap)
            if isinstance(event, MessageAppended) and event.message.content == mark:
                break
            told.session.append(event)
        while True:
            change = await next_of(self._list_events)
            assert not isinstance(change, Gap)
            if isinstance(change, SessionCreated | SessionChanged) and change.session.preview == mark:
                return told
            told.list.append(change)


@asynccontextmanager
async def witness(backend: Backend, name: str) -> AsyncIterator[Witness]:
    """A Witness of session `name`, from now on."""
    async with backend.bus.session(name) as session_events, backend.bus.sessions() as list_events:
        yield Witness(backend, name, session_events, list_events)
