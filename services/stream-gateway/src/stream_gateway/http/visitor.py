"""Who asks, and how they reached us: as the connection says, or a proxy that we trust."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from stream_gateway.settings import Network


@dataclass(frozen=True, slots=True)
class Visitor:
    """One request's origin.

    scheme     http or https, as the browser sees it
    authority  of the Host header, lower case, as the browser wrote it; empty when there is none, or more than one
    host       the name in it, without port and brackets
    client     the address of whoever asked, for the log
    """

    scheme: str
    authority: str
    host: str
    client: str

    @property
    def origin(self) -> str:
        """What a browser calls the origin of our page."""
        return f"{self.scheme}://{self.authority}"


def visitor_of(scope: Mapping[str, Any], headers: Headers, trusted: Sequence[Network]) -> Visitor:
    """Reads where a request comes from; X-Forwarded-* counts only from the addresses of trusted proxies."""
    peer = scope["client"][0] if scope.get("client") else ""
    hosts = headers.getlist("host")
    authority = hosts[0].lower() if len(hosts) == 1 else ""
    scheme = scope.get("scheme", "http")
    client = peer
    if _is_trusted(peer, trusted):
        scheme = _last(headers.get("x-forwarded-proto", "")).lower() or scheme
        authority = _last(headers.get("x-forwarded-host", "")).lower() or authority
        client = _first_untrusted(headers.get("x-forwarded-for", ""), trusted) or peer
    return Visitor(scheme, authority, _host_of(authority), client)


def _host_of(authority: str) -> str:
    if not authority or any(mark in authority for mark in "/@?#\\ \t"):
        return ""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _last(value: str) -> str:
    return value.rpartition(",")[2].strip()


def _first_untrusted(forwarded: str, trusted: Sequence[Network]) -> str:
    addresses = [item.strip() for item in forwarded.split(",") if item.strip()]
    for address in reversed(addresses):
        if not _is_trusted(address, trusted):
            return address
    return addresses[0] if addresses else ""


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)
