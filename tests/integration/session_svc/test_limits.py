"""One caller cannot use up what others need: rates, streams, connections, and senders who do not behave."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import psutil
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from grpc_health.v1 import health_pb2
from integration.session_svc.failures import Failure, fails, read
from integration.session_svc.raw import DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, Raw, call_headers, frame
from session_svc.transport import guard
from support.processes import session_svc
from support.tokens import TokensFile, bearer
from support.until import until

MIB = 1024**2
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def say(session: str, size: int = 5) -> api.AppendMessagesRequest:
    return api.AppendMessagesRequest(session=session, messages=[pb.Message(role=pb.ROLE_USER, content="x" * size)])


def until_refused(stub: SessionServiceStub, request: api.AppendMessagesRequest, token: str) -> tuple[int, Failure]:
    """Calls until a call is refused; how many were not, and what the refusal says."""
    for number in range(5000):
        try:
            stub.AppendMessages(request, metadata=bearer(token), timeout=60)
        except grpc.RpcError as error:
            return number, read(error, Failure())
    raise AssertionError("never refused")


def refused_beside(raw: Raw, stub: SessionServiceStub) -> Failure:
    """Begins calls on `raw` that do not go on until one of `stub` is refused; what that refusal says."""
    for number in range(1000):
        raw.call("AppendMessages", None, 2 * number + 1)
        try:
            stub.AppendMessages(say("s"), timeout=60)
        except grpc.RpcError as error:
            return read(error, Failure())
    raise AssertionError("never refused")


def is_served(stub: SessionServiceStub, request: api.AppendMessagesRequest) -> bool:
    try:
        stub.AppendMessages(request, timeout=60)
    except grpc.RpcError:
        return False
    return True


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SessionServiceStub, TokensFile]]:
    """A service with low limits for each token: 5 calls and 100 kB a second, 3 streams."""
    tokens = TokensFile(tmp_path_factory.mktemp("limits") / "tokens.json")
    for name in ("greedy", "heavy", "watcher", "modest"):
        setattr(tokens, name, tokens.add(name))
    with (
        session_svc(
            AUTH_TOKENS_FILE=str(tokens.path),
            LIMIT_TOKEN_REQUESTS="5",
            LIMIT_TOKEN_BYTES="100000",
            LIMIT_TOKEN_STREAMS="3",
        ) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        yield SessionServiceStub(channel), tokens


def token_of(tokens: TokensFile, name: str) -> str:
    return str(getattr(tokens, name))


def test_too_many_calls_under_one_token_are_refused_with_a_time_to_wait_and_others_are_served(
    limited: tuple[SessionServiceStub, TokensFile],
) -> None:
    stub, tokens = limited
    allowed, failure = until_refused(stub, say("greedy"), token_of(tokens, "greedy"))
    assert allowed >= 50, "a burst is allowed"
    assert (failure.status, failure.reason) == (EXHAUSTED, "RATE_LIMITED")
    assert failure.retry_after is not None
    assert "try again" in failure.text
    stub.AppendMessages(say("modest"), metadata=bearer(token_of(tokens, "modest")), timeout=60)
    time.sleep(failure.retry_after)  # What it was told to do.
    stub.AppendMessages(say("greedy"), metadata=bearer(token_of(tokens, "greedy")), timeout=60)


def test_too_many_bytes_under_one_token_are_refused_in_calls_and_in_replies(
    limited: tuple[SessionServiceStub, TokensFile],
) -> None:
    stub, tokens = limited
    heavy = token_of(tokens, "heavy")
    allowed, failure = until_refused(stub, say("heavy", 200_000), heavy)
    assert allowed >= 4
    assert (failure.status, failure.reason) == (EXHAUSTED, "RATE_LIMITED")
    assert "bytes" in failure.text

    def reply() -> Iterator[api.StreamReplyRequest]:
        yield api.StreamReplyRequest(start=api.ReplyStart(session="heavy", reply_id="r"))
        for _ in range(100):
            yield api.StreamReplyRequest(delta=api.ReplyDelta(text="x" * 200_000))

    with fails() as refused:
        list(stub.StreamReply(reply(), metadata=bearer(heavy), timeout=60))
    assert refused.reason == "RATE_LIMITED"
    assert "bytes" in refused.text
    stub.AppendMessages(say("modest", 200_000), metadata=bearer(token_of(tokens, "modest")), timeout=60)


def test_too_many_streams_under_one_token_are_refused_until_one_is_closed(
    limited: tuple[SessionServiceStub, TokensFile],
) -> None:
    stub, tokens = limited
    sent = bearer(token_of(tokens, "watcher"))
    request = api.WatchSessionRequest(session="s")
    with ExitStack() as stack:
        watches = [stub.WatchSession(request, metadata=sent, timeout=60) for _ in range(3)]
        for watch in watches:
            stack.callback(watch.cancel)
            next(watch)
        with fails() as failure:
            next(stub.WatchSessions(api.WatchSessionsRequest(), metadata=sent, timeout=60))
        assert (failure.status, failure.reason) == (EXHAUSTED, "TOO_MANY_STREAMS")
        assert failure.retry_after
        watches[0].cancel()

        def opens() -> bool:
            again = stub.WatchSession(request, metadata=sent, timeout=60)
            stack.callback(again.cancel)
            try:
                next(again)
            except grpc.RpcError:
                return False
            return True

        until(opens, what="there is room for another stream")


def test_without_tokens_an_address_is_limited() -> None:
    with (
        session_svc(LIMIT_ADDRESS_REQUESTS="5", LIMIT_ADDRESS_STREAMS="1") as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        stub = SessionServiceStub(channel)
        watch = stub.WatchSession(api.WatchSessionRequest(session="s"), timeout=60)
        next(watch)
        with fails() as failure:
            next(stub.WatchSession(api.WatchSessionRequest(session="s"), timeout=60))
        assert failure.reason == "TOO_MANY_STREAMS"
        watch.cancel()
        allowed, failure = until_refused(stub, say("s"), "none")
        assert allowed >= 40
        assert failure.reason == "RATE_LIMITED"
        assert service.is_ready(), "its health is asked by the same address"


def test_one_process_serves_so_many_streams_and_calls_and_says_when_it_is_full() -> None:
    with (
        session_svc(LIMIT_STREAMS="2", LIMIT_CALLS="1") as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        stub = SessionServiceStub(channel)
        watches = [stub.WatchSession(api.WatchSessionRequest(session="s"), timeout=60) for _ in range(2)]
        for watch in watches:
            next(watch)
        with fails() as failure:
            next(stub.WatchSessions(api.WatchSessionsRequest(), timeout=60))
        assert (failure.status, failure.reason) == (EXHAUSTED, "TOO_MANY_STREAMS")
        stub.AppendMessages(say("s"), timeout=60)
        assert all(next(watch).WhichOneof("event") == "messages" for watch in watches)
        for watch in watches:
            watch.cancel()


def test_as_many_calls_as_one_process_serves_are_counted_from_their_first_header_and_more_are_refused() -> None:
    with session_svc(LIMIT_CALLS="2") as service, grpc.insecure_channel(service.address) as channel:
        stub = SessionServiceStub(channel)
        with Raw(service.address) as raw:
            failure = refused_beside(raw, stub)
            assert (failure.status, failure.reason) == (EXHAUSTED, "RATE_LIMITED")
            assert "calls are under way here" in failure.text
            assert failure.retry_after
        until(lambda: is_served(stub, say("s")), what="there is room again")


def test_one_address_has_so_many_calls_under_way_and_the_others_go_on() -> None:
    with (
        session_svc(LIMIT_ADDRESS_CALLS="2", TRUSTED_PROXIES="127.0.0.1") as service,
        grpc.insecure_channel(service.address) as channel,
        Raw(service.address) as raw,
    ):
        stub = SessionServiceStub(channel)
        failure = refused_beside(raw, stub)
        assert (failure.status, failure.reason) == (EXHAUSTED, "RATE_LIMITED")
        assert "this address has 2 calls under way" in failure.text
        for other in ("203.0.113.7", "198.51.100.66, 203.0.113.8"):
            stub.AppendMessages(say("s"), metadata=(("x-forwarded-for", other),), timeout=60)
        assert service.is_ready(), "its health is asked by the same address"


def test_callers_behind_a_trusted_proxy_have_limits_of_their_own_and_claims_do_not_count() -> None:
    claimed = (("x-forwarded-for", "198.51.100.66, 203.0.113.7"),)

    def watches(stub: SessionServiceStub, metadata: tuple[tuple[str, str], ...], stack: ExitStack) -> bool:
        watch = stub.WatchSession(api.WatchSessionRequest(session="s"), metadata=metadata, timeout=60)
        stack.callback(watch.cancel)
        try:
            next(watch)
        except grpc.RpcError as error:
            return read(error, Failure()).reason != "TOO_MANY_STREAMS"
        return True

    with (
        session_svc(TRUSTED_PROXIES="127.0.0.0/8", LIMIT_ADDRESS_STREAMS="1") as service,
        grpc.insecure_channel(service.address) as channel,
        ExitStack() as stack,
    ):
        stub = SessionServiceStub(channel)
        assert watches(stub, claimed, stack)
        assert not watches(stub, (("x-forwarded-for", "203.0.113.7"),), stack), "the last one counts"
        assert watches(stub, (("x-forwarded-for", "203.0.113.8"),), stack)
        assert watches(stub, (), stack), "the proxy's own"
    with (
        session_svc(LIMIT_ADDRESS_STREAMS="1") as service,
        grpc.insecure_channel(service.address) as channel,
        ExitStack() as stack,
    ):
        stub = SessionServiceStub(channel)
        assert watches(stub, claimed, stack)
        assert not watches(stub, (("x-forwarded-for", "203.0.113.8"),), stack), "nobody is trusted"


def test_what_is_open_to_all_is_not_open_without_end() -> None:
    with session_svc() as service, Raw(service.address) as raw:
        for number in range(guard.VISITS):
            raw.call("/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest(), 2 * number + 1)
            assert raw.until_begun(2 * number + 1)
        for path in ("/grpc.health.v1.Health/Watch", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"):
            with Raw(service.address) as another:
                another.call(path, None)
                assert another.until_ended() == (0, EXHAUSTED.value[0])
        assert service.is_ready(), "whoever checks is answered all the same"


def test_answers_that_nobody_takes_do_not_cost_more_memory_than_there_may_be_and_others_are_served_or_told() -> None:
    limit, margin = 256 * MIB, 128 * MIB
    with session_svc(LIMIT_MEMORY=str(limit)) as service, grpc.insecure_channel(service.address) as channel:
        process = psutil.Process(service.process.pid)
        stub = SessionServiceStub(channel)
        for _ in range(4):
            stub.AppendMessages(say("large", 900_000), timeout=60)
        most, refusals = 0, 0
        with ExitStack() as stack:
            for _ in range(15):
                raw = stack.enter_context(Raw(service.address, window=0))
                for number in range(10):
                    raw.call("ListMessages", api.ListMessagesRequest(session="large"), 2 * number + 1)
                raw.until_begun()
                most = max(most, process.memory_info().rss)
                try:
                    stub.AppendMessages(say("small"), timeout=60)
                except grpc.RpcError as error:
                    assert error.code() is EXHAUSTED  # noqa: PT017 - Either is right.
                    refusals += 1
            assert refusals, "this many answers are more than there may be"
            # Long before a call's time is over.
            until(lambda: is_served(stub, say("small")), timeout=30, what="what nobody takes is given up")
            most = max(most, process.memory_info().rss)
        assert most < limit + margin


def test_one_process_holds_so_many_connections_and_those_it_has_go_on() -> None:
    with session_svc(LIMIT_CONNECTIONS="8") as service, grpc.insecure_channel(service.address) as channel:
        stub = SessionServiceStub(channel)
        stub.AppendMessages(say("s"), timeout=60)
        with ExitStack() as stack:
            refused = 0
            for _ in range(30):
                raw = Raw(service.address)
                stack.callback(raw.socket.close)
                refused += raw.is_hung_up_on()
            assert refused >= 20
            stub.AppendMessages(say("s"), timeout=60)

        def there_is_room() -> bool:
            with grpc.insecure_channel(service.address, options=(("grpc.use_local_subchannel_pool", 1),)) as other:
                try:
                    SessionServiceStub(other).AppendMessages(say("s"), timeout=5)
                except grpc.RpcError:
                    return False
                return True

        until(there_is_room, what="there is room for others again")


def latency(stub: SessionServiceStub, calls: int = 50) -> float:
    """Seconds that a call takes, the median."""
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        stub.AppendMessages(say("steady"), timeout=60)
        times.append(time.perf_counter() - began)
    return sorted(times)[calls // 2]


def test_senders_who_begin_and_never_end_do_others_no_harm_and_leave_nothing_behind() -> None:
    with session_svc() as service, grpc.insecure_channel(service.address) as channel, ExitStack() as stack:
        stub = SessionServiceStub(channel)
        process = psutil.Process(service.process.pid)
        quiet = latency(stub)
        descriptors = process.num_fds()
        half_message = b"\x00" + struct.pack(">I", 1_000_000) + b"x" * 100
        for _ in range(50):
            raw = Raw(service.address)
            stack.callback(raw.socket.close)
            calls = b"".join(
                frame(HEADERS, END_HEADERS, number, call_headers(method)) + frame(DATA, 0, number, half_message)
                for number, method in zip(range(1, 81, 2), ["AppendMessages", "StreamReply"] * 20, strict=True)
            )
            raw.socket.sendall(calls)
        for _ in range(50):
            host, _, port = service.address.rpartition(":")
            silent = socket.create_connection((host, int(port)), timeout=20)
            stack.callback(silent.close)
            silent.sendall(PREFACE[:7])
        busy = latency(stub)
        assert busy < 50 * quiet + 1
        stack.close()
        with grpc.insecure_channel(service.address) as other:
            latency(SessionServiceStub(other), 5)
        until(lambda: process.num_fds() <= descriptors + 5, what="what they held is given back")


def test_huge_metadata_is_refused_and_the_service_goes_on() -> None:
    with session_svc() as service, grpc.insecure_channel(service.address) as channel:
        stub = SessionServiceStub(channel)
        for size in (30_000, 1_000_000):
            with pytest.raises(grpc.RpcError) as caught:
                stub.AppendMessages(say("s"), metadata=(("x-big", "x" * size),), timeout=60)
            assert caught.value.code() == EXHAUSTED
        stub.AppendMessages(say("s"), metadata=(("x-large", "x" * 12_000),), timeout=60)


def test_what_is_no_http2_at_all_is_hung_up_on() -> None:
    with session_svc() as service, grpc.insecure_channel(service.address) as channel:
        for nonsense in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x00" * 200,
            PREFACE + b"\xff" * 1000,
            PREFACE + frame(HEADERS, END_HEADERS, 1, b"\xff" * 50),
            PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS, 2, call_headers()),
            PREFACE + frame(SETTINGS, 0, 0, b"") + frame(DATA, 0, 7, b"x" * 100),
        ):
            host, _, port = service.address.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=60) as raw:
                raw.sendall(nonsense)
                raw.shutdown(socket.SHUT_WR)
                try:
                    while raw.recv(65536):
                        pass
                except ConnectionError:
                    continue
        SessionServiceStub(channel).AppendMessages(say("s"), timeout=60)
