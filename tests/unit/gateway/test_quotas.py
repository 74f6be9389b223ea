"""How much an address, and a token, may ask for before it is refused."""

from collections.abc import Callable
from typing import Final

import pytest
from stream_gateway.http.credentials import Credential
from stream_gateway.http.problems import Problem
from stream_gateway.http.quotas import Quotas
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings
from stream_gateway.viewer import Viewer

HERE: Final = Visitor("http", "localhost", "localhost", "127.0.0.1")
MINE: Final = Credential("mine", ambient=False)
OTHER: Final = Credential("other", ambient=True)


def quotas(**limits: float) -> Quotas:
    """Without limits but those."""
    none = {f"limit_{whose}_{what}": 0 for whose in ("address", "token") for what in ("requests", "bytes", "streams")}
    return Quotas(GatewaySettings.model_validate({**none, **limits}))


def at(address: str) -> Visitor:
    """Somebody at that address."""
    return Visitor("http", "localhost", "localhost", address)


def refusal(ask: Callable[[], object]) -> str:
    """The reason for which it is refused; empty: it is not."""
    try:
        ask()
    except Problem as problem:
        return problem.reason if int(problem.headers["retry-after"]) >= 1 else "for no time"
    return ""


def test_requests_are_counted_of_each_address_and_of_each_token() -> None:
    address, token = quotas(limit_address_requests=0.1), quotas(limit_token_requests=0.1)

    assert refusal(lambda: address.request_from(at("203.0.113.1"))) == ""
    assert refusal(lambda: address.request_from(at("203.0.113.1"))) == "RATE_LIMITED"
    assert refusal(lambda: address.request_from(at("203.0.113.2"))) == ""
    assert refusal(lambda: address.request_with(MINE)) == ""
    assert refusal(lambda: token.request_with(MINE)) == ""
    assert refusal(lambda: token.request_with(MINE)) == "RATE_LIMITED"
    assert refusal(lambda: token.request_with(OTHER)) == ""
    assert refusal(lambda: token.request_with(None)) == ""
    assert refusal(lambda: token.request_from(at("203.0.113.1"))) == ""


def test_bytes_are_counted_of_each_address_and_of_each_token() -> None:
    address, token = quotas(limit_address_bytes=100), quotas(limit_token_bytes=100)

    assert refusal(lambda: address.body(at("203.0.113.1"), MINE, 1000)) == ""
    assert refusal(lambda: address.body(at("203.0.113.1"), OTHER, 100)) == "RATE_LIMITED"
    assert refusal(lambda: address.body(at("203.0.113.2"), MINE, 100)) == ""
    assert refusal(lambda: token.body(at("203.0.113.1"), MINE, 1000)) == ""
    assert refusal(lambda: token.body(at("203.0.113.2"), MINE, 100)) == "RATE_LIMITED"
    assert refusal(lambda: token.body(at("203.0.113.1"), OTHER, 100)) == ""


@pytest.mark.parametrize(("limit", "second"), [("limit_address_streams", OTHER), ("limit_token_streams", MINE)])
def test_streams_are_counted_until_their_end(limit: str, second: Credential) -> None:
    found = quotas(**{limit: 1})
    who = at("203.0.113.1") if second is OTHER else at("203.0.113.2")
    first, later = Viewer(), Viewer()

    found.stream(at("203.0.113.1"), MINE, first)
    assert refusal(lambda: found.stream(who, second, Viewer())) == "TOO_MANY_STREAMS"
    found.stream(at("203.0.113.9"), Credential("third", ambient=False), Viewer())
    first.end()
    found.stream(who, second, later)
    assert refusal(lambda: found.stream(who, second, Viewer())) == "TOO_MANY_STREAMS"


def test_addresses_of_this_machine_are_not_counted_and_its_tokens_are() -> None:
    found = quotas(limit_address_requests=0.1, limit_address_bytes=1, limit_address_streams=1, limit_token_requests=0.1)

    for address in ("127.0.0.1", "127.9.9.9", "::1"):
        for _ in range(3):
            found.request_from(at(address))
            found.body(at(address), None, 1000)
            found.stream(at(address), None, Viewer())
    found.request_with(MINE)
    assert refusal(lambda: found.request_with(MINE)) == "RATE_LIMITED"


def test_a_name_for_an_address_is_cut_so_that_nobody_has_room_for_many() -> None:
    found = quotas(limit_address_requests=0.1)

    found.request_from(at("x" * 10_000 + "1"))
    assert refusal(lambda: found.request_from(at("x" * 10_000 + "2"))) == "RATE_LIMITED"
