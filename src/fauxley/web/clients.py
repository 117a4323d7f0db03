"""Who asks, as far as a network can tell, and how much each may ask for."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any

_IPV6_PREFIX = 64  # what one household or one rented machine has
_MOST_KEYS = 10_000
_LONGEST = 64


def client_of(scope: MutableMapping[str, Any]) -> str:
    """Whom an ASGI request is from; see `network_of`."""
    client = scope.get("client")
    return network_of(str(client[0]) if client else "")


def network_of(host: str) -> str:
    """The network that an address stands for: itself if it is IPv4, also one that is written as IPv6; else its /64.

    What is no address (a proxy may say anything) stands for itself.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:_LONGEST]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, _IPV6_PREFIX), strict=False))


class Allowance:
    """So much at once for each key, refilled evenly over `seconds`: a token bucket. Knows the last 10,000 keys."""

    def __init__(self, amount: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._amount, self._rate, self._clock = float(amount), amount / seconds, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Whether there was one left for this key; if so, it is used."""
        now = self._clock()
        left, since = self._left.pop(key, (self._amount, now))
        left = min(self._amount, left + (now - since) * self._rate)
        self._left[key] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > _MOST_KEYS:
            self._left.popitem(last=False)
        return left >= 1
