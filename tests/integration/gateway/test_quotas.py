"""What one address and one token may have, and that the rest do not notice; and being reached through a proxy."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
import pytest
from integration.gateway.conftest import Secured
from support.processes import Service, gateway
from support.until import until

PUBLIC = "https://chat.example.com"


@pytest.fixture(scope="module")
def strict(secured: Secured) -> Iterator[Service]:
    """A second gateway, below a path, behind a proxy that ends TLS; with small limits."""
    own = secured.tokens.add("gateway-strict", scopes=["read"])
    with gateway(
        secured.session_svc.address,
        GATEWAY_TOKEN=own,
        TRUSTED_PROXIES="127.0.0.1",
        PUBLIC_URL=f"{PUBLIC}/team/",
        CORS_ORIGINS="https://board.example.com",
        LIMIT_ADDRESS_REQUESTS="0.5",
        LIMIT_ADDRESS_BYTES="100",
        LIMIT_TOKEN_REQUESTS="3",
        LIMIT_TOKEN_STREAMS="1",
    ) as service:
        yield service


def at(service: Service, address: str, token: str | None = None) -> httpx.AsyncClient:
    """Whoever comes from that address by way of the proxy."""
    headers = {"x-forwarded-for": address, "x-forwarded-proto": "https", "host": "chat.example.com", "origin": PUBLIC}
    if token:
        headers["authorization"] = f"Bearer {token}"
    return httpx.AsyncClient(base_url=f"http://{service.address}", headers=headers)


def is_refused(answer: httpx.Response, reason: str) -> bool:
    """Whether it says that it was too much, and when it will not be."""
    return answer.status_code == 429 and answer.json()["reason"] == reason and int(answer.headers["retry-after"]) >= 1


async def refusal(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The first answer that is none, of one request after another."""
    for _ in range(300):
        answer = await ask()
        if answer.status_code == 429:
            return answer
    raise AssertionError("nothing was too much")


async def test_an_address_that_asks_too_much_waits_and_the_others_do_not(strict: Service) -> None:
    async with at(strict, "203.0.113.1") as greedy, at(strict, "203.0.113.2") as modest:
        assert (await greedy.get("/static/app.js")).status_code == 200
        assert is_refused(await refusal(lambda: greedy.get("/static/app.js")), "RATE_LIMITED")
        assert (await modest.get("/static/app.js")).status_code == 200


async def test_a_token_that_asks_too_much_waits_wherever_it_comes_from(strict: Service, secured: Secured) -> None:
    addresses = (f"203.0.113.{number % 100 + 100}" for number in itertools.count())

    async with at(strict, "", secured.ada) as hers, at(strict, "203.0.113.30", secured.root) as other:

        async def ask() -> httpx.Response:
            return await hers.get("/api/sessions", headers={"x-forwarded-for": next(addresses)})

        assert (await ask()).status_code == 200
        assert is_refused(await refusal(ask), "RATE_LIMITED")
        assert (await other.get("/api/sessions")).status_code == 200


async def test_who_cannot_say_who_they_are_are_limited_by_address(strict: Service) -> None:
    async with at(strict, "203.0.113.40") as guessing:
        assert (await guessing.post("/sign-in", data={"token": "guess"})).status_code == 401
        assert is_refused(await refusal(lambda: guessing.post("/sign-in", data={"token": "guess"})), "RATE_LIMITED")


async def test_bytes_are_counted_declared_or_not(strict: Service, secured: Secured) -> None:
    body = b'{"name": "team-bytes", "title": "' + b"x" * 900 + b'"}'

    async def chunked() -> AsyncIterator[bytes]:
        yield body

    contents: tuple[bytes | AsyncIterator[bytes], ...] = (body, chunked())
    for address, content in zip(("203.0.113.50", "203.0.113.51"), contents, strict=True):
        async with at(strict, address, secured.root) as client:
            headers = {"content-type": "application/json"}
            first = await client.post("/api/sessions", content=body, headers=headers)
            second = await client.post("/api/sessions", content=content, headers=headers)
        assert first.status_code == 400, first.text  # Its title is too long, but that is another matter.
        assert is_refused(second, "RATE_LIMITED")


async def test_streams_are_counted_until_they_are_closed(strict: Service, secured: Secured) -> None:
    stream = "/api/stream?list=1"
    async with (
        at(strict, "203.0.113.60", secured.root) as first,
        at(strict, "203.0.113.61", secured.root) as second,
        first.stream("GET", stream) as opened,
    ):
        assert opened.status_code == 200
        assert is_refused(await second.get(stream), "TOO_MANY_STREAMS")

    def is_open_again() -> bool:
        headers = dict(second.headers)
        with httpx.stream("GET", f"http://{strict.address}{stream}", headers=headers) as answer:
            return answer.status_code == 200

    await asyncio.to_thread(until, is_open_again, what="another stream")


async def test_behind_a_proxy_with_tls_and_a_path_the_cookie_is_for_that_path_and_tls_alone(
    strict: Service, secured: Secured
) -> None:
    async with at(strict, "203.0.113.70") as visitor:
        page = await visitor.get("/team/s/x")
        answer = await visitor.post("/team/sign-in", data={"token": secured.root, "next": "s/x"})

    assert page.headers["location"] == "../sign-in?next=s%2Fx"
    assert answer.headers["location"] == "./s/x"
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name == f"__Secure-ai-chat={secured.root}"
    assert {"Path=/team", "HttpOnly", "SameSite=Strict", "Secure"} <= set(attributes)
    async with at(strict, "203.0.113.71") as visitor:
        for cookie, status in (("__Secure-ai-chat", 200), ("ai-chat", 303), ("__Host-ai-chat", 303)):
            answer = await visitor.get("/team/", headers={"cookie": f"{cookie}={secured.root}"})
            assert answer.status_code == status


async def test_a_named_origin_may_ask_with_a_token_of_its_own_and_with_nothing_else(
    strict: Service, secured: Secured
) -> None:
    allow, board = "access-control-allow-origin", {"origin": "https://board.example.com"}
    ask = {**board, "access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    async with at(strict, "203.0.113.80", secured.root) as page:
        preflight = await page.options("/api/sessions", headers=ask)
        answer = await page.get("/api/sessions", headers=board)
        async with page.stream("GET", "/api/stream?list=1", headers=board) as stream:
            assert (stream.status_code, stream.headers[allow]) == (200, board["origin"])
    async with at(strict, "203.0.113.81") as page:
        by_cookie = await page.get("/api/sessions", headers={**board, "cookie": f"__Secure-ai-chat={secured.root}"})
        stranger = await page.options("/api/sessions", headers={**ask, "origin": "https://evil.example"})

    assert (preflight.status_code, preflight.headers[allow]) == (204, board["origin"])
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert (answer.status_code, answer.headers[allow]) == (200, board["origin"])
    assert by_cookie.status_code == 403
    assert allow not in stranger.headers
    for every in (preflight, answer, by_cookie):
        assert "access-control-allow-credentials" not in every.headers
