"""Whatever is sent to whichever route: no answer is a defect, and the process goes on."""

import json
import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.gateway.conftest import Secured

ALLOWED_5XX: Final = frozenset({501, 503})
EXAMPLES: Final = 25
"""For each operation."""

names = st.one_of(
    st.sampled_from(["team-fuzz", "a/b", "..", ".", "%", "é", "team fuzz", "x" * 300, "\x00", "{x}", "名前"]),
    st.text(max_size=20),
)
words = st.one_of(
    st.text(max_size=30), st.sampled_from(["", "0", "-1", "9" * 30, "1e9", "*", '""', "null", "a=b", "=", "é"])
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
members = st.dictionaries(
    st.sampled_from(
        ["name", "title", "ttl", "labels", "allowExisting", "messages", "keep", "removeLast", "replyId", "role", "x"]
    ),
    json_values
    | st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "x"]) | json_values, "content": st.text() | json_values},
            optional={
                "id": words,
                "timestamp": json_values,
                "status": words,
                "attributes": json_values,
                "author": words,
                "model": words,
            },
        ),
        max_size=3,
    ),
    max_size=5,
)
bodies = st.one_of(
    members.map(lambda value: json.dumps(value).encode()),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=50),
    st.sampled_from(
        [b"[" * 100_000, b'{"messages":' * 50_000, b'"\\ud800"', b'{"a":1,"a":2}', b"\xff\xfe", b"{}", b"1e999"]
    ),
)
header_values = words.map(lambda text: "".join(mark for mark in text if 32 < ord(mark) < 127))
headers = st.dictionaries(
    st.sampled_from(
        ["if-match", "idempotency-key", "last-event-id", "if-none-match", "x-request-id", "accept", "range", "cookie",
         "x-forwarded-for", "x-forwarded-host", "content-encoding", "sec-fetch-site", "expect", "te", "upgrade"]
    ),
    header_values,
    max_size=4,
)  # fmt: skip
queries = st.dictionaries(
    st.sampled_from(["limit", "cursor", "q", "label", "owner", "before", "session", "after", "list", "next"]),
    words,
    max_size=4,
)


@pytest.fixture(scope="module")
def operations(secured: Secured) -> list[tuple[str, str]]:
    paths = httpx.get(f"{secured.base}/openapi.json").json()["paths"]
    return [(method, path) for path, methods in paths.items() for method in methods]


@pytest.fixture(scope="module")
def process(secured: Secured) -> psutil.Process:
    return psutil.Process(secured.gateway.process.pid)


def trial(client: httpx.Client, method: str, path: str) -> Callable[[], None]:
    """A property of one operation, to be called: its answer is never a defect, but a problem or what was asked for."""

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    @given(name=names, query=queries, extra=headers, body=bodies, as_json=st.sampled_from([True] * 7 + [False]))
    def holds(name: str, query: dict[str, str], extra: dict[str, str], body: bytes, as_json: bool) -> None:
        kind = {"content-type": "application/json" if as_json else "application/x-www-form-urlencoded"}
        target = path.replace("{name}", quote(name, safe="", errors="replace"))
        content = None if method == "get" else body
        with client.stream(method, target, params=query, content=content, headers=kind | extra) as answer:
            assert answer.status_code < 500 or answer.status_code in ALLOWED_5XX, (target, answer.read())
            if answer.headers.get("content-type") == "application/problem+json":
                problem = json.loads(answer.read())
                assert problem["status"] == answer.status_code
                assert problem["reason"]
            elif answer.headers.get("content-type") == "application/json":
                json.loads(answer.read())
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-request-id"]

    return holds


@pytest.mark.parametrize("signed_in", [True, False])
def test_no_input_to_any_route_is_answered_with_a_defect(
    secured: Secured, operations: list[tuple[str, str]], process: psutil.Process, signed_in: bool
) -> None:
    token = {"authorization": f"Bearer {secured.root}"} if signed_in else {}
    with httpx.Client(base_url=secured.base, headers={"origin": secured.base, **token}, timeout=60) as client:
        for method, path in operations:
            trial(client, method, path)()
        assert client.get("/readyz").status_code == 200

    assert process.is_running()
    assert '"defect"' not in secured.gateway.log
    assert "task_failed" not in secured.gateway.log


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PUT", "HEAD", "get", "X" * 50])
def test_no_method_is_answered_with_a_defect(secured: Secured, operations: list[tuple[str, str]], method: str) -> None:
    host, _, port = secured.gateway.address.rpartition(":")
    for path in {path for _, path in operations}:
        request = f"{method} {path} HTTP/1.1\r\nHost: {secured.gateway.address}\r\nConnection: close\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4")), (path, answer[:200])


def test_what_came_left_nothing_behind(secured: Secured, process: psutil.Process) -> None:
    def flood() -> tuple[int, int]:
        with httpx.Client(base_url=secured.base, headers={"origin": secured.base}) as client:
            for number in range(150):
                client.get(f"/api/sessions/{number}", headers={"authorization": f"Bearer unknown-{number}"})
                client.get("/api/stream?list=1", headers={"authorization": f"Bearer unknown-{number}"})
        return process.memory_info().rss, process.num_fds()

    before = flood()
    after = flood()
    assert after[0] - before[0] < 16 * 1024 * 1024
    assert after[1] - before[1] < 20
