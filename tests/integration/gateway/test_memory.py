"""Whoever reads slowly, or sends much, costs the process little; whoever keeps up is served all the while."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import psutil
import pytest
from ai_chat_client import ROLE_USER, AsyncClient, Message
from aichat_runtime.address import Address
from aichat_runtime.memory import MemoryGuard
from integration.gateway.conftest import Deployment
from stream_gateway import bootstrap
from stream_gateway.history import History
from stream_gateway.hub import Hub
from stream_gateway.memory import Memory
from stream_gateway.reach import EVENTS, Reach
from stream_gateway.server import GatewayServer, listen
from stream_gateway.settings import GatewaySettings
from stream_gateway.sources.grpc import GrpcSource
from stream_gateway.watches import Watches
from support.background import Background
from support.event_stream import EventStream
from support.processes import Service, gateway, session_svc
from support.web_viewer import WebViewer

MIB = 1024 * 1024
LIMIT = 192 * MIB
BOUND = 256 * MIB
"""What it may have at a peak: the limit is looked at once in a while only."""
CROWD = 120
HISTORY = [f"{number} ".ljust(300_000, "x") for number in range(50)]
"""15 MB, of which a page is 3 MB: without a bound the crowd would hold 300 MB."""
SMALL_BUFFER = 4096


class Peak(Background):
    """Looks all the while at how much of the machine's memory a process has: `bytes`, at most."""

    def __init__(self, service: Service) -> None:
        self._process = psutil.Process(service.process.pid)
        self.bytes = 0

    async def run(self) -> None:
        """See Background."""
        while True:
            self.bytes = max(self.bytes, self._process.memory_info().rss)
            await asyncio.sleep(0.02)


