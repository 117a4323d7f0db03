"""What stands between the listening page and the world: an ASGI layer that trusts no request.

A body has a size and a time in which it must arrive, an address so many requests a minute, and a request that another
site's page sends is refused. Every answer, whatever it says, carries the same headers: nothing may be loaded from
elsewhere, framed, guessed at or kept by a cache.
"""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"x-robots-tag", b"noindex"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True)
class Limits:
    """How much the server puts up with.

    Attributes:
        body_bytes: of a request.
        body_seconds: in which it must have arrived.
        requests_per_minute: of one address.
        listeners_per_hour: that may begin from one address; a class behind one router is one address.
        listeners: of the study in all.
    """

    body_bytes: int = 2048
    body_seconds: float = 10.0
    requests_per_minute: int = 3000
    listeners_per_hour: int = 200
    listeners: int = 10_000


class Allowance:
    """So much at once for each key, refilled evenly over `seconds`: a token bucket. Knows the last 10,000 keys."""

    _MOST_KEYS = 10_000

    def __init__(self, amount: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._amount, self._rate, self._clock = float(amount), amount / seconds, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Whether there was one left for this key; if so, it is used."""
        now = self._clock()
        left, since = self._left.pop(key, (self._amount, now))
        left = min(self._amount, left + (now - since) * self._rate)
        self._left[key] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > self._MOST_KEYS:
            self._left.popitem(last=False)
        return left >= 1


class Guard:
    """Wraps an application.

    Args:
        app: what is wrapped.
        limits: how much to put up with.
        prefix: in front of all paths, "" or "/study", if a proxy passes it on; paths without it are understood too.
    """

    def __init__(self, app: App, limits: Limits, prefix: str = "") -> None:
        self._app, self._limits, self._prefix = app, limits, prefix
        self._requests = Allowance(limits.requests_per_minute, 60.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no web sockets

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in HEADERS}
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
                message = {**message, "headers": [*kept, *HEADERS]}
            await send(message)

        if not self._requests.take(client_address(scope)):
            await _refuse(send_with_headers, 429, "too many requests; wait a little")
        elif _from_elsewhere(scope):
            await _refuse(send_with_headers, 403, "requests from other sites are refused")
        else:
            try:
                body = await asyncio.wait_for(_read_body(receive, self._limits.body_bytes), self._limits.body_seconds)
            except TimeoutError:
                await _refuse(send_with_headers, 408, "the request took too long")
                return
            if body is None:
                await _refuse(send_with_headers, 413, "the request is too large")
                return
            await self._app(self._without_prefix(scope), _replay(body, receive), send_with_headers)

    def _without_prefix(self, scope: Scope) -> Scope:
        path = str(scope["path"])
        if not self._prefix or not path.startswith(f"{self._prefix}/"):
            return scope
        return {**scope, "path": path.removeprefix(self._prefix), "raw_path": None}


def client_address(scope: Scope) -> str:
    """Whom a request is from, as far as the network says; of IPv6 the 64 bits that a household has."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    return ":".join(host.split(":")[:4]) if host.count(":") > 1 else host


def _from_elsewhere(scope: Scope) -> bool:
    """Whether a browser says that another site's page made the request. Only reading the page itself is free."""
    headers = dict(scope["headers"])
    site = headers.get(b"sec-fetch-site", b"same-origin")
    return scope["method"] != "GET" and site not in (b"same-origin", b"none")


async def _read_body(receive: Receive, most: int) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # What was not read of a body must not be taken for the next request.
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
