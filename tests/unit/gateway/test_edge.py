"""What every request meets and every answer carries, whoever answers: the edge, with other parts behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from stream_gateway.http.credentials import Cookie
from stream_gateway.http.edge import CREDENTIAL, App, Edge, Message, Receive, Scope, Send
from stream_gateway.http.guard import Guard
from stream_gateway.http.problems import Problem
from stream_gateway.http.quotas import Quotas
from stream_gateway.settings import GatewaySettings

HERE: Final = "http://localhost:3000"
BOARD: Final = "https://board.example.com"
WRITE: Final = {"origin": HERE, "content-type": "application/json"}


def answering(make: Callable[[Scope], Response]) -> App:
    """Answers with what `make` makes of a request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await make(scope)(scope, receive, send)

    return app


def saying(who: str) -> App:
    """Says who it is, which path it was asked for, and with whose token."""

    def say(scope: Scope) -> Response:
        credential = scope.get(CREDENTIAL)
        return PlainTextResponse(f"{who} {scope['path']} {credential.token if credential else '-'}")

    return answering(say)


def refusing(status: int) -> App:
    """Refuses whatever comes, without reading it."""

    async def app(*_: object) -> None:
        raise Problem(status, "REASON", "a sentence")

    return app


def at(settings: dict[str, object] | None = None, **parts: App) -> httpx.AsyncClient:
    """A client of the edge. `parts`: who answers, where it is somebody else than who says its name."""
    made = GatewaySettings.model_validate(settings or {})
    guard, cookie, quotas = Guard(made), Cookie(made), Quotas(made)
    names = ("stream", "health", "page", "api", "sign_in")
    edge = Edge(made, guard, cookie, quotas, **{name: parts.get(name) or saying(name) for name in names})
    return httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url=HERE)


@pytest.mark.parametrize("path", ["/", "/static/x", "/nothing", "/api/sessions", "/openapi.json", "/healthz"])
async def test_every_answer_forbids_sniffing_framing_embedding_and_referring(path: str) -> None:
    headers = (await at().get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "access-control-allow-origin" not in headers


async def test_what_an_answer_says_itself_stays() -> None:
    own = {"content-security-policy": "default-src 'self'", "referrer-policy": "same-origin"}
    client = at(page=answering(lambda _: Response(headers=own)))

    assert own.items() <= (await client.get("/")).headers.items()


@pytest.mark.parametrize("given", ["trace-1", "a b", "x" * 65, ""])
async def test_a_request_has_an_id_which_is_its_own_if_that_is_one(given: str) -> None:
    for path in ("/", "/api/sessions"):
        told = (await at().get(path, headers={"x-request-id": given})).headers["x-request-id"]
        assert told == given if given == "trace-1" else len(told) == 32


async def test_a_defect_is_told_as_one_and_nothing_else_is_told() -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("a secret")

    answer = await at(page=fails, api=fails).get("/")

    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("status", "declared", "closes"),
    [(408, True, True), (408, False, True), (413, True, False), (413, False, True), (429, False, True),
     (400, False, False)],
)  # fmt: skip
async def test_a_connection_ends_with_an_answer_before_a_body_whose_end_nobody_knows(
    status: int, declared: bool, closes: bool
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"{}"

    content = b"{}" if declared else endless()
    answer = await at(api=refusing(status)).post("/api/sessions", content=content, headers=WRITE)

    assert answer.status_code == status
    assert (answer.headers.get("connection") == "close") is closes


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "page /"),
        ("/s/a%2Fb", "page /s/a%2Fb"),
        ("/team/", "page /"),
        ("/team", "page "),
        ("/team/s/x", "page /s/x"),
        ("/team/api/sessions", "api /api/sessions"),
        ("/teams", "page /teams"),
        ("/%74eam/", "page /%74eam/"),
        ("/sign-in", "page /sign-in"),
        ("/openapi.json", "api /openapi.json"),
        ("/healthz", "health /healthz"),
        ("/api", "page /api"),
        ("/API/sessions", "page /API/sessions"),
        ("/api%2Fsessions", "page /api%2Fsessions"),
    ],
)
async def test_the_path_below_the_public_one_says_who_answers_and_nothing_decodes_it(path: str, said: str) -> None:
    settings: dict[str, object] = {"public_url": "https://chat.example.com/team/"}

    assert (await at(settings).get(path)).text == f"{said} -"


async def test_where_there_are_tokens_only_the_api_needs_one() -> None:
    client = at({"gateway_token": "g"})
    bearer = {"authorization": "Bearer mine"}

    for path in ("/", "/openapi.json", "/healthz", "/sign-in"):
        assert (await client.get(path)).status_code == 200
    for path in ("/api/sessions", "/api/stream", "/api/nothing"):
        assert (await client.get(path)).json()["reason"] == "TOKEN_MISSING"
    assert (await client.get("/sign-in")).text == "sign_in /sign-in -"
    assert (await client.get("/api/sessions", headers=bearer)).text == "api /api/sessions mine"
    assert (await client.get("/api/stream", headers=bearer)).text == "stream /api/stream mine"


