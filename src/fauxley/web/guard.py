"""What stands between a page of ours and the world: an ASGI layer that trusts no request.

A body has a size and a time in which it must arrive, an address so many requests a minute; a request for another
server's name, or that another site's page sends, is refused. Every answer, whatever it says, carries the same headers:
nothing may be loaded from elsewhere, framed, guessed at or kept by a cache. What fails on our side is one line on the
terminal and says nothing to whoever asked.
"""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fauxley.errors import printable
from fauxley.terminal.outputs import say
from fauxley.web.clients import Allowance, client_of
from fauxley.web.hosts import Hosts

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
class RequestLimits:
    """What a request may be.

    Attributes:
        body_bytes: of a request.
        body_seconds: in which it must have arrived.
        requests_per_minute: of one address.
    """

    body_bytes: int = 2048
    body_seconds: float = 10.0
    requests_per_minute: int = 3000


class Guard:
    """Wraps an application.

    Args:
        app: what is wrapped.
        limits: how much to put up with.
        hosts: names that the server goes by.
        prefix: in front of all paths, "" or "/study", if a proxy passes it on; paths without it are understood too.
    """

    def __init__(self, app: App, limits: RequestLimits, hosts: Hosts, prefix: str = "") -> None:
        self._app, self._limits, self._hosts, self._prefix = app, limits, hosts, prefix
        self._requests = Allowance(limits.requests_per_minute, 60.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no web sockets

        answer = _Answer(send)
        if not self._requests.take(client_of(scope)):
            await _refuse(answer, 429, "too many requests; wait a little")
        elif not self._hosts.know(_header(scope, b"host")):
            await _refuse(answer, 421, "this server does not go by that name; whoever runs it can allow it")
        elif self._is_from_elsewhere(scope):
            await _refuse(answer, 403, "requests from other sites are refused")
        else:
            try:
                body = await asyncio.wait_for(_read_body(receive, self._limits.body_bytes), self._limits.body_seconds)
            except TimeoutError:
                await _refuse(answer, 408, "the request took too long")
                return
            if body is None:
                await _refuse(answer, 413, "the request is too large")
                return
            try:
                await self._app(self._without_prefix(scope), _replay(body, receive), answer)
            except Exception as error:
                say(_in_one_line(scope, error))
                if not answer.begun:
                    await _refuse(answer, 500, "something went wrong here")

    def _is_from_elsewhere(self, scope: Scope) -> bool:
        """Whether a browser says that another site's page made the request. Only following a link is free."""
        origin = _header(scope, b"origin")
        if origin and not self._hosts.are_asked_by(origin, _header(scope, b"host")):
            return True
        site = _header(scope, b"sec-fetch-site") or "same-origin"
        return scope["method"] != "GET" and site not in ("same-origin", "none")

    def _without_prefix(self, scope: Scope) -> Scope:
        path = str(scope["path"])
        if not self._prefix or not path.startswith(f"{self._prefix}/"):
            return scope
        return {**scope, "path": path.removeprefix(self._prefix), "raw_path": None}


class _Answer:
    """Sends what an application answers, under our headers.

    Attributes:
        begun: whether anything was sent.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        if message["type"] == "http.response.start":
            names = {name for name, _ in HEADERS}
            kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
            message = {**message, "headers": [*kept, *HEADERS]}
        await self._send(message)


def _header(scope: Scope, wanted: bytes) -> str:
    """The value of a header, "" if there is none; what is there twice makes no sense."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
    return ", ".join(values)


def _in_one_line(scope: Scope, error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    request = f"{scope['method']} {printable(str(scope['path']))}"
    return f"fauxley: {request} failed: {type(error).__name__} {printable(str(error))} ({where})"


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
