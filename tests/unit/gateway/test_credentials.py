"""The token that a request brings, and the cookie that keeps it."""

from typing import Final

import pytest
from starlette.datastructures import Headers
from stream_gateway.http.credentials import MAX_TOKEN, Cookie, Credential, credential_of
from stream_gateway.http.problems import Problem
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

PLAIN: Final = Visitor("http", "localhost:3000", "localhost", "127.0.0.1")
BY_TLS: Final = Visitor("https", "localhost:3000", "localhost", "127.0.0.1")


def cookie(public_url: str | None = None) -> Cookie:
    """The cookie of a gateway that is reached there."""
    return Cookie(GatewaySettings(public_url=public_url))


def brought(*headers: tuple[str, str]) -> Credential | None:
    """What a request with these headers brings."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return credential_of(Headers(raw=raw), PLAIN, cookie())


@pytest.mark.parametrize(
    ("public_url", "visitor", "name", "attributes"),
    [
        (None, PLAIN, "ai-chat", {"Path=/"}),
        (None, BY_TLS, "__Host-ai-chat", {"Path=/", "Secure"}),
        ("https://chat.example.com", PLAIN, "__Host-ai-chat", {"Path=/", "Secure"}),
        ("https://chat.example.com/team/", PLAIN, "__Secure-ai-chat", {"Path=/team", "Secure"}),
        ("http://chat.example.com/team/", PLAIN, "ai-chat", {"Path=/team"}),
        ("http://chat.example.com/team/", BY_TLS, "__Secure-ai-chat", {"Path=/team", "Secure"}),
    ],
)
def test_the_cookie_is_for_this_site_alone_and_for_tls_where_there_is_any(
    public_url: str | None, visitor: Visitor, name: str, attributes: set[str]
) -> None:
    kept, *said = cookie(public_url).kept(visitor, "secret").split("; ")
    forgotten, *said_then = cookie(public_url).forgotten(visitor).split("; ")

    always = {"HttpOnly", "SameSite=Strict"}
    assert (kept, set(said)) == (f"{name}=secret", attributes | always | {"Max-Age=2592000"})
    assert (forgotten, set(said_then)) == (f"{name}=", attributes | always | {"Max-Age=0"})


def test_the_header_counts_before_the_cookie_and_is_not_sent_unasked() -> None:
    kept = ("cookie", "other=x; ai-chat=kept")

    assert brought() is None
    assert brought(kept) == Credential("kept", ambient=True)
    assert brought(kept, ("authorization", "Bearer sent")) == Credential("sent", ambient=False)
    assert brought(kept, ("authorization", "BEARER  sent ")) == Credential("sent", ambient=False)
    assert brought(kept, ("authorization", "Basic eDp5")) == Credential("kept", ambient=True)
    assert brought(("authorization", "Basic eDp5"), ("authorization", "Bearer sent")) == Credential(
        "sent", ambient=False
    )


def test_a_cookie_is_found_in_any_of_several_headers() -> None:
    assert brought(("cookie", "a=b"), ("cookie", "ai-chat=kept")) == Credential("kept", ambient=True)
    assert brought(("cookie", "ai-chat=kept"), ("cookie", "a=b")) == Credential("kept", ambient=True)
    assert brought(("cookie", "__Host-ai-chat=kept; ai-chat=")) is None


@pytest.mark.parametrize("token", ["", "a b", "é", "a\tb", "a,b", "=", "a=b", "x" * (MAX_TOKEN + 1)])
def test_what_cannot_be_a_token_is_refused_as_one(token: str) -> None:
    with pytest.raises(Problem) as refusal:
        brought(("authorization", f"Bearer {token}"))

    assert (refusal.value.status, refusal.value.reason) == (401, "TOKEN_INVALID")
    assert refusal.value.headers == {"www-authenticate": "Bearer"}
    assert brought(("authorization", f"Bearer {'x' * MAX_TOKEN}")) == Credential("x" * MAX_TOKEN, ambient=False)


def test_a_token_is_not_written_where_a_credential_is() -> None:
    assert "secret" not in repr(Credential("secret", ambient=False))