async def test_where_there_are_none_a_token_opens_no_way_past_the_origin() -> None:
    for headers in ({"authorization": "Bearer any"}, {"cookie": "ai-chat=any"}):
        answer = await at().post("/api/sessions", json={}, headers=headers)
        assert answer.json()["reason"] == "ORIGIN_NOT_ALLOWED"
        assert (await at().get("/api/sessions", headers=headers)).text == "api /api/sessions -"


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "OPTIONS"])
async def test_a_stream_is_opened_by_get_alone(method: str) -> None:
    answer = await at().request(method, "/api/stream", headers=WRITE)

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/", "/api/sessions", "/api/stream", "/openapi.json"])
async def test_nobody_is_answered_under_a_name_that_is_not_ours(path: str) -> None:
    answer = await at().get(path, headers={"host": "evil.example"})

    assert (answer.status_code, answer.json()["reason"]) == (403, "HOST_NOT_ALLOWED")
    assert (await at().get("/healthz", headers={"host": "evil.example"})).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/sessions", "/api/stream"])
async def test_each_request_of_an_address_counts(path: str) -> None:
    settings: dict[str, object] = {"trusted_proxies": "127.0.0.1", "limit_address_requests": 0.1}
    client = at(settings)
    client.headers["x-forwarded-for"] = "203.0.113.1"

    statuses = [(await client.get(path)).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]
    assert (await client.get("/healthz")).status_code == 200


async def test_each_request_of_a_token_counts_wherever_it_asks() -> None:
    client = at({"gateway_token": "g", "limit_token_requests": 0.1})
    client.headers["authorization"] = "Bearer mine"

    assert (await client.get("/api/stream")).status_code == 200
    assert (await client.get("/api/sessions")).status_code == 429
    assert (await client.get("/api/sessions", headers={"authorization": "Bearer other"})).status_code == 200


async def test_another_site_is_let_read_only_if_it_is_named_and_nothing_but_the_api() -> None:
    settings: dict[str, object] = {"gateway_token": "g", "cors_origins": BOARD}
    client = at(settings)
    client.headers["authorization"] = "Bearer mine"
    ask = {"access-control-request-method": "GET"}

    preflight = await client.options("/api/sessions", headers={"origin": BOARD, **ask})
    answer = await client.get("/api/sessions", headers={"origin": "https://Board.example.com"})

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == BOARD
    assert preflight.headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE"
    assert {"authorization", "if-match", "last-event-id"} <= set(
        preflight.headers["access-control-allow-headers"].split(", ")
    )
    assert answer.headers["access-control-allow-origin"] == "https://Board.example.com"
    assert {"session-position", "link", "retry-after"} <= set(
        answer.headers["access-control-expose-headers"].split(", ")
    )
    for every in (preflight, answer):
        assert every.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in every.headers
    for method, path, headers in (
        ("OPTIONS", "/api/sessions", {"origin": "https://evil.example", **ask}),
        ("GET", "/api/sessions", {"origin": "https://evil.example"}),
        ("GET", "/", {"origin": BOARD}),
        ("GET", "/openapi.json", {"origin": BOARD}),
    ):
        assert "access-control-allow-origin" not in (await client.request(method, path, headers=headers)).headers
    for no_question in (
        await client.options("/api/sessions", headers={"origin": BOARD}),
        await client.get("/api/sessions", headers={"origin": BOARD, **ask}),
    ):
        assert no_question.text == "api /api/sessions mine"


async def test_a_client_that_leaves_is_no_defect() -> None:
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        told.append(message)

    async def reads(scope: Scope, receive: Receive, _: Send) -> None:
        await Request(scope, receive).body()

    made = GatewaySettings()
    edge = Edge(made, Guard(made), Cookie(made), Quotas(made), stream=reads, health=reads, page=reads, api=reads,
                sign_in=reads)  # fmt: skip
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "headers": [(b"host", b"localhost")]}
    async with asyncio.timeout(60):
        await edge(scope, receive, send)

    assert told == []


async def test_metrics_do_not_grow_with_what_people_ask_for_and_logs_keep_no_query() -> None:
    with structlog.testing.capture_logs() as lines:
        for path in ("/unheard-of", "/s/unheard-of", "/static/unheard-of", "/?q=unheard-of-query", "/healthz"):
            await at().request("BREW" if path == "/unheard-of" else "GET", path)
    counted = {
        (sample.labels["method"], sample.labels["route"])
        for metric in REGISTRY.collect()
        if metric.name == "gateway_http_requests"
        for sample in metric.samples
    }

    assert {("other", "other"), ("GET", "/s/{name}"), ("GET", "/static"), ("GET", "/"), ("GET", "/healthz")} <= counted
    assert "unheard-of" not in repr(counted)
    assert "unheard-of-query" not in repr(lines)
    assert [line["path"] for line in lines if line["log_level"] == "debug"] == ["/healthz"]
