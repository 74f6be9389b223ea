"""What the gateway draws from goes away and comes back; browsers stay connected and miss nothing."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator

import httpx
import psutil
import pytest
import redis
from ai_chat_client import ROLE_USER, AiChatError, AsyncClient, Message
from support.processes import Service, gateway, session_svc
from support.redis_server import RedisServer
from support.web_viewer import WebViewer

DEADLINE_SECONDS = 30.0


@contextlib.asynccontextmanager
async def writer(address: str, name: str) -> AsyncIterator["Writer"]:
    """Somebody who writes to a session until the writing succeeds."""
    async with AsyncClient(address) as client:
        yield Writer(client, name)


class Writer:
    """Appends, again and again with the same request id, until it is acknowledged."""

    def __init__(self, client: AsyncClient, name: str) -> None:
        self._client = client
        self._name = name

    async def say(self, content: str) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                try:
                    message = Message(role=ROLE_USER, content=content)
                    await self._client.append_messages(self._name, [message], request_id=content)
                except AiChatError:
                    await asyncio.sleep(0.05)
                else:
                    return


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
    with gateway(svc.address, server.url, DRAIN_SECONDS="2") as running:
        yield running


async def test_redis_killed_and_restarted_costs_nobody_a_message(
    server: RedisServer, svc: Service, web: Service
) -> None:
    async with writer(svc.address, "s") as chat, WebViewer(web.address, "s", list="1") as viewer:
        await chat.say("before")
        await viewer.until(lambda: viewer.contents == ["before"], "the first message")
        await asyncio.to_thread(server.kill)
        await viewer.until(lambda: viewer.states == ["lost"], "the loss")
        await asyncio.to_thread(server.start)
        await chat.say("after")
        await viewer.until(lambda: viewer.contents == ["before", "after"], "the second message")
        # Not at once for all that draw from it: session-svc may notice the loss later than the gateway.
        await viewer.until(lambda: viewer.states[-1] == "live", "the recovery")

        assert not viewer.ended
        assert not viewer.broken


async def test_cut_pubsub_connections_cost_nobody_a_message(server: RedisServer, svc: Service, web: Service) -> None:
    contents = [f"message {number}" for number in range(60)]
    with redis.Redis(port=server.port) as raw:
        async with writer(svc.address, "s") as chat, WebViewer(web.address, "s") as viewer:
            for number, content in enumerate(contents):
                if number % 10 == 5:
                    raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                await chat.say(content)

            await viewer.until_contents(*contents)


async def test_a_rename_and_a_deletion_while_redis_is_cut_off_are_told_afterwards(
    server: RedisServer, svc: Service, web: Service
) -> None:
    """Without the event: it is made while the gateway's connection, and no other, is frozen out."""
    with redis.Redis(port=server.port) as raw:
        async with (
            AsyncClient(svc.address) as client,
            WebViewer(web.address, "renamed") as renamed,
            WebViewer(web.address, "deleted") as deleted,
        ):
            for name in ("renamed", "deleted"):
                await client.append_messages(name, [Message(role=ROLE_USER, content="x")])
            await renamed.until_contents("x")
            await deleted.until_contents("x")
            web.process.send_signal(signal.SIGSTOP)
            await client.update_session("renamed", title="A new title")
            await client.delete_session("deleted")
            raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            web.process.send_signal(signal.SIGCONT)

            assert (await renamed.until_type("updated"))["payload"]["title"] == "A new title"
            await deleted.until_type("deleted")


async def test_a_silent_redis_is_noticed(server: RedisServer, svc: Service, web: Service) -> None:
    async with writer(svc.address, "s") as chat, WebViewer(web.address, "s") as viewer:
        await chat.say("before")
        server.freeze()
        try:
            await viewer.until(lambda: viewer.states == ["lost"], "the loss")
        finally:
            server.thaw()
        await chat.say("after")
        await viewer.until_contents("before", "after")


