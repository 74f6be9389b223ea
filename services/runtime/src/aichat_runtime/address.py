"""Where a service listens or is reached: a host and a port."""

import ipaddress
from dataclasses import dataclass
from typing import Final, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

_EVERY_INTERFACE: Final = ("0.0.0.0", "::")  # noqa: S104 - To recognise them, not to bind them.


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host name or IP address and a port, 0 for any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `host:port` or `[v6]:port`; raises ValueError that shows the form."""
        host, colon, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            host = ""
        if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ValueError(f"{text!r} is no address; write host:port, for example 127.0.0.1:3000 or [::1]:3000")
        return cls(host, int(port))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Lets a settings field be an Address, read from text."""
        del source, handler
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(str(value))
        )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def reachable(self) -> "Address":
        """Where this machine reaches what listens here: loopback for "every interface"."""
        if self.host not in _EVERY_INTERFACE:
            return self
        return Address("::1" if ":" in self.host else "127.0.0.1", self.port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an IP address, is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_of(text: str) -> str:
    """The host of `host` or `host:port`. Raises ValueError that shows the form."""
    try:
        return Address.parse(text).host
    except ValueError:
        host = text.strip().removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not host or any(mark in ":/[]" or mark.isspace() for mark in host):
            raise ValueError(f"{text!r} is no host; write a name or an address: 127.0.0.1") from None
    return host
