"""What RedisStreamBus does about its one connection: how it shares it, loses it and gets it back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sized
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from contract.backend import PATIENCE, next_of, until
from redis.asyncio import Redis
from session_svc.bus.base import Gap
from session_svc.bus.redis import Patience, RedisStreamBus
from session_svc.domain.errors import StoreUnavailable
from session_svc.domain.events import Cleared, Foreign, MessagesTruncated, SessionEvent, SessionRemoved
from session_svc.domain.position import Position
from structlog.testing import capture_logs
from support.redis_server import RedisServer

QUICK = Patience(confirm=10.0, linger=30.0, ping=0.2, pong=0.5, reconnect=0.3)
"""Of a bus that notices everything soon, but gives a busy machine time to confirm."""

HEAD = Position("mws7vouqk8l8", 0)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as redis:
        yield redis


@pytest.fixture
async def bus(server: RedisServer) -> AsyncIterator[RedisStreamBus]:
    async with RedisStreamBus(server.url, QUICK) as bus:
        yield bus


def event(kind: str = "clear", **payload: object) -> str:
    return json.dumps({"type": kind, "payload": payload, "timestamp": 1, "position": str(HEAD)})


async def publish(redis: Redis, name: str, *events: str) -> None:
    """Publishes, and makes sure that somebody listened: exactly one connection."""
    async with redis.pipeline(transaction=False) as pipeline:
        for each in events or [event()]:
            pipeline.publish(f"ai-chat:stream:{name}", each)
        assert set(await pipeline.execute()) == {1}


async def channels(redis: Redis) -> set[str]:
    """What is subscribed to."""
    return {channel if isinstance(channel, str) else channel.decode() for channel in await redis.pubsub_channels()}


async def subscribers(redis: Redis) -> int:
    """How many connections of subscribers the server has."""
    return len(await redis.client_list(_type="pubsub"))


async def kill_subscribers(redis: Redis) -> None:
    """What a failing network does."""
    await redis.client_kill_filter(_type="pubsub")


async def channels_are(redis: Redis, *names: str) -> bool:
    return await channels(redis) == set(names)


async def commands(redis: Redis, connection: str) -> int:
    """How many commands a connection has sent."""
    return next(int(each["tot-cmds"]) for each in await redis.client_list() if each["id"] == connection)


async def has_sent(redis: Redis, connection: str, count: int) -> bool:
    return await commands(redis, connection) >= count


async def something_in(logs: Sized) -> bool:
    return len(logs) > 0


class TestSharing:
    """One connection for everyone."""

    async def test_any_number_of_subscriptions_is_one_connection_and_each_channel_one_subscription(
        self, bus: RedisStreamBus, redis: Redis
    ) -> None:
        async with AsyncExitStack() as stack:
            names = [f"s{number % 50}" for number in range(200)]
            await asyncio.gather(*(stack.enter_async_context(bus.session(name)) for name in names))
            await asyncio.gather(*(stack.enter_async_context(bus.sessions()) for _ in range(20)))
            assert await subscribers(redis) == 1
            assert len(await channels(redis)) == 51

    async def test_an_event_is_read_once_for_all_who_listen(self, bus: RedisStreamBus, redis: Redis) -> None:
        async with bus.session("talk") as one, bus.session("talk") as other:
            await publish(redis, "talk")
            assert await next_of(one) is await next_of(other)

    async def test_more_channels_than_fit_one_command_are_all_live(self, bus: RedisStreamBus, redis: Redis) -> None:
        async with AsyncExitStack() as stack:
            names = [f"s{number}" for number in range(1200)]
            events = await asyncio.gather(*(stack.enter_async_context(bus.session(name)) for name in names))
            await publish(redis, names[-1])
            assert await next_of(events[-1]) == Cleared(HEAD)
            await kill_subscribers(redis)
            assert {await next_of(each) for each in events} == {Gap.LOST}
            assert len(await channels(redis)) == 1200

    @pytest.mark.parametrize("name", ["a b", "a/b", "漢字 😀", "[x]*?", "x" * 256])
    async def test_a_session_of_any_name_is_followed(self, bus: RedisStreamBus, redis: Redis, name: str) -> None:
        async with bus.session(name) as events:
            await publish(redis, name)
            assert await next_of(events) == Cleared(HEAD)

    async def test_a_burst_leaves_who_reads_its_turn(self, bus: RedisStreamBus, redis: Redis) -> None:
        async with bus.session("talk") as events:
            keeps = [event("truncate", keep=number) for number in range(5000)]
            await publish(redis, "talk", *keeps)
            for number in range(5000):
                assert await next_of(events) == MessagesTruncated(HEAD, number)

    async def test_a_unix_socket_will_do(self, tmp_path: Path) -> None:
        path = tmp_path / "redis.sock"
        with RedisServer(unixsocket=str(path)):
            async with (
                Redis.from_url(f"unix://{path}") as redis,
                RedisStreamBus(f"unix://{path}", QUICK) as bus,
                bus.session("talk") as events,
            ):
                await publish(redis, "talk")
                assert await next_of(events) == Cleared(HEAD)

    async def test_a_url_that_asks_for_the_newer_protocol_and_text_will_do(self, server: RedisServer) -> None:
        async with (
            Redis.from_url(server.url) as redis,
            RedisStreamBus(f"{server.url}?protocol=3&decode_responses=true", QUICK) as bus,
            bus.session("talk") as events,
        ):
            await publish(redis, "talk")
            assert await next_of(events) == Cleared(HEAD)


class TestLeaving:
    """A channel is given back a while after the last who listened."""

    async def test_a_channel_nobody_listens_to_is_given_back(self, server: RedisServer, redis: Redis) -> None:
        async with RedisStreamBus(server.url, Patience(linger=0.1)) as bus, bus.sessions():
            async with bus.session("talk"), bus.session("talk"):
                pass
            await until(lambda: channels_are(redis, "ai-chat:sessions"))
            async with bus.session("talk") as events:
                await publish(redis, "talk")
                assert await next_of(events) == Cleared(HEAD)

    async def test_the_connection_lives_on_without_any_channel(self, server: RedisServer, redis: Redis) -> None:
        patience = Patience(linger=0.05, ping=0.05, pong=2.0)
        with capture_logs() as logs:
            async with RedisStreamBus(server.url, patience) as bus:
                async with bus.session("talk"):
                    connection = (await redis.client_list(_type="pubsub"))[0]["id"]
                await until(lambda: channels_are(redis))
                before = await commands(redis, connection)
                await until(lambda: has_sent(redis, connection, before + 3))
                async with bus.session("talk") as events:
                    assert (await redis.client_list(_type="pubsub"))[0]["id"] == connection
                    await publish(redis, "talk")
                    assert await next_of(events) == Cleared(HEAD)
        assert logs == []

    async def test_who_comes_back_in_time_finds_the_channel_live(self, bus: RedisStreamBus, redis: Redis) -> None:
        async with bus.session("talk"):
            pass
        assert await channels(redis) == {"ai-chat:stream:talk"}
        async with bus.session("talk") as events:
            await publish(redis, "talk")
            assert await next_of(events) == Cleared(HEAD)

    async def test_coming_and_going_at_any_pace_loses_nothing(self, server: RedisServer, redis: Redis) -> None:
        async with RedisStreamBus(server.url, Patience(linger=0.001)) as bus:

            async def visit(times: int) -> None:
                for number in range(times):
                    async with bus.session("talk") as events:
                        # Another visitor may leave at any moment; only who is inside counts.
                        assert await redis.publish("ai-chat:stream:talk", event()) == 1
                        assert await next_of(events) == Cleared(HEAD)
                    await asyncio.sleep(0.001 * (number % 4))

            await asyncio.gather(*(visit(40) for _ in range(4)))


class TestLosing:
    """Whoever listens while the connection is lost is told, and is live again."""

    async def test_a_killed_connection_is_replaced_and_everyone_told(self, bus: RedisStreamBus, redis: Redis) -> None:
        async with bus.session("one") as one, bus.session("two") as two, bus.sessions() as changes:
            await kill_subscribers(redis)
            assert [await next_of(each) for each in (one, two, changes)] == [Gap.LOST] * 3
            await publish(redis, "one")
            assert await next_of(one) == Cleared(HEAD)
            await redis.publish("ai-chat:sessions", event("deleted", name="x"))
            assert await next_of(changes) == SessionRemoved("x")
            assert await subscribers(redis) == 1

    async def test_a_server_that_falls_silent_is_noticed(
        self, bus: RedisStreamBus, server: RedisServer, redis: Redis
    ) -> None:
        async with bus.session("talk") as events:
            server.freeze()
            try:
                # The socket stays open all the while: only the missing pong tells.
                with capture_logs() as logs:
                    await until(lambda: something_in(logs))
            finally:
                server.thaw()
            assert logs[0]["event"] == "pubsub_lost"
            assert await next_of(events) is Gap.LOST
            await publish(redis, "talk")
            assert await next_of(events) == Cleared(HEAD)

    async def test_a_server_killed_and_started_again_is_found_again(
        self, bus: RedisStreamBus, server: RedisServer
    ) -> None:
        async with bus.session("talk") as events:
            server.kill()
            server.start()
            assert await next_of(events) is Gap.LOST
            async with Redis.from_url(server.url) as redis:
                await publish(redis, "talk")
            assert await next_of(events) == Cleared(HEAD)

    async def test_a_queue_that_is_lost_is_replaced_by_one_loss(self, bus: RedisStreamBus, redis: Redis) -> None:
        async with bus.session("talk") as unread, bus.session("talk") as reader:
            await publish(redis, "talk", *[event()] * 500)
            for _ in range(500):
                await next_of(reader)
            for _ in range(3):
                await kill_subscribers(redis)
                assert await next_of(reader) is Gap.LOST
            await publish(redis, "talk", event("truncate", keep=1))
            assert await next_of(unread) is Gap.LOST
            assert await next_of(unread) == MessagesTruncated(HEAD, 1)

    async def test_who_comes_while_it_is_lost_waits_and_is_told_of_no_loss(
        self, bus: RedisStreamBus, server: RedisServer
    ) -> None:
        async with bus.session("other") as other:
            server.kill()
            coming = asyncio.create_task(first_event(bus, "talk"))
            server.start()
            assert await next_of(other) is Gap.LOST
            async with Redis.from_url(server.url) as redis, asyncio.timeout(PATIENCE):
                while not coming.done():
                    await redis.publish("ai-chat:stream:talk", event())
                    await asyncio.sleep(0.02)
            assert await coming == Cleared(HEAD)

    async def test_without_a_server_a_subscription_is_refused_in_time(self, server: RedisServer) -> None:
        server.kill()
        async with RedisStreamBus(server.url, Patience(confirm=0.2, reconnect=0.1)) as bus:
            with pytest.raises(StoreUnavailable):
                await first_event(bus, "talk")
            server.start()
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        async with bus.session("talk"):
                            break
                    except StoreUnavailable:
                        continue

    async def test_nobody_joins_a_channel_whose_connection_is_lost(self, server: RedisServer) -> None:
        async with (
            RedisStreamBus(server.url, Patience(confirm=0.3, reconnect=0.1)) as bus,
            bus.session("talk") as events,
        ):
            with capture_logs() as logs:
                server.kill()
                await until(lambda: something_in(logs))
            with pytest.raises(StoreUnavailable):
                await first_event(bus, "talk")
            server.start()
            assert await next_of(events) is Gap.LOST

    async def test_a_channel_nobody_listens_to_is_not_asked_for_again(self, bus: RedisStreamBus, redis: Redis) -> None:
        async with bus.sessions() as changes:
            async with bus.session("talk"):
                pass
            await kill_subscribers(redis)
            assert await next_of(changes) is Gap.LOST
            assert await channels(redis) == {"ai-chat:sessions"}

    async def test_an_outage_is_logged_once_however_long(self, server: RedisServer) -> None:
        server.kill()
        with capture_logs() as logs:
            async with RedisStreamBus(server.url, Patience(confirm=0.5, reconnect=0.02)) as bus:
                with pytest.raises(StoreUnavailable):
                    await first_event(bus, "talk")
                assert [log["event"] for log in logs] == ["pubsub_lost"]
                server.start()
                async with bus.session("talk"):
                    assert [log["event"] for log in logs] == ["pubsub_lost", "pubsub_restored"]

    async def test_a_bus_that_is_closed_ends_those_who_listen(self, server: RedisServer, redis: Redis) -> None:
        async with AsyncExitStack() as outer:
            async with RedisStreamBus(server.url, QUICK) as bus:
                events = await outer.enter_async_context(bus.session("talk"))
                waiting = asyncio.create_task(read_all(events))
                assert await subscribers(redis) == 1
            async with asyncio.timeout(PATIENCE):
                assert await waiting == []
            await until(lambda: channels_are(redis))

    async def test_a_bus_may_be_closed_at_any_moment(self, server: RedisServer) -> None:
        for turns in range(120):
            async with asyncio.timeout(PATIENCE), RedisStreamBus(server.url, QUICK):
                for _ in range(turns):
                    await asyncio.sleep(0)


class TestGarbage:
    """Anybody may publish anything."""

    async def test_garbage_is_passed_over_and_logged_once(self, bus: RedisStreamBus, redis: Redis) -> None:
        secret = "hush, my message"
        with capture_logs() as logs:
            async with bus.session("talk") as events:
                await publish(redis, "talk", *[secret, "{", "[]", event("truncate", keep=secret)] * 20)
                await publish(redis, "talk", event("from-the-future"), event())
                assert await next_of(events) == Cleared(HEAD)
        assert [log["event"] for log in logs] == ["pubsub_garbage"]
        assert secret not in str(logs)

    async def test_another_programs_event_is_told_as_such(self, bus: RedisStreamBus, redis: Redis) -> None:
        async with bus.session("talk") as events:
            await publish(redis, "talk", '{"type":"complete","payload":{"content":"hi"},"timestamp":1}')
            assert await next_of(events) == Foreign("complete")


async def first_event(bus: RedisStreamBus, name: str) -> SessionEvent | Gap:
    async with bus.session(name) as events:
        return await next_of(events)


async def read_all(events: AsyncIterator[SessionEvent | Gap]) -> list[SessionEvent | Gap]:
    return [event async for event in events]
