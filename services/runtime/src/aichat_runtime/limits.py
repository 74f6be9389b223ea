"""How much one caller may ask for: rates and open streams by key, in bounded memory."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from time import monotonic
from typing import Final
from urllib.parse import unquote

KEYS: Final = 10_000
"""How many callers are told apart at once."""

BURST_SECONDS: Final = 10.0
"""How many seconds' worth may come at once from one who was quiet before."""

_IPV6_PREFIX: Final = 64
_ROUNDING: Final = 1e-6


class RateLimit:
    """A token bucket for each key.

    A bucket is one number, the moment at which it is full again. Where there are more than `keys`, the one that was
    allowed something longest ago is forgotten, and begins again with a full bucket.
    """

    def __init__(
        self,
        per_second: float,
        *,
        burst_seconds: float = BURST_SECONDS,
        keys: int = KEYS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`per_second` 0: no limit."""
        self._cost = 1 / per_second if per_second else 0.0
        self._burst = burst_seconds
        self._keys = keys
        self._clock = clock
        self._full: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full)

    def take(self, key: str, amount: float = 1.0) -> float:
        """Takes `amount` for `key`; 0.0: it was allowed. Else nothing is taken: after so many seconds it will be.

        What is more than a whole bucket is allowed when the bucket is full, and then has to be waited for.
        """
        if not self._cost:
            return 0.0
        now = self._clock()
        full = self._full.get(key, now)
        full = max(full, now)
        needs = amount * self._cost
        over = full - now + needs - max(self._burst, needs)
        if over > _ROUNDING:
            return over
        self._full[key] = full + needs
        self._full.move_to_end(key)
        if len(self._full) > self._keys:
            self._full.popitem(last=False)
        return 0.0


class OpenLimit:
    """How many of something each key may have open. Memory is bounded by what is open."""

    def __init__(self, limit: int) -> None:
        """`limit` 0: no limit."""
        self.limit = limit
        self._most = limit or math.inf
        self._open: dict[str, int] = {}

    def __len__(self) -> int:
        """How many keys have something open."""
        return len(self._open)

    def open(self, key: str) -> bool:
        """Counts one more for `key`; False, and counts nothing, when it has as many as it may. Each needs a `close`."""
        count = self._open.get(key, 0)
        if count >= self._most:
            return False
        self._open[key] = count + 1
        return True

    def close(self, key: str) -> None:
        """Counts one less for `key`."""
        count = self._open[key] - 1
        if count:
            self._open[key] = count
        else:
            del self._open[key]


def address_key(host: str) -> str:
    """Under what an address is counted: itself, but an IPv6 one by its network, of which one caller has all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))


def peer_host(peer: str) -> str:
    """The host of a peer as gRPC writes it: `ipv4:1.2.3.4:5`, `ipv6:%5B::1%5D:5`; its kind when it has none."""
    kind, _, rest = peer.partition(":")
    return unquote(rest).rpartition(":")[0].strip("[]") if kind in {"ipv4", "ipv6"} else kind


@lru_cache(maxsize=KEYS)
def peer_key(peer: str) -> str:
    """`address_key` of the host of a peer as gRPC writes it."""
    return address_key(peer_host(peer))
