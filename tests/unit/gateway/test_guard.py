"""Whose requests are served: by which name we are reached, from which page, and with what kind of body."""

from typing import Final

import pytest
from starlette.datastructures import Headers
from stream_gateway.http.credentials import Credential
from stream_gateway.http.guard import Guard
from stream_gateway.http.problems import Problem
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

JSON: Final = {"content-type": "application/json"}
COOKIE: Final = Credential("t", ambient=True)
HEADER: Final = Credential("t", ambient=False)
TOKENS: Final[dict[str, object]] = {"gateway_token": "g"}


def here(authority: str = "localhost:3000", scheme: str = "http") -> Visitor:
    """Somebody who reaches us by that name."""
    return Visitor(scheme, authority, authority.rpartition(":")[0] or authority, "127.0.0.1")


def judged(
    method: str,
    headers: dict[str, str],
    credential: Credential | None = None,
    visitor: Visitor | None = None,
    settings: dict[str, object] | None = None,
) -> str:
    """The reason of the refusal of a request to the API; empty: it is served."""
    guard = Guard(GatewaySettings.model_validate(settings or {}))
    try:
        guard.check_api(method, visitor or here(), Headers(headers), credential)
    except Problem as problem:
        return problem.reason
    return ""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        (None, "ORIGIN_NOT_ALLOWED"),
        ("null", "ORIGIN_NOT_ALLOWED"),
        ("http://localhost:3000", ""),
        ("HTTP://LocalHost:3000", ""),
        ("http://localhost", "ORIGIN_NOT_ALLOWED"),
        ("https://localhost:3000", "ORIGIN_NOT_ALLOWED"),
        ("http://evil.example", "ORIGIN_NOT_ALLOWED"),
    ],
)
def test_a_browser_writes_from_our_own_page_only(method: str, origin: str | None, reason: str) -> None:
    headers = JSON if origin is None else {**JSON, "origin": origin}

    assert judged(method, headers) == reason
    assert judged(method, headers, COOKIE, settings=TOKENS) == reason
    assert judged(method, headers, HEADER, settings=TOKENS) == ""


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://Chat.example.com", "https://chat.EXAMPLE.com"])
def test_our_own_page_is_the_one_by_which_we_are_reached_and_the_public_one(origin: str) -> None:
    for method in ("POST", "GET"):
        headers = {**JSON, "origin": origin}
        assert judged(method, headers, settings={"public_url": "https://chat.example.com/team/"}) == ""
        other = {**JSON, "origin": "https://chat.example.com:444"}
        assert judged(method, other, settings={"public_url": "https://chat.example.com"}) == "ORIGIN_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, ""),
        ({"origin": "http://localhost:3000"}, ""),
        ({"sec-fetch-site": "same-origin"}, ""),
        ({"sec-fetch-site": "none"}, ""),
        ({"origin": "http://evil.example"}, "ORIGIN_NOT_ALLOWED"),
        ({"origin": "null"}, "ORIGIN_NOT_ALLOWED"),
        ({"sec-fetch-site": "same-site"}, "ORIGIN_NOT_ALLOWED"),
        ({"sec-fetch-site": "cross-site"}, "ORIGIN_NOT_ALLOWED"),
    ],
)
def test_another_sites_page_does_not_read_in_its_visitors_name(headers: dict[str, str], reason: str) -> None:
    assert judged("GET", headers) == reason
    assert judged("GET", headers, COOKIE, settings=TOKENS) == reason
    assert judged("GET", headers, HEADER, settings=TOKENS) == ""


@pytest.mark.parametrize(
    ("settings", "host", "allowed"),
    [
        ({}, "localhost", True),
        ({"gateway_listen": "0.0.0.0:3000", "published_address": "127.0.0.1"}, "localhost", True),
        ({"gateway_listen": "0.0.0.0:3000", "allow_anonymous": True}, "localhost", False),
        ({"published_address": "203.0.113.7", "allow_anonymous": True}, "localhost", False),
        ({"gateway_hosts": "chat.example.com"}, "chat.example.com", False),
        ({"gateway_write": True, "gateway_hosts": "chat.example.com"}, "chat.example.com", True),
        ({"gateway_write": False}, "localhost", False),
        ({"gateway_token": "g"}, "chat.example.com", True),
        ({"gateway_token": "g", "gateway_write": False}, "localhost", False),
    ],
)
def test_writing_is_on_where_only_this_machine_can_and_where_tokens_decide(
    settings: dict[str, object], host: str, allowed: bool
) -> None:
    visitor = here(f"{host}:3000")
    headers = {**JSON, "origin": visitor.origin}

    assert Guard(GatewaySettings.model_validate(settings)).may_write(visitor) is allowed
    assert judged("POST", headers, visitor=visitor, settings=settings) == ("" if allowed else "WRITE_DISABLED")
    assert judged("GET", headers, visitor=visitor, settings=settings) == ""


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("application/json", ""),
        ("Application/JSON ; charset=utf-8", ""),
        ("text/plain", "INVALID_FIELD"),
        ("application/x-www-form-urlencoded", "INVALID_FIELD"),
        ("text/plain; application/json", "INVALID_FIELD"),
        ("", "INVALID_FIELD"),
    ],
)
def test_only_what_a_form_cannot_send_is_taken_as_a_body(kind: str, reason: str) -> None:
    headers = {"content-type": kind, "origin": here().origin}

    for method in ("POST", "PUT", "PATCH"):
        assert judged(method, headers) == reason
    assert judged("DELETE", {"origin": here().origin}) == ""


@pytest.mark.parametrize(
    ("settings", "served", "refused"),
    [
        ({}, ("localhost", "127.0.0.1", "::1"), ("chat.example.com", "", "10.0.0.7")),
        ({"gateway_hosts": "inside.example"}, ("inside.example",), ("localhost", "")),
        ({"public_url": "https://chat.example.com"}, ("localhost", "chat.example.com"), ("evil.example",)),
        ({"gateway_token": "g"}, ("localhost", "evil.example", ""), ()),
        ({"gateway_token": "g", "gateway_hosts": "inside.example"}, ("inside.example",), ("evil.example", "")),
    ],
)
def test_it_is_reached_by_the_names_that_are_its_own(
    settings: dict[str, object], served: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    guard = Guard(GatewaySettings.model_validate(settings))

    for host in served:
        guard.check_host(Visitor("http", host, host, ""))
    for host in refused:
        with pytest.raises(Problem, match="GATEWAY_HOSTS"):
            guard.check_host(Visitor("http", host, host, ""))
