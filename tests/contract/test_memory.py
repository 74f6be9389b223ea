"""The contract suite, in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from contract.backend import Backend, OpenBackend
from contract.bus_contract import BusContract
from contract.model_contract import StorageMachine, model_settings
from contract.storage_contract import HistoryContract, ReplyContract, RequestsOverDaysContract, SessionsContract
from session_svc.bus.memory import InMemoryStreamBus
from session_svc.storage.memory import InMemoryStorage


class HandClock:
    """A clock that somebody moves. It begins at midnight of a day."""

    def __init__(self) -> None:
        self.now = 20_000 * 86_400_000

    def __call__(self) -> int:
        return self.now

    async def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds


@asynccontextmanager
async def in_memory(default_ttl_ms: int | None = None) -> AsyncIterator[Backend]:
    """An empty deployment in memory, on a clock of its own."""
    clock, bus = HandClock(), InMemoryStreamBus()
    storage = InMemoryStorage(bus, default_ttl_ms, clock)
    yield Backend(storage.history, storage.replies, storage.store, bus, clock.pass_time, movable_clock=True)


@pytest.fixture
def open_backend() -> OpenBackend:
    return in_memory


class TestHistory(HistoryContract):
    """MessageHistory, in memory."""


class TestRequestsOverDays(RequestsOverDaysContract):
    """Request ids over days, in memory."""


class TestSessions(SessionsContract):
    """SessionStore, in memory."""


class TestReplies(ReplyContract):
    """ReplyBuffer, in memory."""


class TestBus(BusContract):
    """StreamBus, in memory."""


class MemoryMachine(StorageMachine):
    """Storage in memory against the model."""

    open_backend = staticmethod(in_memory)


TestModel = MemoryMachine.TestCase
TestModel.settings = model_settings
