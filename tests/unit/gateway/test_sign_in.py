"""Signing in and out, with a session service that does what a test wants it to."""

import re
from typing import Any, Final

import grpc
import httpx
import pytest
from ai_chat_client import context
from ai_chat_client.errors import AiChatError
from stream_gateway.http.credentials import MAX_KEPT, Cookie
from stream_gateway.http.edge import VISITOR, Receive, Scope, Send
from stream_gateway.http.guard import Guard
from stream_gateway.http.problems import Problem
from stream_gateway.http.sign_in import SignIn, to_sign_in
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

HERE: Final = "https://chat.example.com"
FORM: Final = "application/x-www-form-urlencoded"


class Service:
    """Knows every token, or fails. `asked`: with which tokens it was."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[str | None] = []

    async def list_sessions(self, **_: object) -> None:
        self.asked.append(context.token.get())
        if self.error:
            raise self.error


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def web(service: Service) -> httpx.AsyncClient:
    settings = GatewaySettings.model_validate({"gateway_token": "g"})
    sign_in = SignIn(service, Cookie(settings), Guard(settings))  # type: ignore[arg-type]  # It stands for a client.

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[VISITOR] = Visitor("https", "chat.example.com", "chat.example.com", "127.0.0.1")
        try:
            await sign_in(scope, receive, send)
        except Problem as problem:
            await problem.response()(scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE, headers={"origin": HERE})


def refused(reason: str, **facts: Any) -> AiChatError:  # noqa: ANN401 - Whatever an error takes.
    """What session-svc says."""
    return AiChatError("no <b>", reason=reason, code=grpc.StatusCode.UNKNOWN, **facts)


@pytest.mark.parametrize("token", ["mine", "x" * MAX_KEPT, " mine\n"])
async def test_a_token_that_the_session_service_knows_is_kept(
    service: Service, web: httpx.AsyncClient, token: str
) -> None:
    answer = await web.post("/sign-in", data={"token": token, "next": "s/a%2Fb"})

    assert service.asked == [token.strip()]
    assert (answer.status_code, answer.headers["location"]) == (303, "./s/a%2Fb")
    assert answer.headers["set-cookie"].startswith(f"__Host-ai-chat={token.strip()}; ")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("token", ["", "a b", "x" * (MAX_KEPT + 1)])
async def test_what_cannot_be_kept_is_not_asked_for(service: Service, web: httpx.AsyncClient, token: str) -> None:
    answer = await web.post("/sign-in", data={"token": token})

    assert service.asked == []
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "set-cookie" not in answer.headers
    assert ("too long" if len(token) > MAX_KEPT else "not known here") in answer.text


@pytest.mark.parametrize(
    ("error", "status", "header", "said"),
    [
        (refused("TOKEN_INVALID"), 401, ("www-authenticate", "Bearer"), "not known here"),
        (refused("RATE_LIMITED", retry_after=7), 429, ("retry-after", "7"), "no &lt;b&gt;"),
        (refused("UNREACHABLE"), 503, ("retry-after", "1"), "does not answer"),
    ],
)
async def test_a_refusal_is_told_on_the_page_which_remembers_where_one_wanted_to_go(
    service: Service, web: httpx.AsyncClient, error: Exception, status: int, header: tuple[str, str], said: str
) -> None:
    service.error = error
    answer = await web.post("/sign-in", data={"token": "mine", "next": "s/x"})

    assert answer.status_code == status
    assert answer.headers[header[0]] == header[1]
    assert "set-cookie" not in answer.headers
    assert said in answer.text
    assert 'name="next" value="s/x"' in answer.text


async def test_the_last_of_two_fields_counts(service: Service, web: httpx.AsyncClient) -> None:
    await web.post("/sign-in", content="token=one&token=two", headers={"content-type": f"{FORM}; charset=utf-8"})

    assert service.asked == ["two"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"token=x", "application/json", 415),
        (b"token=x", "", 415),
        (b"token=%ff%fe", FORM, 400),
        (b"token=\xff", FORM, 400),
        (b"&".join([b"a=b"] * 11), FORM, 400),
        (b"token=" + b"x" * 16 * 1024, FORM, 413),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(
    service: Service, web: httpx.AsyncClient, content: bytes, kind: str, status: int
) -> None:
    answer = await web.post("/sign-in", content=content, headers={"content-type": kind})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert service.asked == []


async def test_signing_out_forgets_the_cookie(web: httpx.AsyncClient) -> None:
    answer = await web.post("/sign-out")

    assert (answer.status_code, answer.headers["location"]) == (303, "sign-in")
    assert answer.headers["set-cookie"].startswith("__Host-ai-chat=; ")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/sign-out", "POST"), ("PUT", "/sign-in", "GET, HEAD, POST"), ("DELETE", "/sign-out", "POST")],
)
async def test_nothing_else_is_possible(web: httpx.AsyncClient, method: str, path: str, allow: str) -> None:
    answer = await web.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
async def test_another_site_signs_nobody_in_or_out(service: Service, web: httpx.AsyncClient, path: str) -> None:
    answer = await web.post(path, data={"token": "theirs"}, headers={"origin": "https://evil.example"})

    assert answer.json()["reason"] == "ORIGIN_NOT_ALLOWED"
    assert "set-cookie" not in answer.headers
    assert service.asked == []


async def test_the_page_is_one_of_a_form_and_nothing_else(web: httpx.AsyncClient) -> None:
    answer = await web.get("/sign-in", params={"next": '"><script>'})
    directives = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))

    assert directives == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "font-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert answer.headers["referrer-policy"] == answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert 'name="next" value=""' in answer.text
    assert re.findall(r"__[A-Z_]+__", answer.text) == []


@pytest.mark.parametrize(
    ("path", "location"),
    [("/", "sign-in"), ("/s/x", "../sign-in?next=s%2Fx"), ("/s/a%2Fb", "../sign-in?next=s%2Fa%252Fb")],
)
def test_whoever_has_to_sign_in_is_told_where_and_comes_back(path: str, location: str) -> None:
    answer = to_sign_in(path)

    assert (answer.status_code, answer.headers["location"]) == (303, location)
    assert answer.headers["cache-control"] == "no-store"