async def test_session_svc_killed_and_restarted_is_told_and_costs_nothing(svc: Service, web: Service) -> None:
    async with writer(svc.address, "s") as chat, WebViewer(web.address, "s") as viewer:
        await chat.say("before")
        await asyncio.to_thread(svc.kill)
        await viewer.until(lambda: viewer.states == ["lost"], "the loss")
        async with httpx.AsyncClient(base_url=f"http://{web.address}") as client:
            answer = await client.get("/api/sessions")
            assert (answer.status_code, answer.json()["reason"]) == (503, "STORE_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) >= 1
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/healthz")).status_code == 200
        await svc.start_again()
        await chat.say("after")
        await viewer.until_contents("before", "after")
        await viewer.until(lambda: viewer.states == ["lost", "live"], "the recovery")


async def test_whoever_comes_while_all_is_away_is_served_when_it_is_back(
    server: RedisServer, svc: Service, web: Service
) -> None:
    async with writer(svc.address, "s") as chat:
        await chat.say("one")
        await chat.say("two")
        svc.kill()
        server.kill()
        async with WebViewer(web.address, "s", after="") as viewer:
            await viewer.until(lambda: viewer.states[:1] == ["lost"], "the loss")
            await asyncio.to_thread(server.start)
            await svc.start_again()

            await viewer.until_contents("one", "two")


async def test_it_starts_before_what_it_draws_from(server: RedisServer, svc: Service) -> None:
    svc.kill()
    server.kill()
    with gateway(svc.address, server.url, until="listening") as web:
        async with WebViewer(web.address, "s") as viewer:
            await viewer.until(lambda: viewer.states == ["lost"], "the loss")
            await asyncio.to_thread(server.start)
            await svc.start_again()
            async with writer(svc.address, "s") as chat:
                await viewer.until(lambda: viewer.states == ["lost", "live"], "the recovery")
                await chat.say("hello")
                await viewer.until_contents("hello")


async def test_a_store_that_comes_back_empty_is_told_as_a_deletion() -> None:
    with session_svc() as svc, gateway(svc.address) as web:
        async with writer(svc.address, "s") as chat, WebViewer(web.address, "s") as viewer:
            await chat.say("before")
            await viewer.until_contents("before")
            await asyncio.to_thread(svc.kill)
            await svc.start_again()
            await viewer.until_type("deleted")
            await chat.say("after")
            await viewer.until_contents("before", "after")


async def test_all_sessions_share_one_connection_to_redis(server: RedisServer, svc: Service, web: Service) -> None:
    async with contextlib.AsyncExitStack() as stack, AsyncClient(svc.address) as client:
        viewers = [await stack.enter_async_context(WebViewer(web.address, f"s-{number}")) for number in range(30)]
        for number, viewer in enumerate(viewers):
            await client.append_messages(f"s-{number}", [Message(role=ROLE_USER, content=str(number))])
            await viewer.until_contents(str(number))

        connections = psutil.Process(web.process.pid).net_connections("tcp")
        assert len([one for one in connections if one.raddr and one.raddr.port == server.port]) == 1
        with redis.Redis(port=server.port, decode_responses=True) as raw:
            channels = set(raw.pubsub_channels("ai-chat:stream:s-*"))
        assert channels == {f"ai-chat:stream:s-{number}" for number in range(30)}


async def test_a_viewer_that_reads_nothing_slows_nobody(svc: Service, web: Service) -> None:
    async with writer(svc.address, "s") as chat, WebViewer(web.address, "s") as viewer:
        host, port = web.address.split(":")
        _, stuck = await asyncio.open_connection(host, int(port), limit=1)
        stuck.write(f"GET /api/stream?session=s HTTP/1.1\r\nHost: {web.address}\r\n\r\n".encode())
        contents = [f"{number} ".ljust(200_000, "x") for number in range(60)]
        for number, content in enumerate(contents):
            await chat.say(content[:60])
            async with AsyncClient(svc.address) as client:
                await client.append_messages(
                    "s", [Message(role=ROLE_USER, content=content)], request_id=f"big {number}"
                )

        await viewer.until(lambda: len(viewer.contents) == 2 * len(contents), "all messages")
        stuck.transport.abort()


async def test_the_first_signal_sends_everybody_away_spread_out(web: Service) -> None:
    async with contextlib.AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(WebViewer(web.address, f"s-{number}")) for number in range(10)]
        web.terminate(wait=False)
        await viewers[0].until(lambda: not web.is_ready(), "readiness to end")
        async with WebViewer(web.address, "late") as late:
            assert late.response
            assert (late.response.status_code, "retry-after" in late.response.headers) == (503, True)
        for viewer in viewers:
            await viewer.until_ended()

        assert all(viewer.ended for viewer in viewers)
        assert len({viewer.retry for viewer in viewers}) > 1
    assert await asyncio.to_thread(web.process.wait, 60) == 0


async def test_the_second_signal_ends_it_at_once(svc: Service) -> None:
    with gateway(svc.address, DRAIN_SECONDS="600") as web:
        async with WebViewer(web.address, "s") as viewer:
            web.terminate(wait=False)
            await viewer.until(lambda: not web.is_ready(), "readiness to end")
            web.terminate(wait=False)

            assert await asyncio.to_thread(web.process.wait, 60) != 0
