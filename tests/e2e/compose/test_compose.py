"""docker-compose.yml, for real: used, killed, taken down and brought up again."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ai_chat_client import ROLE_USER, Client, Message
from support.compose import Stack, engine_problem
from support.needs import missing
from support.product import environment
from support.until import until
from support.writer import Writer, contents

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

SERVICES = ("redis", "session-svc", "stream-gateway")
RESTORE = ("run", "--rm", "--no-deps", "-T", "redis", "restore")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if problem := engine_problem():
        missing(problem)
    with Stack(DRAIN_SECONDS="2") as running:
        yield running


def _cli(home: Path, stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("ai-chat"), "--server", stack.server, *arguments],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout


def _redis(stack: Stack, user: str, *command: str) -> str:
    client = ["redis-cli", "--no-auth-warning", "--user", user, "--pass", "none"]
    return stack.compose("exec", "-T", "redis", *client, *command, check=False).stdout


def test_terminal_browser_and_program_see_what_each_of_them_writes(stack: Stack, tmp_path: Path) -> None:
    everything = ["from the terminal", "from the browser", "from a program"]
    messages = f"{stack.page}api/sessions/my-project/messages"
    _cli(tmp_path, stack, "send", "my-project", everything[0])
    body = {"messages": [{"role": "user", "content": everything[1]}]}
    httpx.post(messages, json=body, headers={"Origin": stack.page.rstrip("/")}).raise_for_status()
    with Client(stack.server) as client:
        client.append_messages("my-project", [Message(role=ROLE_USER, content=everything[2])])

    shown = _cli(tmp_path, stack, "show", "my-project", "--json").splitlines()
    assert [json.loads(line)["content"] for line in shown] == everything
    assert [message["content"] for message in httpx.get(messages).json()] == everything
    assert contents(stack.server, "my-project") == everything


def test_a_browser_hears_of_a_message_while_it_is_written(stack: Stack) -> None:
    with (
        Client(stack.server) as client,
        httpx.stream("GET", f"{stack.page}api/stream", params={"session": "live"}, timeout=30) as stream,
    ):
        lines = stream.iter_lines()
        next(lines)  # The gateway speaks first, once it is subscribed.
        client.append_messages("live", [Message(role=ROLE_USER, content="as it happens")])
        assert any("as it happens" in line for line in lines)


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_container_comes_back_and_nothing_acknowledged_is_lost(stack: Stack, service: str) -> None:
    session = f"killed-{service}"
    with Writer(stack.server, session) as writer:
        stack.kill(service)
        stack.wait_healthy()
        writer.wait_for_progress()
    assert contents(stack.server, session) == writer.acknowledged
    shown = httpx.get(f"{stack.page}api/sessions/{session}/messages", params={"limit": 1}).json()
    assert [message["content"] for message in shown] == writer.acknowledged[-1:]


def test_down_and_up_keep_the_data(stack: Stack, tmp_path: Path) -> None:
    _cli(tmp_path, stack, "send", "kept", "still here")
    stack.down()
    stack.up()
    assert contents(stack.server, "kept") == ["still here"]


@pytest.mark.parametrize("service", ["session-svc", "stream-gateway"])
def test_a_service_that_is_stopped_leaves_in_order_before_its_grace_is_over(stack: Stack, service: str) -> None:
    try:
        stack.compose("stop", service)
        assert stack.inspect(service)["State"]["ExitCode"] == 0
    finally:
        stack.up()


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_confined(stack: Stack, service: str) -> None:
    assert stack.compose("exec", "-T", service, "id", "-u").stdout.strip() != "0"
    assert "Read-only file system" in stack.compose("exec", "-T", service, "touch", "/file", check=False).stderr
    host = stack.inspect(service)["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"


def test_an_assistant_answers_confined_and_unpublished_until_there_shall_be_none(stack: Stack) -> None:
    stack.compose("up", "--build", "--detach", "--wait", "assistant", ASSISTANT_REPLICAS="1")
    try:
        with Client(stack.server) as client:
            client.append_messages("asked", [Message(role=ROLE_USER, content="Anybody there?")])
        until(lambda: len(contents(stack.server, "asked")) == 2, what="an answer")
        assert contents(stack.server, "asked")[1].startswith("You said: Anybody there?")
        test_a_container_is_confined(stack, "assistant")
        assert not stack.inspect("assistant")["NetworkSettings"]["Ports"]
        stack.compose("stop", "assistant")
        assert stack.inspect("assistant")["State"]["ExitCode"] == 0
    finally:
        stack.up()
    assert not stack.compose("ps", "--all", "--quiet", "assistant").stdout.strip()


def test_only_the_two_services_are_published_and_only_on_this_machine(stack: Stack) -> None:
    published = {
        service: [binding["HostIp"] for bindings in ports.values() for binding in bindings or []]
        for service in SERVICES
        if (ports := stack.inspect(service)["NetworkSettings"]["Ports"]) is not None
    }
    assert published == {"redis": [], "session-svc": ["127.0.0.1"], "stream-gateway": ["127.0.0.1"]}


def test_redis_loses_nothing_and_evicts_nothing(stack: Stack) -> None:
    settings = {
        name: _redis(stack, "session-svc", "config", "get", name).split()[1]
        for name in ("appendonly", "appendfsync", "maxmemory-policy")
    }
    assert settings == {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("gateway", ["get", "key"]),
        ("gateway", ["publish", "ai-chat:sessions", "{}"]),
        ("session-svc", ["get", "key"]),
        ("operator", ["get", "session:a:messages"]),
    ],
)
def test_a_redis_user_may_do_only_its_own(stack: Stack, user: str, command: list[str]) -> None:
    assert "NOPERM" in _redis(stack, user, *command)


def test_redis_serves_nobody_without_a_name(stack: Stack) -> None:
    assert "NOAUTH" in stack.compose("exec", "-T", "redis", "redis-cli", "get", "key", check=False).stdout


def test_only_the_two_services_reach_redis(stack: Stack) -> None:
    networks = {
        service: {
            name.removeprefix(f"{stack.project}_") for name in stack.inspect(service)["NetworkSettings"]["Networks"]
        }
        for service in SERVICES
    }
    both = {"default", "store"}
    assert networks == {"redis": {"store"}, "session-svc": both, "stream-gateway": both}


def test_a_backup_taken_under_load_is_restored_into_an_empty_deployment(stack: Stack) -> None:
    odd = "a\u0000b \U0001f600 \r\n\u2028 end"
    with Client(stack.server) as client:
        client.append_messages("odd", [Message(role=ROLE_USER, content=odd, attributes='{"a": 1.0e2}')])
        before = client.get_snapshot("odd", tail=10)
        with Writer(stack.server, "during") as writer:
            acknowledged = len(writer.acknowledged)
            backup = stack.pipe("exec", "-T", "redis", "backup")
    assert b"there is data already" in stack.pipe("exec", "-T", "redis", "restore", feed=backup, check=False)

    stack.compose("down", "--volumes")
    assert b"no whole snapshot" in stack.pipe(*RESTORE, feed=backup[: len(backup) // 2], check=False)
    stack.pipe(*RESTORE, feed=backup)
    stack.up()
    with Client(stack.server) as client:
        assert client.get_snapshot("odd", tail=10) == before
        assert contents(stack.server, "during")[:acknowledged] == writer.acknowledged[:acknowledged]
        assert {session.name for session in client.sessions()} >= {"odd", "during"}


@pytest.mark.parametrize("service", ["session-svc", "stream-gateway"])
def test_beyond_this_machine_nobody_is_served_without_saying_so(stack: Stack, service: str) -> None:
    refused = stack.compose("run", "--rm", "--no-deps", service, check=False, BIND_ADDRESS="0.0.0.0")  # noqa: S104 - The case.
    assert refused.returncode == 2
    assert "ALLOW_ANONYMOUS" in refused.stdout + refused.stderr
