"""What the tests start services with: ready when they say so, loud when they fail, gone at the end."""

import psutil
import pytest
import redis
from support.child import ChildFailedError
from support.processes import gateway, session_svc
from support.redis_server import RedisServer
from support.until import until
from support.writer import Writer, contents


def test_both_services_run_on_one_redis_and_are_gone_afterwards() -> None:
    with RedisServer() as server, session_svc(server.url) as svc, gateway(svc.address, server.url) as web:
        pids = [server.pid, svc.process.pid, web.process.pid]
        assert svc.is_ready()
        assert web.is_ready()
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_a_killed_service_comes_back_on_its_address() -> None:
    with RedisServer() as server, session_svc(server.url) as svc, Writer(svc.address, "killed") as writer:
        address = svc.address
        svc.kill()
        svc.start()
        assert svc.address == address
        writer.wait_for_progress()
        server.kill()
        server.start()
        writer.wait_for_progress()
        svc.terminate()
        assert svc.process.returncode == 0
        svc.start()
        writer.wait_for_progress()
        known = list(writer.acknowledged)
        assert contents(svc.address, "killed")[: len(known)] == known


def test_a_service_that_refuses_its_settings_fails_with_its_log() -> None:
    refused = pytest.raises(ChildFailedError, match=r"ended with status 2[\s\S]*DRAIN_SECONDS")
    with refused, session_svc(DRAIN_SECONDS="x"):
        pass


async def test_a_service_whose_redis_is_silent_listens_and_is_ready_once_it_answers() -> None:
    with RedisServer() as server:
        server.freeze()
        async with session_svc(server.url, until="listening") as svc:
            assert not svc.is_ready()
            server.thaw()
            until(svc.is_ready)


def test_a_body_that_fails_shows_the_logs_of_what_it_used() -> None:
    with pytest.raises(ValueError, match="the test's own") as raised, RedisServer(), session_svc():
        raise ValueError("the test's own")
    notes = "\n".join(raised.value.__notes__)
    assert "--- session_svc:" in notes
    assert "listening" in notes
    assert "--- Redis:" in notes


def test_a_redis_that_has_forgotten_everything_is_empty() -> None:
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.stop()
        server.forget()
        server.start()
        assert client.dbsize() == 0


def test_a_redis_can_have_other_settings() -> None:
    with RedisServer(appendonly="no", maxmemory_policy="allkeys-lru") as server:
        client = redis.Redis.from_url(server.url)
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        client.close()


def test_what_the_writer_remembers_is_what_the_session_holds() -> None:
    with session_svc() as svc:
        with Writer(svc.address, "written") as writer:
            writer.wait_for_progress()
        assert contents(svc.address, "written") == writer.acknowledged
