"""An application on a port: bound before anything is promised, limited in connections, stopped by Ctrl-C."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import uvicorn

from fauxley.errors import FauxleyError, UsageError
from fauxley.web.connections import ConnectionLimits, Connections

_BACKLOG = 512  # connections that are accepted at a time, before one of them can be closed
_FILES = 1024  # macOS begins with 256


def bind(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port in use is one line.

    Raises:
        UsageError: there is no such address or port.
        FauxleyError: it cannot be had.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"the port must be from 0 to 65535; got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name"
        raise UsageError(f"the host {host!r} is no address: {reason}") from error
    bound = socket.socket(family, kind, protocol)
    try:
        # What lets a server start again at once elsewhere would let others take its port on Windows.
        bound.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise FauxleyError(f"cannot listen on {host}, port {port}: {error.strerror}; choose another port") from error
    return bound


def address_of(bound: socket.socket, host: str, prefix: str = "") -> str:
    """The URL of what is served on a bound socket."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound.getsockname()[1]}{prefix}/"


class Server(uvicorn.Server):
    """Serves an application.

    Args:
        app: what to serve.
        limits: of connections.
        trust_proxy: address of a proxy whose word is taken for where requests come from; "" trusts none.
        announcement: printed once requests are taken, and not before: what was told too early could not be
            interrupted cleanly.
    """

    def __init__(
        self,
        app: Any,
        limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008
        trust_proxy: str = "",
        announcement: str = "",
    ) -> None:
        self._held = Connections(limits, trust_proxy)
        self._announcement = announcement
        config = uvicorn.Config(
            app,
            http=self._held.protocol,  # type: ignore[arg-type]
            log_level="error",  # what strangers send is no news
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            proxy_headers=bool(trust_proxy),
            forwarded_allow_ips=trust_proxy or None,
            backlog=_BACKLOG,
            h11_max_incomplete_event_size=16_384,
            timeout_keep_alive=round(limits.idle_seconds),
            timeout_graceful_shutdown=5,
        )
        super().__init__(config)

    def serve_on(self, bound: socket.socket) -> None:
        """Serve until interrupted; what is under way is finished, then the interrupt raised again."""
        _allow_files()
        self.run(sockets=[bound])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._sweeping = asyncio.create_task(self._held.sweep())
        if self._announcement:
            print(self._announcement, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sweeping.cancel()
        await super().shutdown(sockets)


def _allow_files() -> None:
    """A connection is a file to the system; let there be enough, where that can be said."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= soft < _FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES if hard < 0 else min(_FILES, hard), hard))
