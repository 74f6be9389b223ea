"""What breaks while a reply is being written, and what its viewers see all the same: the text, whole, once."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
import redis
from ai_chat_client import AsyncClient
from support import chat_ai
from support.draft import Draft
from support.event_stream import EventStream, ServerEvent
from support.lasting_viewer import LastingViewer
from support.processes import Service, gateway, session_svc
from support.redis_server import RedisServer
from support.talker import Talker
from support.web_viewer import WebViewer

NAME = "my-project"
CROWD = 1000
VIEWER = """
import socket, sys
stream = socket.create_connection((sys.argv[1], int(sys.argv[2])))
stream.sendall(sys.argv[3].encode())
while stream.recv(100): pass
"""


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def svc(server: RedisServer) -> Iterator[Service]:
    with session_svc(server.url) as running:
        yield running


@pytest.fixture
def web(server: RedisServer, svc: Service) -> Iterator[Service]:
    with gateway(svc.address, server.url) as running:
        yield running


async def see_all(talker: Talker, *viewers: LastingViewer) -> None:
    """Ends the reply; returns once each viewer has seen it to its end, and nothing else."""
    text = await talker.finish()
    assert talker.lost is None
    for viewer in viewers:
        await viewer.until(partial(ends_with, viewer, text), "the whole reply")
        assert text.startswith(viewer.draft.text)


def ends_with(viewer: LastingViewer, text: str) -> bool:
    """Whether the last that came was a message of this text."""
    return viewer.last == text


async def test_pubsub_connections_killed_again_and_again_cost_nobody_a_word(
    server: RedisServer, svc: Service, web: Service
) -> None:
    async with Talker(svc.address, NAME) as talker, LastingViewer(NAME, web.address) as early:
        with redis.Redis(port=server.port) as raw:
            for _ in range(3):
                await talker.said(20)
                raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        async with LastingViewer(NAME, web.address) as late:
            await talker.said(20)
            await see_all(talker, early, late)
            assert (early.joins, late.joins) == (1, 1)


async def test_viewers_of_a_gateway_that_is_killed_go_on_at_another(
    server: RedisServer, svc: Service, web: Service
) -> None:
    with gateway(svc.address, server.url) as other:
        async with (
            Talker(svc.address, NAME) as talker,
            LastingViewer(NAME, web.address, other.address) as moved,
            LastingViewer(NAME, other.address) as stayed,
        ):
            await moved.until(lambda: moved.draft.text, "the beginning")
            web.kill()
            await talker.said(20)
            await moved.until(lambda: moved.joins > 1 and moved.states is not None, "the move")
            await see_all(talker, moved, stayed)


@pytest.mark.parametrize("keeps_data", [True, False])
async def test_redis_killed_in_the_middle_and_restarted(
    server: RedisServer, svc: Service, web: Service, *, keeps_data: bool
) -> None:
    async with Talker(svc.address, NAME) as talker, LastingViewer(NAME, web.address) as viewer:
        await viewer.until(lambda: viewer.draft.text, "the beginning")
        await asyncio.to_thread(server.kill)
        await viewer.until(lambda: viewer.states == ["lost"], "the loss")
        if not keeps_data:
            server.forget()
        await asyncio.to_thread(server.start)
        if keeps_data:
            await talker.said(20)
            await see_all(talker, viewer)
        else:
            await viewer.until(lambda: viewer.types[-2:] == ["complete", "deleted"], "the end")
        assert viewer.joins == 1


async def test_redis_frozen_in_the_middle_costs_nobody_a_word(server: RedisServer, svc: Service, web: Service) -> None:
    async with Talker(svc.address, NAME) as talker, LastingViewer(NAME, web.address) as viewer:
        await viewer.until(lambda: viewer.draft.text, "the beginning")
        server.freeze()
        try:
            await viewer.until(lambda: viewer.states == ["lost"], "the loss")
        finally:
            server.thaw()
        await talker.said(20)
        await see_all(talker, viewer)
        assert viewer.joins == 1


async def test_a_viewer_that_is_stopped_among_a_thousand_slows_none_of_them(svc: Service, web: Service) -> None:
    host, port = web.address.split(":")
    async with AsyncClient(svc.address) as chat, crowd(web.address, CROWD) as viewers:
        await chat.create_session(NAME)
        stopped = await asyncio.create_subprocess_exec(sys.executable, "-c", VIEWER, host, port, request(web.address))
        try:
            stopped.send_signal(signal.SIGSTOP)
            words = [f"word {number} ".ljust(400, "x") for number in range(30)]
            async with chat.reply(NAME) as reply:
                for word in words:
                    await reply.write(word)
                    await asyncio.sleep(0.02)
                await reply.finish()
            async with asyncio.timeout(90):
                texts = [await viewer.text() for viewer in viewers]
        finally:
            stopped.kill()
            await stopped.wait()
    assert set(texts) == {"".join(words)}


async def test_a_viewer_at_a_kilobyte_a_second_sees_the_whole_reply(svc: Service, web: Service) -> None:
    async with Talker(svc.address, NAME) as talker, LastingViewer(NAME, web.address) as other:
        slow = await connect(web.address, receive_bytes=4096)
        try:
            for _ in range(20):
                await slow.read(100)
                await asyncio.sleep(0.1)
            await see_all(talker, other)
            assert other.joins == 1
            assert await slow.text() == talker.text
        finally:
            slow.writer.transport.abort()


async def test_chat_ai_at_work_is_seen_live_and_each_of_its_messages_once(server: RedisServer, web: Service) -> None:
    async with contextlib.AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(WebViewer(web.address, name, after="")) for name in chat_ai.SESSIONS]
        raw = stack.enter_context(redis.Redis(port=server.port, decode_responses=True))
        took = list(chat_ai.recording())[-1][0]
        await asyncio.to_thread(chat_ai.replay, raw, speed=took / 4)
        for name, viewer in zip(chat_ai.SESSIONS, viewers, strict=True):
            stored = chat_ai.history(raw, name)
            await viewer.until(partial(has_come_to, viewer, len(stored)), "the last message")
            told, _ = log(viewer)
            assert told == stored[len(stored) - len(told) :]
            assert "chunk" in viewer.types
            chunks = [own for own, kind in zip(viewer.ids, viewer.types, strict=True) if kind == "chunk"]
            assert not any(chunks)


def has_come_to(viewer: WebViewer, count: int) -> bool:
    """Whether so many messages have been told."""
    return log(viewer)[1] == count


def log(viewer: WebViewer) -> tuple[list[tuple[str, str]], int]:
    """Role and content of the messages told since the log last began anew, and where it stands."""
    messages: list[tuple[str, str]] = []
    at = 0
    for event in viewer.events:
        if event["type"] in ("user", "message"):
            assert event["payload"]["sequence"] == at + 1
            messages.append((event["payload"]["role"], event["payload"]["content"]))
            at += 1
        elif event["type"] in ("reset", "clear", "deleted"):
            messages, at = [], int(event["position"].rpartition(".")[2]) if event["type"] != "deleted" else 0
    return messages, at


# Viewers light enough for a thousand of them


def request(address: str) -> str:
    """Opens a stream."""
    return f"GET /api/stream?session={NAME} HTTP/1.1\r\nHost: {address}\r\n\r\n"


class LightViewer:
    """An open stream that is only read when it is looked at."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._received = b""

    async def read(self, size: int) -> None:
        """Reads so many bytes at most."""
        data = await self._reader.read(size)
        assert data, "the stream ended"
        self._received += data

    async def text(self) -> str:
        """The text of the reply, as it was put together from its pieces, once it has ended."""
        while b'"type":"complete"' not in self._received or not self._received.endswith(b"\n\n\r\n"):
            await self.read(1 << 16)
        draft = Draft(event.json() for event in self._events())
        return draft.text

    def _events(self) -> Iterator[ServerEvent]:
        _, _, rest = self._received.partition(b"\r\n\r\n")
        stream = EventStream()
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            yield from stream.feed(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]


async def connect(address: str, *, receive_bytes: int = 0) -> LightViewer:
    """Opens a stream; `receive_bytes`: what the kernel may keep for whoever reads it."""
    host, port = address.split(":")
    raw = socket.socket()
    if receive_bytes:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=raw, limit=receive_bytes or 1 << 16)
    writer.write(request(address).encode())
    viewer = LightViewer(reader, writer)
    await viewer.read(100)
    return viewer


@contextlib.asynccontextmanager
async def crowd(address: str, size: int) -> AsyncIterator[list[LightViewer]]:
    """So many viewers."""
    viewers: list[LightViewer] = []
    try:
        while len(viewers) < size:
            viewers += await asyncio.gather(*(connect(address) for _ in range(min(50, size - len(viewers)))))
        yield viewers
    finally:
        for viewer in viewers:
            viewer.writer.transport.abort()
