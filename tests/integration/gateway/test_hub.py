"""The hub in this process, over a real Redis: what takes half a minute in the product takes a moment here."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
import redis
from ai_chat_client import ROLE_USER, AsyncClient, Message
from aichat_runtime.address import Address
from integration.gateway.conftest import Deployment
from prometheus_client import REGISTRY
from stream_gateway import bootstrap
from stream_gateway.history import History
from stream_gateway.hub import Hub
from stream_gateway.reach import EVENTS, Reach
from stream_gateway.server import GatewayServer, listen
from stream_gateway.settings import GatewaySettings
from stream_gateway.sources.redis import RedisSource
from stream_gateway.watches import Watches
from support.until import until
from support.web_viewer import WebViewer

DROPPED = "gateway_viewers_dropped_total"


@contextlib.asynccontextmanager
async def serving(deployment: Deployment, **bounds: float) -> AsyncIterator[str]:
    """A gateway whose hub has other bounds; yields its address."""
    assert deployment.redis
    settings = GatewaySettings(gateway_listen=Address("127.0.0.1", 0))
    async with AsyncClient(deployment.session_svc.address) as client:
        reach = Reach([EVENTS])
        hub = Hub(RedisSource(deployment.redis.url), History(client), reach, tick=0.02, **bounds)  # type: ignore[arg-type]  # All bounds are numbers.
        listener = listen(settings.gateway_listen)
        started = asyncio.Event()
        server = GatewayServer(
            bootstrap.edge(settings, client, hub, Watches(client), reach, lambda: False), started.set
        )
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


def subscribers(raw: redis.Redis, name: str) -> int:
    """How many connections listen to the session."""
    channel = f"ai-chat:stream:{name}"
    return int(dict(raw.pubsub_numsub(channel))[channel])


async def reaches(raw: redis.Redis, name: str, count: int) -> None:
    """Returns once so many connections listen to the session."""
    await asyncio.to_thread(until, lambda: subscribers(raw, name) == count, what=f"{count} subscribers")


async def drops(count: float) -> None:
    """Returns once this process has disconnected so many viewers."""
    await asyncio.to_thread(until, lambda: REGISTRY.get_sample_value(DROPPED) == count, what=f"{count} drops")


async def test_a_session_is_followed_from_its_first_viewer_to_a_while_after_its_last(
    on_redis: Deployment, raw: redis.Redis, name: str
) -> None:
    async with serving(on_redis, linger=0.5) as address:
        assert subscribers(raw, name) == 0
        async with WebViewer(address, name), WebViewer(address, name):
            assert subscribers(raw, name) == 1
        async with WebViewer(address, name):
            await asyncio.sleep(0.6)  # Longer than it lingers: somebody looks.
            assert subscribers(raw, name) == 1
        assert subscribers(raw, name) == 1
        await reaches(raw, name, 0)


async def test_whoever_comes_back_while_it_is_being_left_is_followed(
    on_redis: Deployment, raw: redis.Redis, name: str
) -> None:
    async with serving(on_redis, linger=0.0) as address, AsyncClient(on_redis.session_svc.address) as chat:
        for number in range(30):
            async with WebViewer(address, name) as viewer:
                await chat.append_messages(name, [Message(role=ROLE_USER, content=str(number))])
                await viewer.until_contents(str(number))
        await reaches(raw, name, 0)


async def test_more_viewers_than_it_takes_are_refused_and_none_evicted(on_redis: Deployment, name: str) -> None:
    async with serving(on_redis, max_viewers=2) as address:
        async with WebViewer(address, name) as first, WebViewer(address, name), WebViewer(address, name) as third:
            assert third.response
            assert third.response.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert int(third.response.headers["retry-after"]) >= 5
            assert not first.ended
        async with WebViewer(address, name) as later:
            assert later.last_id


async def test_a_viewer_that_takes_nothing_is_disconnected(on_redis: Deployment, name: str) -> None:
    dropped = REGISTRY.get_sample_value(DROPPED) or 0.0
    async with serving(on_redis, stuck_after=0.5) as address, AsyncClient(on_redis.session_svc.address) as chat:
        host, port = address.split(":")
        reader, stuck = await asyncio.open_connection(host, int(port), limit=1)
        stuck.write(f"GET /api/stream?session={name} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        async with WebViewer(address, name) as viewer:
            contents = [f"{number} ".ljust(500_000, "x") for number in range(24)]
            for content in contents:
                await chat.append_messages(name, [Message(role=ROLE_USER, content=content)])
            await viewer.until_contents(*contents)
            # What it has not read is read only now: a viewer that begins to read before it is dropped is not stuck.
            await asyncio.to_thread(
                until, lambda: REGISTRY.get_sample_value(DROPPED) == dropped + 1, what="it is dropped"
            )
            async with asyncio.timeout(60):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(sum(map(len, contents)))
        stuck.transport.abort()


async def test_heartbeats_keep_a_silent_stream_awake(on_redis: Deployment, name: str) -> None:
    async with serving(on_redis) as address, WebViewer(address, name) as viewer:
        await viewer.until(lambda: viewer.comments > 1, "heartbeats")
