"""Redis slow, gone, back, full or restricted: a clear error in time, and nothing done twice."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis
from session_svc.domain.errors import StoreUnavailable
from session_svc.domain.message import NewMessage, Role
from session_svc.domain.session import NewSession
from session_svc.storage.base import Append
from session_svc.storage.redis import RedisStorage, Unsupported, open_storage
from support.redis_server import RedisServer
from support.until import STALL_SECONDS

HELLO = NewMessage(Role.USER, "hello", id="m1")


async def eventually(step: Callable[[], Awaitable[object]], seconds: float = 15) -> None:
    """Repeats `step` until the store answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            await step()
        except StoreUnavailable:
            assert time.monotonic() < deadline, "the store did not come back"
            await asyncio.sleep(0.05)
        else:
            return


async def test_commands_in_flight_when_redis_is_killed_end_and_later_ones_succeed() -> None:
    with RedisServer() as server:
        async with open_storage(server.url) as storage:
            await storage.history.append(Append("s", [HELLO]))
            acknowledged: list[int] = []
            some_acknowledged = asyncio.Event()

            async def write(place: int) -> None:
                appended = await storage.history.append(Append("s", [NewMessage(Role.USER, str(place), id=str(place))]))
                acknowledged.append(appended.position.sequence)
                some_acknowledged.set()

            writers = [asyncio.create_task(write(place)) for place in range(500)]
            await some_acknowledged.wait()
            server.kill()
            outcomes = await asyncio.wait_for(asyncio.gather(*writers, return_exceptions=True), 10)
            assert {type(outcome) for outcome in outcomes} <= {type(None), StoreUnavailable}
            with pytest.raises(StoreUnavailable):
                await storage.store.get("s")

            server.start()
            await eventually(storage.store.ping)
            page = await storage.history.page("s", start=1, limit=1000, newest_first=False)
            assert page.head.sequence >= max(acknowledged)
            contents = [message.content for message in page.messages]
            assert len(contents) == len(set(contents))


async def test_a_frozen_redis_is_an_error_within_seconds_and_is_used_again_when_it_thaws() -> None:
    with RedisServer() as server:
        async with open_storage(server.url) as storage:
            await storage.history.append(Append("s", [HELLO]))
            server.freeze()
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await storage.store.get("s")
            assert time.monotonic() - began < 10 + STALL_SECONDS
            server.thaw()
            await eventually(lambda: storage.store.get("s"))


async def test_storage_opens_without_redis_and_works_once_it_is_there() -> None:
    with RedisServer() as server:
        server.kill()
        async with open_storage(server.url) as storage:
            with pytest.raises(StoreUnavailable):
                await storage.store.ping()
            server.start()
            await eventually(lambda: storage.history.append(Append("s", [HELLO], request_id="r", fingerprint="f")))
            assert (await storage.store.get("s")).message_count == 1


async def test_flushed_scripts_are_loaded_again(storage: RedisStorage, raw: redis.Redis) -> None:
    raw.script_flush()
    await storage.history.append(Append("s", [HELLO]))
    assert (await storage.store.get("s")).message_count == 1


async def test_a_full_server_refuses_and_writes_nothing() -> None:
    with RedisServer() as server, redis.Redis(port=server.port) as raw:
        async with open_storage(server.url) as storage:
            await storage.history.append(Append("s", [HELLO]))
            before = raw.dump("session:s:metadata")
            raw.config_set("maxmemory", "1mb")
            for step in (
                lambda: storage.history.append(Append("s", [HELLO], request_id="r", fingerprint="f")),
                lambda: storage.history.append(Append("new", [HELLO])),
                lambda: storage.store.create("new", NewSession(), allow_existing=False),
            ):
                with pytest.raises(StoreUnavailable, match="OOM"):
                    await step()
            assert raw.dump("session:s:metadata") == before
            assert raw.keys("session:new*") == []
            assert (await storage.history.snapshot("s", tail=10)).session.message_count == 1
            raw.config_set("maxmemory", "0")
            assert (await storage.history.append(Append("s", [HELLO]))).position.sequence == 2


async def test_a_password_and_a_database_in_the_url_are_used() -> None:
    with RedisServer() as server:
        with redis.Redis(port=server.port) as raw:
            raw.config_set("requirepass", "se:cr/et")
        url = f"redis://:se%3Acr%2Fet@127.0.0.1:{server.port}/3"
        async with open_storage(url) as storage:
            await storage.history.append(Append("s", [HELLO]))
        with redis.Redis(port=server.port, password="se:cr/et", db=3) as raw:
            assert raw.exists("session:s:messages")
        async with open_storage(f"redis://:wrong@127.0.0.1:{server.port}") as storage:
            with pytest.raises(StoreUnavailable):
                await storage.store.ping()


async def test_a_unix_socket_is_used(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with RedisServer(unixsocket=str(path)):
        async with open_storage(f"unix://{path}") as storage:
            await storage.history.append(Append("s", [HELLO]))


async def test_a_cluster_is_refused() -> None:
    with RedisServer(cluster_enabled="yes") as server, pytest.raises(Unsupported, match="Redis Cluster"):
        async with open_storage(server.url):
            pass


@pytest.mark.parametrize(
    ("options", "risk"),
    [
        ({"appendonly": "no"}, "no append-only file"),
        ({"appendfsync": "everysec"}, "appendfsync always"),
        ({"maxmemory_policy": "allkeys-lru"}, "evicts keys"),
    ],
)
async def test_a_server_that_may_forget_is_warned_of(
    options: dict[str, str], risk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with RedisServer(**options) as server:
        async with open_storage(server.url):
            pass
    printed = capsys.readouterr()
    assert risk in printed.out + printed.err


async def test_a_durable_server_is_not_warned_of(server: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_storage(server.url):
        pass
    printed = capsys.readouterr()
    assert "store_may_lose" not in printed.out + printed.err


async def test_a_caller_that_gives_up_does_not_disturb_the_others(storage: RedisStorage) -> None:
    await storage.history.append(Append("s", [HELLO]))

    async def impatient() -> None:
        async with asyncio.timeout(0):
            await storage.store.get("s")

    calls = [impatient() if place % 2 else storage.store.get("s") for place in range(200)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome).__name__ for outcome in outcomes[1::2]} == {"TimeoutError"}
    assert {outcome.name for outcome in outcomes[::2]} == {"s"}  # type: ignore[union-attr]  # The sessions.
