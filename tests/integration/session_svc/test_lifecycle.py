"""Starting, stopping, and living without Redis."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from integration.session_svc.failures import Failure, fails, read
from redis import Redis
from support import chat_ai
from support.processes import session_svc
from support.redis_server import RedisServer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def stub_of(channel: grpc.Channel) -> SessionServiceStub:
    return SessionServiceStub(channel)


def say(
    stub: SessionServiceStub, session: str, content: str = "hello", request_id: str = ""
) -> api.AppendMessagesResponse:
    messages = [pb.Message(role=pb.ROLE_USER, content=content)]
    request = api.AppendMessagesRequest(session=session, messages=messages, request_id=request_id)
    return stub.AppendMessages(request, timeout=60)


def health(channel: grpc.Channel, service: str = "") -> int:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return check(health_pb2.HealthCheckRequest(service=service), timeout=60).status


def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "session_svc", *arguments]
    inherited = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        command, env={**inherited, **environment}, capture_output=True, text=True, timeout=100, check=False
    )


def test_open_streams_are_told_to_reconnect_and_new_calls_to_go_elsewhere() -> None:
    with session_svc(DRAIN_SECONDS="2") as service, grpc.insecure_channel(service.address) as channel:
        stub = stub_of(channel)
        watches = [stub.WatchSession(api.WatchSessionRequest(session=f"s{number}")) for number in range(20)]
        changes = stub.WatchSessions(api.WatchSessionsRequest())
        streams: list[Iterator[object]] = [*watches, changes]
        for stream in streams:
            next(stream)
        service.terminate(wait=False)
        until(lambda: "draining" in service.log, "draining")
        with fails() as refused:
            say(stub, "s")
        assert (refused.status, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert refused.retry_after is not None
        assert health(channel) == NOT_SERVING
        assert health(channel, "live") == SERVING
        retries = set()
        for stream in streams:
            with pytest.raises(grpc.RpcError) as caught:
                list(stream)
            failure = read(caught.value, Failure())
            assert (failure.status, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
            retries.add(failure.retry_after)
        assert len(retries) > 10
        assert service.process.wait(60) == 0


def test_with_nothing_open_it_stops_at_once() -> None:
    with session_svc(DRAIN_SECONDS="600") as service:
        service.terminate()
        assert service.process.returncode == 0


def test_the_second_signal_ends_it_without_waiting() -> None:
    with session_svc(DRAIN_SECONDS="600") as service, grpc.insecure_channel(service.address) as channel:
        watches = [stub_of(channel).WatchSession(api.WatchSessionRequest(session="s")) for _ in range(5)]
        for watch in watches:
            next(watch)
        service.terminate(wait=False)
        until(lambda: "draining" in service.log, "draining")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 128 + signal.SIGTERM


def test_calls_under_way_end_well_while_it_stops() -> None:
    with (
        RedisServer() as redis,
        session_svc(redis.url, DRAIN_SECONDS="1") as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        stub = stub_of(channel)
        acknowledged: list[str] = []
        refusals: set[grpc.StatusCode] = set()

        def write() -> None:
            while not refusals:
                try:
                    acknowledged.append(say(stub, "s").messages[0].id)
                except grpc.RpcError as error:
                    refusals.add(error.code())

        writers = [threading.Thread(target=write) for _ in range(4)]
        for writer in writers:
            writer.start()
        until(lambda: len(acknowledged) > 20, "writes")
        service.terminate()
        for writer in writers:
            writer.join(60)
        assert refusals == {grpc.StatusCode.UNAVAILABLE}
        service.start()
        page = stub.ListMessages(api.ListMessagesRequest(session="s", page_size=1000), wait_for_ready=True, timeout=60)
        assert set(acknowledged) <= {message.id for message in page.messages}


def test_a_taken_port_is_one_clear_line_and_status_1() -> None:
    with session_svc() as service:
        second = run(REDIS_ENABLED="false", SESSION_SVC_LISTEN=service.address)
    assert second.returncode == 1
    assert "SESSION_SVC_LISTEN" in second.stderr.strip().splitlines()[-1]
    assert "Traceback" not in second.stderr


def test_bad_settings_are_reported_together_with_status_2() -> None:
    bad = run(SESSION_SVC_LISTEN="nowhere", REDIS_TTL="soon", LOG_LEVEL="loud", DRAIN_SECONDS="-1")
    assert bad.returncode == 2
    for name in ("SESSION_SVC_LISTEN", "REDIS_TTL", "LOG_LEVEL", "DRAIN_SECONDS"):
        assert name in bad.stderr
    refused = run(REDIS_ENABLED="false", SESSION_SVC_LISTEN="0.0.0.0:0")
    assert refused.returncode == 2
    assert "ALLOW_ANONYMOUS" in refused.stderr


def test_the_health_command_says_whether_it_is_ready() -> None:
    with session_svc() as service:
        assert run("health", SESSION_SVC_LISTEN=service.address).returncode == 0
        address = service.address
    gone = run("health", SESSION_SVC_LISTEN=address)
    assert gone.returncode == 1
    assert len(gone.stderr.strip().splitlines()) == 1


def test_reflection_describes_the_service() -> None:
    with session_svc() as service, grpc.insecure_channel(service.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "aichat.session.v1.SessionService" in list(database.get_services())
        assert "grpc.health.v1.Health" in list(database.get_services())


def test_metrics_count_calls_by_method_and_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    metrics = f"127.0.0.1:{port}"
    with session_svc(METRICS_LISTEN=metrics) as service, grpc.insecure_channel(service.address) as channel:
        stub = stub_of(channel)
        say(stub, "s")
        with fails():
            stub.GetSession(api.GetSessionRequest(name="none"))
        watch = stub.WatchSession(api.WatchSessionRequest(session="s"))
        next(watch)
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        watch.cancel()
    assert 'session_svc_calls_total{method="AppendMessages",status="OK"} 1.0' in text
    assert 'session_svc_calls_total{method="GetSession",status="NOT_FOUND"} 1.0' in text
    assert 'session_svc_open_calls{method="WatchSession"} 1.0' in text
    assert 'session_svc_call_seconds_count{method="AppendMessages"} 1.0' in text


def test_metrics_tell_how_long_the_store_takes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        metrics = f"127.0.0.1:{free.getsockname()[1]}"
    with (
        RedisServer() as redis,
        session_svc(redis.url, METRICS_LISTEN=metrics) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        say(stub_of(channel), "s")
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=60) as answer:
            text = answer.read().decode()
    assert 'session_svc_store_seconds_count{step="append"} 1.0' in text


def test_logs_carry_the_request_id_and_never_a_message() -> None:
    with session_svc(LOG_LEVEL="debug") as service, grpc.insecure_channel(service.address) as channel:
        stub = stub_of(channel)
        messages = [pb.Message(role=pb.ROLE_USER, content="SECRET", attributes='{"k":"SECRET"}')]
        request = api.AppendMessagesRequest(session="s", messages=messages)
        stub.AppendMessages(request, metadata=(("x-request-id", "id-1"),))
        with fails():
            stub.GetSession(api.GetSessionRequest(name="none"), metadata=(("x-request-id", "id-2"),))
        until(lambda: "id-2" in service.log, "the second call in the log")
        lines = {event.get("request_id"): event for event in service.events}
        assert (lines["id-1"]["method"], lines["id-1"]["status"]) == ("AppendMessages", "OK")
        assert "SECRET" not in service.log


def test_without_redis_at_start_it_waits_and_serves_once_redis_is_there() -> None:
    with RedisServer() as redis:
        redis.stop()
        with session_svc(redis.url, until="listening") as service, grpc.insecure_channel(service.address) as channel:
            assert health(channel) == NOT_SERVING
            assert health(channel, "live") == SERVING
            with fails() as failure:
                say(stub_of(channel), "s")
            assert (failure.status, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            assert failure.retry_after
            redis.start()
            service.wait_ready()
            assert say(stub_of(channel), "s").position.endswith(".1")


def write_once(stub: SessionServiceStub) -> None:
    """Writes across an outage: repeats it with its request id until it is acknowledged."""

    def acknowledged() -> bool:
        try:
            say(stub, "s", "across", request_id="r1")
        except grpc.RpcError as error:
            if read(error, Failure()).reason != "STORE_UNAVAILABLE":
                raise
            return False
        return True

    until(acknowledged, "the write is acknowledged")


def test_redis_killed_in_the_middle_loses_nothing_and_watchers_go_on() -> None:
    with RedisServer() as redis, session_svc(redis.url) as service, grpc.insecure_channel(service.address) as channel:
        stub = stub_of(channel)
        watch = stub.WatchSession(api.WatchSessionRequest(session="s", after_position=""), timeout=60)
        assert next(watch).WhichOneof("event") == "caught_up"
        acknowledged = [say(stub, "s", f"before {number}").messages[0].id for number in range(50)]
        redis.kill()
        until(lambda: health(channel) == NOT_SERVING, "not ready")
        with fails() as failure:
            say(stub, "s")
        assert failure.reason == "STORE_UNAVAILABLE"
        redis.start()
        service.wait_ready()
        write_once(stub)
        write_once(stub)
        stored = stub.ListMessages(api.ListMessagesRequest(session="s", page_size=1000)).messages
        assert [message.id for message in stored[:50]] == acknowledged
        assert sum(message.content == "across" for message in stored) == 1
        seen: list[str] = []
        while len(seen) < len(stored):
            seen += [message.id for message in next(watch).messages.messages]
        assert seen == [message.id for message in stored]
        watch.cancel()


def test_redis_back_with_an_empty_memory_ends_what_is_gone_and_serves_what_is_new() -> None:
    with RedisServer() as redis, session_svc(redis.url) as service, grpc.insecure_channel(service.address) as channel:
        stub = stub_of(channel)
        say(stub, "s")
        watch = stub.WatchSession(api.WatchSessionRequest(session="s", after_position=""), timeout=60)
        changes = stub.WatchSessions(api.WatchSessionsRequest(), timeout=60)
        assert next(changes).WhichOneof("event") == "reset"
        assert [next(watch).WhichOneof("event") for _ in range(2)] == ["messages", "caught_up"]
        redis.kill()
        redis.forget()
        redis.start()
        assert (
            next(event for event in watch if event.WhichOneof("event") != "heartbeat").WhichOneof("event") == "deleted"
        )
        assert next(changes).WhichOneof("event") == "reset"
        service.wait_ready()
        position = say(stub, "s", "new").position
        assert position.endswith(".1")
        assert MessageToDict(stub.ListSessions(api.ListSessionsRequest()))["sessions"][0]["name"] == "s"


def test_a_silent_redis_makes_calls_fail_in_time() -> None:
    with RedisServer() as redis, session_svc(redis.url) as service, grpc.insecure_channel(service.address) as channel:
        stub = stub_of(channel)
        say(stub, "s")
        redis.freeze()
        try:
            with fails() as failure:
                say(stub, "s")
            assert failure.reason == "STORE_UNAVAILABLE"
            until(lambda: health(channel) == NOT_SERVING, "not ready")
        finally:
            redis.thaw()
        service.wait_ready()
        assert say(stub, "s").position


def test_sessions_of_another_program_are_listed_before_it_says_that_it_is_ready() -> None:
    with RedisServer(appendfsync="no") as redis:
        with Redis(port=redis.port, decode_responses=True) as raw:
            for number in range(300):
                chat_ai.say(raw, f"chat {number}", "user", "hello")
        with session_svc(redis.url) as service, grpc.insecure_channel(service.address) as channel:
            page = stub_of(channel).ListSessions(api.ListSessionsRequest(page_size=1000))
    assert {session.name for session in page.sessions} == {f"chat {number}" for number in range(300)}


def test_a_session_that_another_program_writes_is_watched_and_told_once() -> None:
    with RedisServer() as redis, session_svc(redis.url) as service, grpc.insecure_channel(service.address) as channel:
        watch = stub_of(channel).WatchSession(
            api.WatchSessionRequest(session="odd name", after_position=""), timeout=60
        )
        assert next(watch).WhichOneof("event") == "caught_up"
        with Redis(port=redis.port, decode_responses=True) as raw:
            raw.publish("ai-chat:stream:odd name", '{"type":"user","payload":{"content":"hi"},"timestamp":1}')
            chat_ai.say(raw, "odd name", "user", "hi")  # It announces before it stores.
            first = next(watch)
            raw.publish("ai-chat:stream:odd name", '{"type":"complete","payload":{},"timestamp":2}')
            chat_ai.say(raw, "odd name", "assistant", "hello")
            second = next(watch)
        watch.cancel()
    said = [(message.sequence, message.content) for event in (first, second) for message in event.messages.messages]
    assert said == [(1, "hi"), (2, "hello")]
