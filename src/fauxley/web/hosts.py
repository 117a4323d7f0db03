"""Which names a server goes by, so that a page of somebody else cannot pass for its own.

An attacker's page may have its name lead to this machine while it is open (DNS rebinding); the browser then takes the
server for the attacker's own. It still says which name it asked for, so a name that is not known is refused. Addresses
cannot be rebound, and nobody else can be `localhost`.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

from fauxley.errors import UsageError

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:/?#@\s]+)(:(?P<port>\d{1,5}))?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


class Hosts:
    """The names of a server: addresses, localhost, this machine's own, and those that it is told.

    Args:
        allowed: further names, such as `example.org` or `*.example.org`; `*` allows every name.

    Raises:
        UsageError: one is no name.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(map(_check, allowed))
        own = socket.gethostname().lower().partition(".")[0]
        self._own = {"localhost", own, f"{own}.local"}

    def know(self, host: str) -> bool:
        """Whether what a request says in `Host` is a name of this server."""
        name, _ = _split(host)
        return bool(name) and (_is_address(name) or name in self._own or self._is_allowed(name))

    def are_asked_by(self, origin: str, host: str) -> bool:
        """Whether a page of `origin`, which asks for `host`, is this server's own."""
        scheme, _, rest = origin.partition("://")
        name, port = _split(rest)
        if scheme not in _PORTS or not name:
            return False
        its_name, its_port = _split(host)
        default = _PORTS[scheme]
        return (name, port or default) == (its_name, its_port or default) or self._is_allowed(name)

    def _is_allowed(self, name: str) -> bool:
        parents = [f"*.{name[place + 1 :]}" for place, letter in enumerate(name) if letter == "."]
        return not self._allowed.isdisjoint({"*", name, *parents})


def _check(name: str) -> str:
    plain, _ = _split(name)
    if name != "*" and not re.fullmatch(r"(\*\.)?[\w.-]+|\[.+\]", plain):
        raise UsageError(f"an allowed host is a name such as example.org; got {name!r}")
    return plain


def _split(host: str) -> tuple[str, int]:
    """Name and port, 0 if none is said; no name if it makes no sense."""
    match = _HOST.fullmatch(host.strip())
    return (match["name"].lower().rstrip("."), int(match["port"] or 0)) if match else ("", 0)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
