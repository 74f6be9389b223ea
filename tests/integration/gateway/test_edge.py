"""Who is let in, and what every answer carries."""

import asyncio
import http.client
import json
import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from integration.gateway.conftest import Deployment
from support.processes import Service, gateway
from support.until import until


@pytest.fixture(scope="module")
def elsewhere(in_memory: Deployment) -> Iterator[Service]:
    """A gateway behind a proxy, at a path, for another host; read-only, without streams."""
    with gateway(
        in_memory.session_svc.address,
        GATEWAY_HOSTS="inside.example, [2001:db8::1]",
        PUBLIC_URL="https://chat.example.com/team/",
        PUBLIC_GRPC_ADDRESS='dns:///grpc.example.com:443"><script>',
        TRUSTED_PROXIES="127.0.0.0/8",
        WEB_STREAM_ENABLED="false",
        until="listening",
    ) as service:
        yield service


def request(
    address: str, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, str]:
    """One request with exactly these headers; names with underscores for dashes."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body.encode() if body is not None else None)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "[::1", "10.0.0.7"])
@pytest.mark.parametrize(
    "path", ["/", "/s/x", "/static/app.js", "/api/sessions", "/api/stream?session=x", "/openapi.json"]
)
def test_a_host_that_is_not_named_is_refused_and_the_variable_told(in_memory: Deployment, host: str, path: str) -> None:
    status, _, body = request(in_memory.address, "GET", path, host=host)

    assert status == 403
    assert json.loads(body)["reason"] == "HOST_NOT_ALLOWED"
    assert "GATEWAY_HOSTS" in json.loads(body)["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:3000", "127.0.0.1:1", "[::1]:3000", "localhost."])
def test_the_loopback_names_are_let_in(in_memory: Deployment, host: str) -> None:
    assert request(in_memory.address, "GET", "/api/sessions", host=host)[0] == 200


def test_health_is_answered_whatever_the_host(in_memory: Deployment) -> None:
    assert request(in_memory.address, "GET", "/healthz", host="10.0.0.7")[0] == 200
    assert request(in_memory.address, "GET", "/readyz", host="10.0.0.7")[0] == 200


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "https://localhost:3000", "http://localhost", "http://localhost:3000x"],
)
def test_a_write_from_another_origin_is_refused(in_memory: Deployment, origin: str | None) -> None:
    headers = {"host": "localhost:3000", "content_type": "application/json"} | ({"origin": origin} if origin else {})

    for method, path in (("POST", "/api/sessions"), ("DELETE", "/api/sessions/x"), ("PATCH", "/api/sessions/x")):
        status, _, body = request(in_memory.address, method, path, "{}", **headers)
        assert (status, json.loads(body)["reason"]) == (403, "ORIGIN_NOT_ALLOWED")


def test_a_write_that_is_not_json_is_refused(in_memory: Deployment) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        status, _, body = request(
            in_memory.address,
            "POST",
            "/api/sessions",
            "{}",
            host="localhost",
            origin="http://localhost",
            content_type=kind,
        )
        assert (status, json.loads(body)["reason"]) == (415, "INVALID_FIELD")


def test_writing_is_off_where_others_can_reach_it(elsewhere: Service) -> None:
    for host in ("inside.example", "chat.example.com"):
        status, _, body = request(
            elsewhere.address,
            "POST",
            "/api/sessions",
            "{}",
            host=host,
            origin="https://chat.example.com",
            content_type="application/json",
        )
        assert (status, json.loads(body)["reason"]) == (403, "WRITE_DISABLED")
        assert "GATEWAY_WRITE" in json.loads(body)["detail"]


def test_without_streaming_there_is_no_stream(elsewhere: Service) -> None:
    status, _, body = request(elsewhere.address, "GET", "/api/stream?session=x", host="inside.example")

    assert (status, json.loads(body)["reason"]) == (404, "NOT_FOUND")


def test_behind_a_proxy_with_a_path_everything_is_where_its_links_point(elsewhere: Service) -> None:
    for prefix in ("", "/team"):
        for path in ("/", "/s/x", "/static/app.js", "/api/sessions", "/openapi.json"):
            assert request(elsewhere.address, "GET", prefix + path, host="chat.example.com")[0] == 200


def test_a_trusted_proxy_says_who_asks_and_how(in_memory: Deployment) -> None:
    with gateway(in_memory.session_svc.address, TRUSTED_PROXIES="127.0.0.1", GATEWAY_HOSTS="chat.example.com",
                 GATEWAY_WRITE="true") as service:  # fmt: skip
        status, _, body = request(
            service.address,
            "POST",
            "/api/sessions",
            "{}",
            host="upstream",
            x_forwarded_host="chat.example.com",
            x_forwarded_proto="https",
            x_forwarded_for="203.0.113.9, 127.0.0.1",
            origin="https://chat.example.com",
            content_type="application/json",
        )
        assert status == 201, body
        until(lambda: any(line.get("client") == "203.0.113.9" for line in service.events), what="the line in the log")


def test_a_line_that_the_client_sent_above_the_proxys_own_does_not_count(in_memory: Deployment) -> None:
    lines = "X-Forwarded-For: 198.51.100.66\r\nX-Forwarded-For: 203.0.113.10\r\n"  # As HAProxy passes them on.
    with gateway(in_memory.session_svc.address, TRUSTED_PROXIES="127.0.0.1") as service:
        host, _, port = service.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as raw:
            raw.sendall(f"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\n{lines}Connection: close\r\n\r\n".encode())
            while raw.recv(65536):
                pass
        until(lambda: any(line.get("client") == "203.0.113.10" for line in service.events), what="the line in the log")


def test_without_trust_nobody_says_so(in_memory: Deployment) -> None:
    assert request(in_memory.address, "GET", "/api/sessions", host="evil", x_forwarded_host="localhost")[0] == 403


def test_the_page_is_filled_in_and_cannot_be_escaped_from(elsewhere: Service) -> None:
    _, headers, root = request(elsewhere.address, "GET", "/", host="inside.example")
    _, _, session = request(elsewhere.address, "GET", "/s/a%2Fb", host="inside.example")

    assert '<base href="./">' in root
    assert '<base href="../">' in session
    assert 'content="dns:///grpc.example.com:443&quot;&gt;&lt;script&gt;"' in root
    assert 'name="ai-chat-write" content="false"' in root
    assert 'name="ai-chat-stream" content="false"' in root
    assert "__" not in re.sub(r"<script.*?</script>", "", root)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_everything_the_page_names_is_there(web: httpx.AsyncClient) -> None:
    page = (await web.get("/")).text
    for path in re.findall(r'(?:href|src)="(static/[^"]+)"', page):
        answer = await web.get(f"/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_unchanged_file_is_not_sent_again(web: httpx.AsyncClient) -> None:
    first = await web.get("/static/app.js")
    again = await web.get("/static/app.js", headers={"if-none-match": f'"x", {first.headers["etag"]}'})

    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/static/../http/app.py", "/static/%2e%2e/settings.py", "/static//etc/passwd", "/index.html", "/s/", "/s/a/b"],
)
def test_no_other_path_leads_to_a_file(in_memory: Deployment, path: str) -> None:
    status, headers, body = request(in_memory.address, "GET", path, host="localhost")

    assert status in (400, 404)
    assert headers["content-type"] == "application/problem+json"
    assert "import" not in body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/api/sessions/", 404),
        ("PUT", "/api/sessions", 405),
        ("GET", "/api/sessions/x/clear", 405),
        ("POST", "/", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/api/stream?list=1", 405),
    ],
)
def test_what_is_not_there_is_a_problem_too(in_memory: Deployment, method: str, path: str, status: int) -> None:
    origin = f"http://{in_memory.address}"
    answer = request(
        in_memory.address, method, path, "{}", host=in_memory.address, origin=origin, content_type="application/json"
    )

    assert answer[0] == status
    assert json.loads(answer[2])["reason"] in ("NOT_FOUND", "METHOD_NOT_ALLOWED")


async def test_every_answer_forbids_sniffing_framing_and_referring(web: httpx.AsyncClient) -> None:
    for path in ("/", "/static/app.js", "/api/sessions", "/api/nothing", "/openapi.json", "/healthz"):
        headers = (await web.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert headers["x-request-id"]


async def test_where_there_are_no_tokens_nobody_signs_in(web: httpx.AsyncClient) -> None:
    assert (await web.get("/sign-in")).status_code == 404
    assert (await web.post("/sign-in", data={"token": "x"})).status_code == 404
    assert (await web.get("/")).status_code == 200


async def test_the_description_names_every_route(web: httpx.AsyncClient) -> None:
    description = (await web.get("/openapi.json")).json()

    assert set(description["paths"]) == {
        "/",
        "/s/{name}",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/sign-in",
        "/sign-out",
        "/api/stream",
        "/api/sessions",
        "/api/sessions/{name}",
        "/api/sessions/{name}/messages",
        "/api/sessions/{name}/stop",
        "/api/sessions/{name}/clear",
        "/api/sessions/{name}/truncate",
    }
    text = json.dumps(description)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named <= set(description["components"]["schemas"])
    assert "422" not in text


def test_bad_settings_are_told_all_at_once(in_memory: Deployment) -> None:
    with gateway(
        in_memory.session_svc.address,
        GATEWAY_LISTEN="nowhere",
        PUBLIC_URL="chat.example.com",
        TRUSTED_PROXIES="10.0.0.0/99",
        GATEWAY_HOSTS="https://chat.example.com",
        until="spawned",
    ) as service:
        assert service.process.wait(60) == 2
        for variable in ("GATEWAY_LISTEN", "PUBLIC_URL", "TRUSTED_PROXIES", "GATEWAY_HOSTS"):
            assert f"bad setting: {variable}" in service.log


def test_it_does_not_start_open_to_everybody(in_memory: Deployment) -> None:
    with gateway(in_memory.session_svc.address, GATEWAY_LISTEN="0.0.0.0:0", until="spawned") as service:
        assert service.process.wait(60) == 2
        assert "ALLOW_ANONYMOUS" in service.log


def test_a_taken_port_is_a_clear_error(in_memory: Deployment) -> None:
    with gateway(in_memory.session_svc.address, GATEWAY_LISTEN=in_memory.address, until="spawned") as service:
        assert service.process.wait(60) != 0
        assert "GATEWAY_LISTEN" in service.log
        assert "Traceback" not in service.log


async def test_nothing_is_said_on_a_stream_but_what_happens(in_memory: Deployment, name: str) -> None:
    base = f"http://{in_memory.address}"
    ask = f"GET /api/stream?session={name}&after= HTTP/1.1\r\nHost: {in_memory.address}\r\n\r\n"
    host, _, port = in_memory.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write((ask + ask.replace("/api/stream", "/api/sessions")).encode())
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=base, headers={"origin": base}) as client:
        said = await reader.readuntil(b"retry: 2000")
        await client.post(f"/api/sessions/{name}/messages", json={"messages": [{"role": "user", "content": "heard"}]})
        said += await reader.readuntil(b"heard")
    writer.close()

    assert said.count(b"HTTP/1.1 ") == 1
    assert b"x-request-id: " in said
    for header in (
        b"content-type: text/event-stream",
        b"cache-control: no-store, no-transform",
        b"x-accel-buffering: no",
        b"x-content-type-options: nosniff",
        b"referrer-policy: no-referrer",
        b"cross-origin-resource-policy: same-origin",
    ):
        assert header + b"\r\n" in said
