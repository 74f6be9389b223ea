"""What callers may use: counted by address and by token, given back when it ends, and told with a time to wait."""

import ipaddress
from typing import cast

import pytest
from session_svc.domain.access import Grant, Scope
from session_svc.domain.errors import RateLimited, ScopeMissing, TokenInvalid, TokenMissing
from session_svc.transport.access import TABLE
from session_svc.transport.caller import Caller
from session_svc.transport.errors import TooManyStreams
from session_svc.transport.guard import VISITS, Context, Guard, Quota

READ, WRITE = TABLE["GetSession"], TABLE["AppendMessages"]
WATCH = TABLE["WatchSession"]
SELDOM = 1e-4
"""A second: once is allowed, and then not again while a test runs."""


class Tokens:
    """Whose name is the token, and may read."""

    def __init__(self) -> None:
        self.asked = 0

    async def verify(self, token: str) -> Grant:
        self.asked += 1
        if token == "unknown":
            raise TokenInvalid
        return Grant(token, Scope.READ)


def bearing(token: str, address: str = "here") -> Caller:
    return Caller((("authorization", f"Bearer {token}"),), address)


def known(name: str, address: str = "here") -> Caller:
    return Caller((), address, grant=Grant(name, Scope.READ))


async def test_an_address_that_asks_too_often_is_refused_before_its_token_is_looked_at() -> None:
    tokens = Tokens()
    guard = Guard(tokens, per_address=Quota(requests=SELDOM))
    await guard.admit("GetSession", READ, bearing("ada"))
    with pytest.raises(RateLimited, match="this address") as refused:
        await guard.admit("GetSession", READ, bearing("eve"))
    assert refused.value.retry_after == pytest.approx(1 / SELDOM, rel=0.5)
    assert tokens.asked == 1
    await guard.admit("GetSession", READ, bearing("eve", "elsewhere"))


async def test_guesses_at_tokens_use_up_what_their_address_may_ask() -> None:
    guard = Guard(Tokens(), per_address=Quota(requests=SELDOM))
    with pytest.raises(TokenInvalid):
        await guard.admit("GetSession", READ, bearing("unknown"))
    with pytest.raises(RateLimited):
        await guard.admit("GetSession", READ, bearing("unknown"))


async def test_a_token_that_asks_too_often_is_refused_from_wherever_it_comes() -> None:
    guard = Guard(Tokens(), per_token=Quota(requests=SELDOM))
    with pytest.raises(ScopeMissing):
        await guard.admit("AppendMessages", WRITE, bearing("ada", "a"))
    with pytest.raises(RateLimited, match="this token") as refused:
        await guard.admit("GetSession", READ, bearing("ada", "b"))
    assert refused.value.retry_after == pytest.approx(1 / SELDOM, rel=0.5)
    await guard.admit("GetSession", READ, bearing("eve", "a"))


async def test_what_is_open_to_all_needs_no_token_and_uses_up_nothing() -> None:
    guard = Guard(Tokens(), per_address=Quota(requests=SELDOM, calls=1, streams=1))
    for _ in range(10):
        await guard.admit("Check", None, Caller((), "here"))
    for _ in range(VISITS):
        guard.open_call(Caller((), "here"), None)
        guard.open_stream(Caller((), "here"), None)
    with pytest.raises(RateLimited):
        guard.open_call(Caller((), "here"), None)
    with pytest.raises(TooManyStreams):
        guard.open_stream(Caller((), "here"), None)
    await guard.admit("GetSession", READ, bearing("ada"))
    guard.open_call(Caller((), "here"), READ)
    guard.open_stream(Caller((), "here"), WATCH)


async def test_without_a_token_nobody_is_let_in_and_with_one_its_bearer_is_known() -> None:
    guard = Guard(Tokens())
    with pytest.raises(TokenMissing):
        await guard.admit("GetSession", READ, Caller((), "here"))
    by = bearing("ada")
    await guard.admit("GetSession", READ, by)
    assert (by.name, by.token) == ("ada", "ada")


