"""Whatever is sent to any method gets an answer or a documented error, and the service stays as it was.

`FUZZ_EXAMPLES=5000 make test ARGS="-k fuzz"` tries other inputs, and as many for each method and kind.
"""

import os
from collections.abc import Iterator

import grpc
import psutil
import pytest
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.session_svc.failures import Failure, read
from support import rpc, wild
from support.processes import Service, session_svc
from support.redis_server import RedisServer
from support.tokens import TokensFile, bearer

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
GROWTH_BYTES = 64 * 1024 * 1024
DOCUMENTED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
}

fuzz = settings(
    max_examples=EXAMPLES or 20,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """On a real Redis and with tokens, so that every check there is has its turn; one token for all."""
    tokens = TokensFile(tmp_path_factory.mktemp("fuzz") / "tokens.json")
    token = tokens.add("fuzzer", sessions=["*"])
    with RedisServer(appendfsync="no") as redis, session_svc(redis.url, AUTH_TOKENS_FILE=str(tokens.path)) as running:
        yield running, token
        assert "defect" not in running.log


@pytest.fixture(scope="module")
def channel(service: tuple[Service, str]) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(service[0].address) as opened:
        yield opened


def attempt(
    channel: grpc.Channel, method: MethodDescriptor, frames: list[bytes], metadata: tuple[tuple[str, str | bytes], ...]
) -> None:
    """Makes the call; fails unless it is answered, or refused as documented."""
    try:
        rpc.call(channel, method, frames, metadata)
    except grpc.RpcError as error:
        failure = read(error, Failure())
        assert failure.status in DOCUMENTED, failure
        assert failure.reason


@pytest.mark.parametrize("method", rpc.METHODS, ids=lambda method: method.name)
def test_fuzz_wild_values_in_well_formed_requests(
    service: tuple[Service, str], channel: grpc.Channel, method: MethodDescriptor
) -> None:
    most = 6 if method.client_streaming else 1

    @fuzz
    @given(st.lists(wild.requests(method.input_type), min_size=1, max_size=most))
    def play(frames: list[bytes]) -> None:
        attempt(channel, method, frames, bearer(service[1]))

    play()


@pytest.mark.parametrize("method", rpc.METHODS, ids=lambda method: method.name)
def test_fuzz_what_is_no_message_at_all(
    service: tuple[Service, str], channel: grpc.Channel, method: MethodDescriptor
) -> None:
    @fuzz
    @given(st.binary(max_size=200), wild.requests(method.input_type), st.integers(0, 200))
    def play(noise: bytes, request: bytes, at: int) -> None:
        for data in (noise, request[:at], request[:at] + noise, noise + request):
            attempt(channel, method, [data], bearer(service[1]))

    play()


@fuzz
@given(
    values=st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), min_size=3, max_size=3),
    binary=st.binary(max_size=60),
)
def test_fuzz_metadata(service: tuple[Service, str], channel: grpc.Channel, values: list[str], binary: bytes) -> None:
    authorization, author, request_id = values
    sent: list[tuple[tuple[str, str | bytes], ...]] = [
        (("authorization", authorization),),
        (("authorization", f"Bearer {authorization}"),),
        (
            *bearer(service[1]),
            ("ai-chat-author", author),
            ("x-request-id", request_id),
            ("any-bin", binary),
            ("authorization", authorization),
        ),
    ]
    for metadata in sent:
        for method in rpc.METHODS[:3]:
            attempt(channel, method, [b""], metadata)


def test_after_all_that_the_service_is_well_and_has_not_grown(
    service: tuple[Service, str], channel: grpc.Channel
) -> None:
    running, token = service
    process = psutil.Process(running.process.pid)
    method = next(method for method in rpc.METHODS if method.name == "AppendMessages")

    @settings(fuzz, max_examples=50)
    @given(wild.requests(method.input_type))
    def play(request: bytes) -> None:
        attempt(channel, method, [request], bearer(token))

    play()
    before = process.memory_info().rss
    for _ in range(3):
        play()
    assert process.memory_info().rss - before < GROWTH_BYTES
    assert running.is_ready()
