"""Who asked, as far as those who say so are trusted."""

import ipaddress

import pytest
from aichat_runtime.proxies import TrustedProxies, client_of
from pydantic import TypeAdapter, ValidationError

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1 , 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "x" * 10_000, "10.0.0.1"),
        ("unix", "198.51.100.1", "unix"),
    ],
)
def test_the_last_address_that_no_trusted_proxy_has_is_the_clients(peer: str, forwarded: str, client: str) -> None:
    assert client_of(peer, forwarded, TRUSTED) == client


def test_without_trusted_proxies_the_connection_alone_counts() -> None:
    assert client_of("10.0.0.1", "198.51.100.1", ()) == "10.0.0.1"


def test_proxies_are_addresses_and_networks_with_commas_between() -> None:
    setting = TypeAdapter(TrustedProxies)
    assert setting.validate_python("10.1.2.3/8, 192.168.1.5,,fd00::/8,") == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("192.168.1.5/32"),
        ipaddress.ip_network("fd00::/8"),
    )
    assert setting.validate_python("") == ()
    with pytest.raises(ValidationError, match="for example"):
        setting.validate_python("10.0.0.0/99")
