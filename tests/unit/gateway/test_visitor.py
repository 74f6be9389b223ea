"""Who asks, and how they reached us, as the request and trusted proxies say."""

import ipaddress
from typing import Final

import pytest
from starlette.datastructures import Headers
from stream_gateway.http.visitor import Visitor, visitor_of

PROXIES: Final = (ipaddress.ip_network("10.0.0.0/8"),)


def seen(*headers: tuple[str, str], peer: str = "10.0.0.1") -> Visitor:
    """Whom we see behind a request that came from `peer`, without encryption."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return visitor_of({"client": (peer, 1), "scheme": "http"}, Headers(raw=raw), PROXIES)


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost:3000", "localhost"),
        ("localhost.", "localhost"),
        ("[::1]:3000", "::1"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("localhost@evil.example", ""),
        ("evil.example/localhost", ""),
        ("evil.example?localhost", ""),
        ("evil.example#localhost", ""),
        ("evil.example\\localhost", ""),
        ("evil.example localhost", ""),
        ("evil.example\tlocalhost", ""),
        ("[::1", ""),
        ("", ""),
    ],
)
def test_the_host_is_the_name_in_the_authority_if_that_is_one(authority: str, host: str) -> None:
    assert seen(("host", authority)).host == host


def test_two_hosts_are_none() -> None:
    visitor = seen(("host", "localhost"), ("host", "evil.example"))

    assert (visitor.authority, visitor.host) == ("", "")
    assert seen().host == ""


def test_the_origin_of_our_page_is_as_browsers_write_it() -> None:
    assert seen(("host", "LocalHost:3000")).origin == "http://localhost:3000"


def test_a_trusted_proxy_says_how_it_was_reached_and_by_whom() -> None:
    visitor = seen(
        ("host", "upstream"),
        ("x-forwarded-proto", "HTTPS"),
        ("x-forwarded-host", "Chat.example.com"),
        ("x-forwarded-for", "203.0.113.9"),
    )

    assert visitor == Visitor("https", "chat.example.com", "chat.example.com", "203.0.113.9")


def test_what_the_last_proxy_added_counts_in_one_line_or_in_its_own() -> None:
    in_one = seen(
        ("host", "upstream"),
        ("x-forwarded-proto", "http, https"),
        ("x-forwarded-host", "evil.example, chat.example.com"),
        ("x-forwarded-for", "198.51.100.66, 203.0.113.9"),
    )
    in_two = seen(
        ("host", "upstream"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-host", "chat.example.com"),
        ("x-forwarded-for", "198.51.100.66"),
        ("x-forwarded-for", "203.0.113.9"),
    )

    assert in_one == in_two == Visitor("https", "chat.example.com", "chat.example.com", "203.0.113.9")


def test_nobody_else_says_so() -> None:
    visitor = seen(
        ("host", "localhost"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "chat.example.com"),
        ("x-forwarded-for", "203.0.113.9"),
        peer="198.51.100.1",
    )

    assert visitor == Visitor("http", "localhost", "localhost", "198.51.100.1")
