"""How many connections a server holds, and how long it waits for whoever is at the other end.

A connection costs its maker nothing, so a server must not run out of them because of those who connect and say nothing,
send a byte a second, or do not take what they asked for. What it waits for the *client* to do has a deadline. And
where there are too many, of one address or in all, the one that has been waited for longest has to go, so that whoever
comes next and does ask is answered: silence never crowds out requests.
"""

import asyncio
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fauxley.web.clients import network_of

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n"
    b"content-type: application/json\r\ncontent-length: 33\r\n\r\n"
    b'{"detail":"too many connections"}'
)


@dataclass(frozen=True)
class ConnectionLimits:
    """What the server holds and waits for.

    Attributes:
        in_all: connections.
        of_one_address: of them; a class behind one router is one address, and so is a tunnel.
        head_seconds: in which a request's head must have come whole.
        idle_seconds: until the next request of a connection, and until an answer is taken, which has more time:
        bytes_per_second: at which a client must take it.
        sweep_seconds: between two looks at who is late.
    """

    in_all: int = 200
    of_one_address: int = 100
    head_seconds: float = 10.0
    idle_seconds: float = 30.0
    bytes_per_second: float = 4000.0
    sweep_seconds: float = 1.0


class Connections:
    """All connections of a server.

    Args:
        limits: how many, and how long.
        trusted: an address that may have as many as there are in all, as a proxy does; "" for none.
    """

    def __init__(self, limits: ConnectionLimits, trusted: str = "") -> None:
        self.limits = limits
        self._trusted = network_of(trusted)
        self._of: defaultdict[str, set[Connection]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def protocol(self, **arguments: Any) -> "Connection":
        """What uvicorn makes one of for each connection."""
        return Connection(self, **arguments)

    def enter(self, connection: "Connection") -> bool:
        """Let it in; another may have to go. False: there is no room, since all are being answered."""
        own = self._of[connection.network]
        if connection.network != self._trusted and len(own) >= self.limits.of_one_address and not _drop_one(own):
            return False
        if len(self) >= self.limits.in_all:
            by_number = sorted(self._of.values(), key=len, reverse=True)
            if not any(map(_drop_one, by_number)):  # whoever has most of them loses one
                return False
        self._of[connection.network].add(connection)
        return True

    def leave(self, connection: "Connection") -> None:
        """Forget it. May be told twice."""
        self._of[connection.network].discard(connection)
        if not self._of[connection.network]:
            del self._of[connection.network]

    async def sweep(self) -> None:
        """Drop who is late, for ever."""
        while True:
            await asyncio.sleep(self.limits.sweep_seconds)
            now = asyncio.get_running_loop().time()
            for connection in [each for own in self._of.values() for each in own if each.is_late(now)]:
                connection.drop()


def _drop_one(connections: "set[Connection]") -> bool:
    """Drop the one of them that has been waited for longest; False if none is waited for."""
    waiting = [each for each in connections if each.is_waiting]
    if waiting:
        min(waiting, key=lambda each: each.since).drop()
    return bool(waiting)


class Connection(H11Protocol):
    """uvicorn's own, with a clock.

    Attributes:
        network: who is at the other end.
        since: when the server began to wait for what it waits for, in the event loop's time.
    """

    def __init__(self, connections: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._all = connections
        self.network = ""
        self.since = 0.0
        self._deadline = math.inf

    @property
    def is_waiting(self) -> bool:
        """Whether it is the client's turn: to send the rest of a request, or to take the answer."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return not answering or self.cycle.more_body or self.flow.write_paused

    def is_late(self, now: float) -> bool:
        """Whether the client's turn has been too long."""
        return self.is_waiting and now > self._deadline

    def drop(self) -> None:
        """Close it at once, whatever was not sent yet."""
        self._all.leave(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.network = network_of(self.client[0] if self.client else "")
        if self._all.enter(self):
            self._wait(self._all.limits.head_seconds)
        else:
            transport.write(_BUSY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        idle = self.cycle is not None and self.cycle.response_complete and not self.conn.trailing_data[0]
        if idle:
            self._wait(self._all.limits.head_seconds)
        before = self.cycle
        try:
            super().data_received(data)
        except h11.ProtocolError:  # such as noise while an answer is under way
            self.drop()
        if self.cycle is not before:
            self._wait(math.inf)  # the body has limits of its own, see `fauxley.web.guard`

    def on_response_complete(self) -> None:
        self._wait_for_taking()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_taking()

    def _wait_for_taking(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._wait(self._all.limits.idle_seconds + unsent / self._all.limits.bytes_per_second)

    def _wait(self, seconds: float) -> None:
        self.since = self.loop.time()
        self._deadline = self.since + seconds