async def connect(address: str, target: str, **headers: str) -> socket.socket:
    """Asks for something over a connection of which little is read ahead."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    connection.setblocking(False)
    host, port = address.split(":")
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (host, int(port)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    await loop.sock_sendall(connection, f"GET {target} HTTP/1.1\r\nhost: {address}\r\n{lines}\r\n".encode())
    return connection


class Trickle(Background):
    """A browser on a bad line, until `hurry`: takes 1 kB every now and then, and resumes where it must."""

    def __init__(self, address: str, session: str) -> None:
        self.contents: list[str] = []
        self.hurry = False
        self._news = asyncio.Condition()
        self._address = address
        self._session = session
        self._stream = EventStream()

    async def until_contents(self, contents: list[str]) -> None:
        """Returns once it has so many messages, which must be these."""
        async with asyncio.timeout(120), self._news:
            await self._news.wait_for(lambda: len(self.contents) >= len(contents))
        assert self.contents == contents

    async def run(self) -> None:
        """See Background."""
        last_id = ""
        while True:
            stream = EventStream()
            stream.last_id = last_id
            headers = {"last-event-id": last_id} if last_id else {}
            connection = await connect(self._address, f"/api/stream?session={self._session}&after=", **headers)
            with connection, contextlib.suppress(ConnectionError):
                await self._read(connection, stream)
            last_id = stream.last_id
            await asyncio.sleep(0.5)

    async def _read(self, connection: socket.socket, stream: EventStream) -> None:
        loop = asyncio.get_running_loop()
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self._some(loop, connection)
        data = data.partition(b"\r\n\r\n")[2]
        while True:
            size, found, rest = data.partition(b"\r\n")
            if not found or len(rest) < int(size, 16) + 2:
                data += await self._some(loop, connection)
                continue
            length = int(size, 16)
            for event in stream.feed(rest[:length]):
                told = event.json()
                if told["type"] == "user":
                    self.contents.append(told["payload"]["content"])
            data = rest[length + 2 :]
            async with self._news:
                self._news.notify_all()

    async def _some(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
        if not self.hurry:
            await asyncio.sleep(0.02)
        data = await loop.sock_recv(connection, 64 * 1024 if self.hurry else 1024)
        if not data:
            raise ConnectionResetError("the end")
        return data


@pytest.fixture
def svc() -> Iterator[Service]:
    with session_svc() as running:
        yield running


@pytest.fixture
def web(svc: Service) -> Iterator[Service]:
    with gateway(svc.address, LIMIT_MEMORY=str(LIMIT)) as running:
        yield running


async def write(chat: AsyncClient, session: str, contents: list[str]) -> str:
    """Appends messages a few at a time; returns the position of the last."""
    position = ""
    for start in range(0, len(contents), 5):
        messages = [Message(role=ROLE_USER, content=content) for content in contents[start : start + 5]]
        position = (await chat.append_messages(session, messages)).position
    return position


async def test_a_crowd_that_reads_nothing_of_a_long_history_is_bounded_and_costs_the_others_nothing(
    svc: Service, web: Service
) -> None:
    async with AsyncClient(svc.address) as chat, contextlib.AsyncExitStack() as crowd:
        position = await write(chat, "s", HISTORY)
        epoch = position.partition(".")[0]
        async with (
            WebViewer(web.address, "s") as there,
            Peak(web) as peak,
            Trickle(web.address, "s") as trickle,
        ):
            for number in range(CROWD):
                target = f"/api/stream?session=s&after={epoch}.{number % len(HISTORY)}"
                crowd.enter_context(await connect(web.address, target))
            live = [f"live {number}" for number in range(20)]
            for content in live:
                await write(chat, "s", [content])
            await there.until_contents(*live)
            async with WebViewer(web.address, "s", after="") as comes:
                await comes.until_contents(*HISTORY, *live)
            trickle.hurry = True
            await trickle.until_contents([*HISTORY, *live])

        assert not there.ended
        assert not there.broken
        assert peak.bytes < BOUND, f"{peak.bytes / MIB:.0f} MiB"


async def test_answers_that_nobody_takes_are_bounded_and_others_are_answered(svc: Service, web: Service) -> None:
    async with AsyncClient(svc.address) as chat, contextlib.AsyncExitStack() as crowd:
        await write(chat, "s", HISTORY[:10])
        async with Peak(web) as peak, httpx.AsyncClient(base_url=f"http://{web.address}", timeout=60) as browser:
            for _ in range(CROWD):
                crowd.enter_context(await connect(web.address, "/api/sessions/s/messages?limit=1000"))
            async with asyncio.timeout(60):
                while True:
                    answer = await browser.get("/api/sessions/s/messages", params={"limit": 1})
                    if answer.status_code == httpx.codes.OK:
                        break
                    assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS
                    assert answer.json()["reason"] == "RATE_LIMITED"
                    await asyncio.sleep(int(answer.headers["retry-after"]))

        assert peak.bytes < BOUND, f"{peak.bytes / MIB:.0f} MiB"


@contextlib.asynccontextmanager
async def serving(deployment: Deployment, memory: Memory) -> AsyncIterator[str]:
    """A gateway in this process, with this memory; yields its address."""
    settings = GatewaySettings(gateway_listen=Address("127.0.0.1", 0))
    async with AsyncClient(deployment.session_svc.address) as client:
        reach = Reach([EVENTS])
        hub = Hub(GrpcSource(client), History(client, memory.viewers), reach, tick=0.05, owed=memory.viewers)
        listener = listen(settings.gateway_listen)
        started = asyncio.Event()
        app = bootstrap.edge(settings, client, hub, Watches(client), reach, lambda: False, memory)
        server = GatewayServer(app, started.set)
        tasks = [asyncio.create_task(hub.run()), asyncio.create_task(server.serve([listener]))]
        await started.wait()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            await hub.drain(0)
            server.leave()
            await tasks[1]
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_while_there_is_no_memory_to_spare_what_is_new_is_refused_and_the_rest_goes_on(
    in_memory: Deployment, name: str
) -> None:
    resident = 0
    memory = Memory(0)
    memory.guard = MemoryGuard(100, resident=lambda: resident, give_back=lambda: None)
    async with (
        serving(in_memory, memory) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as browser,
        AsyncClient(in_memory.session_svc.address) as chat,
    ):
        async with WebViewer(address, name) as there:
            resident = 101
            await asyncio.sleep(0.2)  # Longer than a look at the memory is good for.
            async with WebViewer(address, name) as newcomer:
                assert newcomer.response
                assert newcomer.response.status_code == httpx.codes.TOO_MANY_REQUESTS
                assert int(newcomer.response.headers["retry-after"]) >= 5
            answer = await browser.get("/api/sessions")
            assert (answer.status_code, answer.json()["reason"]) == (429, "RATE_LIMITED")
            assert int(answer.headers["retry-after"]) >= 1
            assert (await browser.get("/healthz")).status_code == httpx.codes.OK
            told: list[float] = []
            for number in range(10):
                before = time.monotonic()
                await write(chat, name, [str(number)])
                await there.until(lambda: len(there.contents) > len(told), "the message")
                told.append(time.monotonic() - before)
            assert sorted(told)[5] < 1.0
            assert there.contents == [str(number) for number in range(10)]

        resident = 0
        await asyncio.sleep(0.2)
        async with WebViewer(address, name) as newcomer:
            assert newcomer.last_id
        assert (await browser.get("/api/sessions")).status_code == httpx.codes.OK
