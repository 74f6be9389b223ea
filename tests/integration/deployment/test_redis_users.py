"""deploy/redis/users.acl, on a real server: who may do what, and that the services need no more."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from ai_chat_client import ROLE_USER, Client, Message
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.retry import Retry
from support import chat_ai
from support.answering import Answering
from support.processes import Service, gateway, session_svc
from support.product import ROOT
from support.redis_server import RedisServer
from support.until import until
from support.web_viewer import WebViewer
from support.writer import Writer, contents

USERS = ROOT / "deploy" / "redis" / "users.acl"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(aclfile=str(USERS)) as running:
        yield running


@pytest.fixture(scope="module")
def svc(server: RedisServer) -> Iterator[Service]:
    with session_svc(as_user(server, "session-svc"), REDIS_TTL="3600") as running:
        yield running


@pytest.fixture(scope="module")
def web(server: RedisServer, svc: Service) -> Iterator[Service]:
    with gateway(svc.address, as_user(server, "gateway")) as running:
        yield running


def as_user(server: RedisServer, user: str) -> str:
    """The server's URL for `user`; none has a password, so any will do."""
    return server.url.replace("redis://", f"redis://{user}:none@")


@contextlib.contextmanager
def connected(server: RedisServer, user: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(as_user(server, user), decode_responses=True, protocol=2) as client:
        yield client


def refusals(server: RedisServer, user: str) -> list[str]:
    """What the server has refused `user` since the last reset, as `ACL LOG` tells it."""
    with connected(server, "operator") as operator:
        return [f"{entry['reason']}: {entry['object']}" for entry in operator.acl_log() if entry["username"] == user]


def test_nobody_gets_in_without_a_name(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client, pytest.raises(AuthenticationError):
        client.ping()


@pytest.mark.parametrize("password", ["", "none"])
def test_nobody_is_the_default_user(server: RedisServer, password: str) -> None:
    client = redis.Redis.from_url(server.url, username="default", password=password)
    with client, pytest.raises(AuthenticationError):
        client.ping()


def test_the_default_user_keeps_the_rights_with_which_redis_reads_its_file() -> None:
    # Redis 8 would skip every transaction of its append-only file; Valkey would not, so a restart here proves nothing.
    assert USERS.read_text(encoding="utf-8").startswith("user default off resetpass ~* &* +@all\n")


@pytest.mark.parametrize(
    "command",
    [
        "RPUSH session:a:messages x",
        "HSET session:a:metadata title x",
        "ZADD sessions:activity 1 a",
        "PUBLISH ai-chat:sessions x",
        "PUBLISH ai-chat:stream:a x",
        "DEL session:a:messages session:a:metadata",
        "ZREM sessions:activity a",
    ],
)
def test_session_svc_may_touch_its_own(server: RedisServer, command: str) -> None:
    with connected(server, "session-svc") as client:
        client.execute_command(*command.split())  # type: ignore[no-untyped-call]  # redis-py leaves it so.


@pytest.mark.parametrize(
    "command",
    [
        "GET other",
        "SET other x",
        "EVAL return(1) 0",
        "PUBLISH other x",
        "SUBSCRIBE other",
        "PSUBSCRIBE *",
        "CONFIG SET appendfsync no",
        "ACL LIST",
        "ACL SETUSER session-svc allkeys",
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "SHUTDOWN NOSAVE",
        "REPLICAOF 127.0.0.1 1",
        "MONITOR",
        "CLIENT LIST",
        "FUNCTION LIST",
        "MODULE LIST",
    ],
)
def test_session_svc_may_touch_nothing_else(server: RedisServer, command: str) -> None:
    _refused(server, "session-svc", command)


def test_a_script_of_session_svc_reaches_no_foreign_key(server: RedisServer) -> None:
    with connected(server, "session-svc") as client:
        sha = client.script_load("return redis.call('SET', 'other', 'x')")
        with pytest.raises(redis.ResponseError, match="permission"):
            client.evalsha(sha, 0)


@pytest.mark.parametrize(
    "command",
    ["PING", "SELECT 1", "CLIENT SETINFO LIB-NAME x", "SUBSCRIBE ai-chat:sessions ai-chat:stream:a", "UNSUBSCRIBE"],
)
def test_the_gateway_may_follow_channels(server: RedisServer, command: str) -> None:
    make: Any = redis.Connection  # redis-py has not annotated it.
    connection = make(port=server.port, username="gateway", password="none", protocol=2)
    try:
        connection.send_command(*command.split())
        connection.read_response()
    finally:
        connection.disconnect()


@pytest.mark.parametrize(
    "command",
    [
        "GET session:a:messages",
        "LRANGE session:a:messages 0 -1",
        "EXISTS session:a:messages",
        "SCAN 0",
        "KEYS *",
        "SET session:a:x x",
        "DEL session:a:messages",
        "PUBLISH ai-chat:stream:a x",
        "PUBLISH ai-chat:sessions x",
        "SUBSCRIBE other",
        "SUBSCRIBE ai-chat:other",
        "PSUBSCRIBE ai-chat:*",
        "EVAL return(1) 0",
        "SCRIPT LOAD return(1)",
        "INFO",
        "CONFIG GET *",
        "ACL WHOAMI",
        "CLIENT LIST",
        "FLUSHALL",
        "BGSAVE",
    ],
)
def test_the_gateway_may_do_nothing_else(server: RedisServer, command: str) -> None:
    _refused(server, "gateway", command)


@pytest.mark.parametrize("command", ["GET session:a:messages", "SCAN 0", "PUBLISH ai-chat:sessions x", "FLUSHALL"])
def test_the_operator_sees_how_the_server_is_and_no_data(server: RedisServer, command: str) -> None:
    with connected(server, "operator") as client:
        assert client.ping()
        assert client.info("persistence")["aof_enabled"]
    _refused(server, "operator", command)


async def test_all_that_the_services_do_they_may(server: RedisServer, svc: Service, web: Service) -> None:
    with connected(server, "operator") as operator:
        operator.acl_log_reset()
    with Client(svc.address) as client:
        async with WebViewer(web.address, "whole", after="") as viewer:
            client.create_session("whole", title="A title")
            client.append_messages("whole", [Message(role=ROLE_USER, content="a question")], request_id="once")
            client.append_messages("whole", [Message(role=ROLE_USER, content="a question")], request_id="once")
            with Answering(svc.address, "whole") as answering:
                answering.write("an answer")
            await viewer.until(lambda: "complete" in viewer.types, "the answer")
        client.truncate_session("whole", remove_last=1)
        assert contents(svc.address, "whole") == ["a question"]
        assert [session.name for session in client.sessions(query="whole")] == ["whole"]
        client.clear_session("whole")
        client.delete_session("whole")
    assert refusals(server, "session-svc") == []
    assert refusals(server, "gateway") == []


def test_an_expired_session_is_dropped(server: RedisServer, svc: Service) -> None:
    with Client(svc.address) as client:
        client.create_session("short", ttl=timedelta(seconds=1))
        until(lambda: "short" not in [session.name for session in client.sessions()], what="the end of the session")
    assert refusals(server, "session-svc") == []


def test_sessions_of_chat_ai_are_found_and_its_writes_shown(tmp_path: Path) -> None:
    documented = re.search(r"^user chat-ai .*$", (USERS.parent / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert documented
    users = tmp_path / "users.acl"
    users.write_text(f"{USERS.read_text(encoding='utf-8')}{documented[0]}\n", encoding="utf-8")
    with RedisServer(aclfile=str(users)) as server:
        mine = server.url.replace("redis://", "redis://chat-ai:change-me@")
        with redis.Redis.from_url(mine, decode_responses=True) as client:
            chat_ai.replay(client)
            with session_svc(as_user(server, "session-svc")) as svc:
                with Client(svc.address) as reader:
                    assert {session.name for session in reader.sessions()} == set(chat_ai.SESSIONS)
                chat_ai.say(client, "my-project", "user", "one more")
                assert contents(svc.address, "my-project")[-1] == "one more"
            for forbidden in (["GET", "other"], ["FLUSHALL"], ["CONFIG", "GET", "*"]):
                with pytest.raises(NoPermissionError):
                    client.execute_command(*forbidden)
        assert refusals(server, "session-svc") == []


def test_redis_may_be_killed_under_its_users(server: RedisServer, svc: Service) -> None:
    with Writer(svc.address, "killed") as writer:
        server.kill()
        server.start()
        svc.wait_ready()
        writer.wait_for_progress()
    assert contents(svc.address, "killed") == writer.acknowledged


def test_with_passwords_nobody_is_another_without_knowing_its_own(tmp_path: Path) -> None:
    subprocess.run([ROOT / "deploy" / "redis" / "passwords", tmp_path], check=True)
    with RedisServer(aclfile=str(tmp_path / "users.acl")) as server:
        passwords = {user: (tmp_path / f"{user}-password").read_text() for user in ("session-svc", "gateway")}
        for user, password in passwords.items():
            with redis.Redis(port=server.port, username=user, password=password) as client:
                assert client.ping()
            for wrong in {"", "none", *passwords.values()} - {password}:
                once = Retry(NoBackoff(), 0)
                client = redis.Redis(port=server.port, username=user, password=wrong, retry=once)
                with client, pytest.raises(AuthenticationError):
                    client.ping()
        with session_svc(
            REDIS_ENABLED="true",
            REDIS_HOST="127.0.0.1",
            REDIS_PORT=str(server.port),
            REDIS_USERNAME="session-svc",
            REDIS_PASSWORD_FILE=str(tmp_path / "session-svc-password"),
        ) as svc:
            assert svc.is_ready()


def _refused(server: RedisServer, user: str, command: str) -> None:
    with (
        connected(server, user) as client,
        pytest.raises((NoPermissionError, redis.ResponseError), match=r"NOPERM|permission"),
    ):
        client.execute_command(*command.split())  # type: ignore[no-untyped-call]  # redis-py leaves it so.
