"""Who asks, and how they reached us: as the connection says, or a proxy that we trust."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aichat_runtime.proxies import Network, client_of, is_trusted
from starlette.datastructures import Headers


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
    if is_trusted(peer, trusted):
        scheme = _last(_forwarded(headers, "proto")).lower() or scheme
        authority = _last(_forwarded(headers, "host")).lower() or authority
    client = client_of(peer, _forwarded(headers, "for"), trusted)
    return Visitor(scheme, authority, _host_of(authority), client)


def _host_of(authority: str) -> str:
    if not authority or any(mark in authority for mark in "/@?#\\ \t"):
        return ""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _forwarded(headers: Headers, what: str) -> str:
    """All of X-Forwarded-`what`: some proxies add a line of their own below the one that the client sent."""
    return ",".join(headers.getlist(f"x-forwarded-{what}"))


def _last(value: str) -> str:
    return value.rpartition(",")[2].strip()
