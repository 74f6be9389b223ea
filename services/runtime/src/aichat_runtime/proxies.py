"""Who asks when proxies that we trust speak for them."""

import ipaddress
from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(ipaddress.ip_network(item.strip(), strict=False) for item in value.split(",") if item.strip())
    except ValueError as error:
        raise ValueError(f"{error}; write addresses or networks, for example 10.0.0.0/8,192.168.1.5") from None


TrustedProxies = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
"""A setting: addresses and networks, separated by commas."""


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether `address` is one of a trusted proxy; what is no IP address never is."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


def client_of(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The address of whoever asked through the connection from `peer`.

    `forwarded` is X-Forwarded-For, to which each proxy adds whom it was asked by. It counts from its end, and only as
    far as those who wrote it are trusted: the rest is what somebody claims.
    """
    client = peer
    for hop in reversed(forwarded.split(",")):
        if not is_trusted(client, trusted) or _parsed(hop.strip()) is None:
            break
        client = hop.strip()
    return client


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped) or parsed
