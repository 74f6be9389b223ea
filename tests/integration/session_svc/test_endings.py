"""Every call ends for its client, and is gone: also when the client makes no room, sends nothing, or never reads.

The service runs in this process, so that its patience can be seconds; it is spoken to over real connections.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from aichat_runtime.address import Address
from grpc_health.v1 import health_pb2
from integration.session_svc.raw import Raw
from session_svc import bootstrap
from session_svc.domain.errors import Draining
from session_svc.settings import SessionServiceSettings
from session_svc.transport import calls, server
from session_svc.transport.capacity import Patience

SECONDS = 60.0
SOON = 0.3
LARGE = 300_000
CANCELLED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE = 1, 3, 8, 14

WATCH = api.WatchSessionRequest(session="s", after_position="")
LIST = api.ListMessagesRequest(session="s")


class Served:
    """A running service, in memory, in whose session `s` a large message stands."""

    def __init__(self, service: bootstrap.Service, address: str, channel: grpc.aio.Channel) -> None:
        self.service = service
        self.address = address
        self.stub = SessionServiceStub(channel)
        self.idle = asyncio.all_tasks()

    async def nothing_is_left(self) -> None:
        """Waits until no call is counted or has a task. One more call: gRPC keeps the last one's until the next."""

        def left() -> list[str]:
            return [task.get_name() for task in asyncio.all_tasks() - self.idle if task is not asyncio.current_task()]

        async def nothing() -> bool:
            try:
                await self.stub.GetSession(api.GetSessionRequest(name="s"), timeout=SECONDS)
            except grpc.aio.AioRpcError:
                return False  # On a machine that stalls, this one took too long as well.
            return not self.service.calls.streams and not [name for name in left() if "aichat" in name or "rpc" in name]

        await eventually(nothing)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await condition():  # noqa: ASYNC110 - What is waited for are gRPC's tasks, which set no event.
            await asyncio.sleep(0.02)


@asynccontextmanager
async def served(patience: Patience) -> AsyncIterator[Served]:
    settings = SessionServiceSettings(redis_enabled=False)
    async with (
        bootstrap.open_backend(settings) as backend,
        bootstrap.build(backend, settings, None, patience) as service,
    ):
        address = server.listen(service.server, Address("127.0.0.1", 0))
        await service.server.start()
        try:
            async with grpc.aio.insecure_channel(str(address)) as channel:
                running = Served(service, str(address), channel)
                message = pb.Message(role=pb.ROLE_USER, content="x" * LARGE)
                await running.stub.AppendMessages(
                    api.AppendMessagesRequest(session="s", messages=[message]), timeout=SECONDS
                )
                yield running
        finally:
            await service.server.stop(0)


@pytest.fixture
def nothing_collected() -> Iterator[None]:
    """What is torn down must go by itself, not when garbage happens to be collected."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_a_stream_ended_before_its_first_message_fits_ends_with_the_reason_once_its_client_reads() -> None:
    async with served(Patience(writing=SECONDS, last_words=SECONDS)) as running:
        with Raw(running.address, window=0) as raw:
            raw.call("WatchSession", WATCH)
            assert await asyncio.to_thread(raw.until_begun)
            running.service.calls.streams.drain(0)
            await running.stub.GetSession(api.GetSessionRequest(name="s"), timeout=SECONDS)
            raw.make_room()
            size, status = await asyncio.to_thread(raw.until_ended)
        assert status == UNAVAILABLE
        assert size > LARGE, "what was being written came whole"
        await running.nothing_is_left()


@pytest.mark.usefixtures("nothing_collected")
async def test_a_stream_whose_client_never_reads_is_torn_down_in_time() -> None:
    async with served(Patience(writing=SOON, last_words=SOON)) as running:
        with Raw(running.address, window=1000) as raw:
            raw.call("WatchSession", WATCH)
            assert await asyncio.to_thread(raw.until_begun)
            await running.nothing_is_left()
            size, status = await asyncio.to_thread(raw.until_ended)
            assert (size, status) == (1000, CANCELLED)


async def test_a_watcher_that_reads_too_late_but_reads_hears_that_it_is_too_slow() -> None:
    async with served(Patience(writing=SOON, last_words=SECONDS)) as running:
        with Raw(running.address, window=1000) as raw:
            raw.call("WatchSession", WATCH)
            assert await asyncio.to_thread(raw.until_begun)
            [stream] = running.service.calls.streams

            async def is_ended() -> bool:
                return stream.is_ended

            await eventually(is_ended)
            raw.make_room()
            assert (await asyncio.to_thread(raw.until_ended))[1] == RESOURCE_EXHAUSTED


@pytest.mark.usefixtures("nothing_collected")
async def test_an_answer_that_nobody_takes_is_given_up_in_time() -> None:
    async with served(Patience(call=3.0, last_words=10 * SECONDS)) as running:
        with Raw(running.address, window=1000) as raw:
            raw.call("ListMessages", LIST)
            assert await asyncio.to_thread(raw.until_begun)
            await running.nothing_is_left()
            assert await asyncio.to_thread(raw.until_ended) == (1000, CANCELLED)


@pytest.mark.usefixtures("nothing_collected")
@pytest.mark.parametrize("method", ["AppendMessages", "WatchSession"])
async def test_a_request_that_never_comes_is_not_waited_for(method: str) -> None:
    async with served(Patience(call=3.0, request=SOON)) as running:
        with Raw(running.address) as raw:
            raw.call(method, None)
            assert await asyncio.to_thread(raw.until_ended) == (0, INVALID_ARGUMENT)
            await running.nothing_is_left()


async def test_a_stream_that_waits_for_events_is_ended_at_once_with_the_reason() -> None:
    async with served(Patience()) as running:
        watch = running.stub.WatchSession(api.WatchSessionRequest(session="s"), timeout=SECONDS)
        first = await watch.read()
        assert isinstance(first, api.WatchSessionResponse)
        assert first.HasField("caught_up")
        [stream] = running.service.calls.streams
        stream.end(Draining(1.0), within=SECONDS)
        stream.end(Draining(1.0))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await running.nothing_is_left()


async def test_a_health_watcher_that_never_reads_holds_nobody_up() -> None:
    async with served(Patience(writing=SECONDS)) as running:
        running.service.health.begin()
        with Raw(running.address, window=0) as raw:
            raw.call("/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest(service="live"))
            assert await asyncio.to_thread(raw.until_begun)
            for ready in (True, False, True):
                running.service.health.set_ready(ready)
            raw.make_room()
            running.service.calls.streams.drain(0)
            size, status = await asyncio.to_thread(raw.until_ended)
            assert (size > 0, status) == (True, UNAVAILABLE)


async def test_a_drain_does_not_wait_for_calls_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "UNARY_SECONDS", SOON)
    async with served(Patience(call=10 * SECONDS)) as running:
        with Raw(running.address) as raw:
            for number in (1, 3):
                raw.call("AppendMessages", None, number)

            async def one_is_under_way() -> bool:
                return len(running.service.calls._unary) > 1  # gRPC keeps one that has ended until the next.

            await eventually(one_is_under_way)
            async with asyncio.timeout(SECONDS):
                await running.service.calls.drain(0)
            assert running.service.calls._unary