@pytest.mark.parametrize(
    ("of_address", "of_token", "second", "other"),
    [
        (Quota(bytes=SELDOM), None, known("eve"), known("ada", "elsewhere")),
        (None, Quota(bytes=SELDOM), known("ada", "elsewhere"), known("eve")),
    ],
    ids=["address", "token"],
)
def test_bytes_are_counted_together_whoever_sends_them_under_one_name(
    of_address: Quota | None, of_token: Quota | None, second: Caller, other: Caller
) -> None:
    guard = Guard(per_address=of_address, per_token=of_token)
    guard.data(known("ada"), 1)
    with pytest.raises(RateLimited) as refused:
        guard.data(second, 1)
    assert refused.value.retry_after == pytest.approx(1 / SELDOM, rel=0.5)
    guard.data(other, 1)


def test_a_call_has_its_place_until_it_ends() -> None:
    guard = Guard(per_address=Quota(calls=2))
    places = [guard.open_call(known(name), READ) for name in ("ada", "eve")]
    with pytest.raises(RateLimited, match="2 calls") as refused:
        guard.open_call(known("bob"), READ)
    assert refused.value.retry_after > 0
    guard.open_call(known("bob", "elsewhere"), READ)
    places[0]()
    guard.open_call(known("bob"), READ)


@pytest.mark.parametrize(
    ("of_address", "of_token"), [(Quota(streams=2), None), (None, Quota(streams=2))], ids=["address", "token"]
)
def test_a_stream_has_its_place_until_it_ends(of_address: Quota | None, of_token: Quota | None) -> None:
    guard = Guard(per_address=of_address, per_token=of_token)
    places = [guard.open_stream(known("ada"), WATCH) for _ in range(2)]
    with pytest.raises(TooManyStreams, match="2 open streams") as refused:
        guard.open_stream(known("ada"), WATCH)
    assert refused.value.retry_after > 0
    guard.open_stream(known("eve", "elsewhere"), WATCH)
    places[0]()
    guard.open_stream(known("ada"), WATCH)


def test_a_stream_that_its_token_is_refused_takes_no_place_of_its_address() -> None:
    guard = Guard(per_address=Quota(streams=2), per_token=Quota(streams=1))
    guard.open_stream(known("ada"), WATCH)
    for _ in range(5):
        with pytest.raises(TooManyStreams, match="this token"):
            guard.open_stream(known("ada"), WATCH)
    guard.open_stream(known("eve"), WATCH)


class Connection:
    """As much of gRPC's context as says who calls."""

    def __init__(self, peer: str, *forwarded: str) -> None:
        self._peer = peer
        self._metadata = tuple(("x-forwarded-for", text) for text in forwarded)

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata


PROXY = "ipv4:10.0.0.1:4444"


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        (Connection(PROXY, "203.0.113.7"), "203.0.113.7"),
        (Connection(PROXY, "198.51.100.1", "203.0.113.7, 10.0.0.2"), "203.0.113.7"),
        (Connection(PROXY, "x" * 100_000, "203.0.113.7"), "203.0.113.7"),
        (Connection(PROXY, "203.0.113.7," + " " * 100_000), "10.0.0.1"),
        (Connection(PROXY, "2001:db8:1:2::9"), "2001:db8:1:2::/64"),
        (Connection(PROXY, "203.0.113.7" + ", 10.0.0.2" * 100), "10.0.0.2"),
        (Connection(PROXY), "10.0.0.1"),
        (Connection("ipv4:198.51.100.1:4444", "203.0.113.7"), "198.51.100.1"),
    ],
)
def test_a_caller_is_counted_under_whom_trusted_proxies_say_it_is(connection: Connection, address: str) -> None:
    guard = Guard(trusted=(ipaddress.ip_network("10.0.0.0/8"),))
    assert guard.meet(cast("Context", connection)).address == address


def test_where_no_proxy_is_trusted_a_caller_is_whoever_is_connected() -> None:
    assert Guard().meet(cast("Context", Connection(PROXY, "203.0.113.7"))).address == "10.0.0.1"
