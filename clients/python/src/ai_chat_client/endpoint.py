"""Where the service is, and whether the way there is encrypted."""

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit

DEFAULT_SERVER = "localhost:50051"

_EXAMPLES = "write HOST:PORT, http://HOST:PORT or https://HOST[:PORT], for example localhost:50051"
_GRPC_SCHEMES = ("dns:", "unix:", "unix-abstract:", "ipv4:", "ipv6:")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`target`: for gRPC. `tls`: whether to encrypt. `local`: whether only this machine is on the way."""

    target: str
    tls: bool
    local: bool

    @classmethod
    def parse(cls, text: str, *, tls: bool | None = None) -> Self:
        """Reads `HOST:PORT`, `http://HOST:PORT`, `https://HOST[:PORT]` or any gRPC target such as `dns:///HOST:PORT`.

        Loopback addresses and `http://` mean plaintext, anything else TLS, unless `tls` says otherwise. Of several
        addresses each must be loopback. Raises ValueError that shows the forms.
        """
        server = text.strip()
        if server.startswith(_GRPC_SCHEMES):
            if not server.partition(":")[2].strip("/"):
                raise ValueError(f"{text!r} names no server; {_EXAMPLES}")
            local = _stays_here(server)
            return cls(server, not local if tls is None else tls, local)
        scheme, separator, rest = server.rpartition("://")
        if separator and scheme not in {"http", "https"}:
            raise ValueError(f"{text!r} is no server address; {_EXAMPLES}")
        try:
            parts = urlsplit(f"//{rest}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"{text!r} is no server address ({error}); {_EXAMPLES}") from None
        if port is None and scheme == "https":
            port = 443
        if not host or port is None or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError(f"{text!r} is no server address; {_EXAMPLES}")
        local = _is_loopback(host)
        by_rule = scheme == "https" or (not scheme and not local)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return cls(target, by_rule if tls is None else tls, local)


def _stays_here(target: str) -> bool:
    """Whether a gRPC target, SCHEME:[//AUTHORITY/]ADDRESS[,ADDRESS...], leads nowhere but to this machine."""
    scheme, _, rest = target.partition(":")
    if scheme in {"unix", "unix-abstract"}:
        return True
    authority = ""
    if rest.startswith("//"):
        authority, _, rest = rest[2:].partition("/")
    # An authority is a name server of the caller's choice, which may give the name localhost to any machine.
    return not authority and all(_is_loopback(_host_of(address)) for address in unquote(rest).lstrip("/").split(","))


def _host_of(address: str) -> str:
    try:
        return urlsplit(f"//{address}").hostname or ""
    except ValueError:  # No address: gRPC says so.
        return ""


def _is_loopback(host: str) -> bool:
    name = host.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
