"""What a replica does unasked: it knows whether the store answers, and never stops looking after it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from session_svc.application import maintenance as module
from session_svc.application.maintenance import Maintenance
from session_svc.bus.memory import InMemoryStreamBus
from session_svc.domain.errors import StoreUnavailable
from session_svc.storage.memory import InMemorySessionStore, InMemoryStorage


class FailingStore(InMemorySessionStore):
    """A store that can be taken away, and that remembers what it was asked for."""

    def __init__(self) -> None:
        storage = InMemoryStorage(InMemoryStreamBus())
        super().__init__(storage.store._state, storage.replies)
        self.failure: Exception | None = None
        self.listed = True
        self.taken = False
        self.settled = 0
        self.calls: list[str] = []

    async def ping(self) -> None:
        if self.failure:
            raise self.failure

    async def is_listed(self) -> bool:
        return self.listed

    async def adopt(self) -> int | None:
        self.calls.append("adopt")
        if self.taken:
            return None
        self.listed = True
        return 1

    async def settle_due(self) -> None:
        self.settled += 1
        if self.failure:
            raise self.failure


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PING_SECONDS", 0.01)
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.01)


@asynccontextmanager
async def maintaining(store: FailingStore) -> AsyncIterator[None]:
    """Runs maintenance; what it says of readiness is among the store's calls."""

    def on_readiness(ready: bool) -> None:
        store.calls.append("ready" if ready else "not ready")

    task = asyncio.create_task(Maintenance(store, on_readiness).run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - What is waited for is the store's state.
            await asyncio.sleep(0.005)


async def test_it_is_ready_while_the_store_answers() -> None:
    store = FailingStore()
    async with maintaining(store):
        await until(lambda: "ready" in store.calls)
        store.failure = StoreUnavailable()
        await until(lambda: store.calls[-1] == "not ready")
        store.failure = None
        await until(lambda: store.calls.count("ready") == 2)


async def test_without_a_list_the_sessions_are_found_before_it_is_ready() -> None:
    store = FailingStore()
    store.listed = False
    async with maintaining(store):
        await until(lambda: "ready" in store.calls)
    assert store.calls.index("adopt") < store.calls.index("ready")


async def test_while_another_replica_makes_the_first_list_it_is_not_ready() -> None:
    store = FailingStore()
    store.listed, store.taken = False, True
    async with maintaining(store):
        await until(lambda: store.calls.count("adopt") > 2)
        assert "ready" not in store.calls
        store.taken = False
        await until(lambda: "ready" in store.calls)


async def test_sessions_of_other_programs_are_looked_for_whenever_the_store_is_regained() -> None:
    store = FailingStore()
    async with maintaining(store):
        await until(lambda: store.calls.count("adopt") == 1)
        store.failure = StoreUnavailable()
        await until(lambda: "not ready" in store.calls)
        store.failure = None
        await until(lambda: store.calls.count("adopt") == 2)


async def test_a_defect_in_one_step_does_not_end_the_others() -> None:
    store = FailingStore()
    async with maintaining(store):
        await until(lambda: store.settled > 0)
        store.failure = RuntimeError("a defect")
        settled = store.settled
        await until(lambda: "not ready" in store.calls)
        store.failure = None
        await until(lambda: store.settled > settled + 2)
