"""Clients that connect and do nothing, or next to nothing: they end, and others are served meanwhile."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from fauxley.web.connections import ConnectionLimits
from fauxley.web.guard import Guard, RequestLimits
from fauxley.web.hosts import Hosts
from fauxley.web.server import Server, address_of, bind

pytestmark = pytest.mark.slow

LARGE = 30_000_000  # more than the system keeps of what nobody reads
OTHER = "127.0.0.2"  # another address of this machine, on Linux and Windows
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
other_addresses = pytest.mark.skipif(sys.platform == "darwin", reason="macOS has but one loopback address at first")


begun: list[str] = []  # what the page was asked for


async def page(scope: Any, receive: Any, send: Any) -> None:
    """Says hello; or much, if that is asked for; or in a while."""
    begun.append(scope["path"])
    body = b"x" * LARGE if scope["path"] == "/large" else b"hello"
    if scope["path"] == "/slow":
        await asyncio.sleep(0.8)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def running(app: Any, host: str = "127.0.0.1", **options: Any) -> Iterator[str]:
    """Serve an application from a thread, over real connections: its address."""
    with bind(host, 0) as bound:
        server = Server(app, **options)
        thread = threading.Thread(target=server.serve_on, args=(bound,))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        try:
            yield address_of(bound, host).rstrip("/")
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def serving(limits: ConnectionLimits, body_seconds: float = 10.0, **options: Any) -> Iterator[tuple[str, int]]:
    """A server with these limits: its address."""
    begun.clear()
    guarded = Guard(page, RequestLimits(body_seconds=body_seconds), Hosts())
    with running(guarded, limits=limits, **options) as address:
        yield "127.0.0.1", int(urlsplit(address).port or 0)


@contextmanager
def connections(place: tuple[str, int], number: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many open connections that have sent the same."""
    with ExitStack() as stack:
        made = [stack.enter_context(socket.create_connection(place, timeout=20)) for _ in range(number)]
        for each in made:
            with ExitStack() as gone:
                gone.push(lambda kind, error, trace: isinstance(error, OSError))  # it may be closed again by now
                each.sendall(first)
        yield made


def read_all(connection: socket.socket) -> bytes:
    """What still comes until the server hangs up."""
    content = bytearray()
    try:
        while piece := connection.recv(1 << 16):
            content += piece
    except ConnectionError:
        pass
    return bytes(content)


def says_hello(connection: socket.socket) -> bool:
    """Whether an answer comes whole."""
    content = bytearray()
    while not content.endswith(b"hello") and (piece := connection.recv(4096)):
        content += piece
    return content.startswith(b"HTTP/1.1 200 ") and content.endswith(b"hello")


def ask(place: tuple[str, int], origin: str = "127.0.0.1") -> int:
    transport = httpx.HTTPTransport(local_address=origin)
    with httpx.Client(transport=transport, timeout=20) as client:
        return client.get(f"http://127.0.0.1:{place[1]}/").status_code


@pytest.mark.parametrize(
    "first",
    [b"", b"GET / HTTP/1.1\r\nHost: lo", REQUEST, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"],
    ids=["silent", "half a head", "kept alive", "half a body"],
)
@other_addresses
def test_a_thousand_connections_that_wait_leave_others_served(first: bytes) -> None:
    """Those from another address at once, and those from the same one, too."""
    with serving(ConnectionLimits()) as place, connections(place, 1000, first):
        assert [ask(place, OTHER) for _ in range(3)] == [200] * 3
        assert [ask(place) for _ in range(3)] == [200] * 3


def test_of_an_address_with_too_many_the_longest_silent_goes() -> None:
    with serving(ConnectionLimits(of_one_address=3)) as place, connections(place, 3) as held:
        assert ask(place) == 200
        assert read_all(held[0]) == b""
        held[2].sendall(REQUEST)
        assert says_hello(held[2])


@other_addresses
def test_where_there_are_too_many_in_all_the_address_with_most_loses_one() -> None:
    with serving(ConnectionLimits(in_all=4, of_one_address=3)) as place, connections(place, 3) as held:
        with ExitStack() as stack:
            for origin in (OTHER, "127.0.0.3"):
                other = socket.create_connection(place, timeout=20, source_address=(origin, 0))
                stack.enter_context(other).sendall(REQUEST)
                assert says_hello(other)
        assert read_all(held[0]) == b""


def test_who_is_being_answered_does_not_go_for_others() -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving(ConnectionLimits(of_one_address=2)) as place, connections(place, 2, slow) as held:
        while len(begun) < 2:
            time.sleep(0.005)
        with socket.create_connection(place, timeout=20) as late:
            answer = read_all(late)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in answer
        assert answer.endswith(b'{"detail":"too many connections"}')
        assert all(says_hello(each) for each in held)


def test_a_trusted_proxy_may_have_all() -> None:
    with (
        serving(ConnectionLimits(of_one_address=2), trust_proxy="127.0.0.1") as place,
        connections(place, 6, REQUEST) as held,
    ):
        assert all(says_hello(each) for each in held)


QUICK = ConnectionLimits(head_seconds=0.3, idle_seconds=0.6, bytes_per_second=1e8, sweep_seconds=0.05)


@pytest.mark.parametrize("first", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-"])
def test_a_head_must_come_in_time(first: bytes) -> None:
    with serving(QUICK) as place, connections(place, 1, first) as (held,):
        assert read_all(held) == b""


def trickle(connection: socket.socket, content: bytes) -> bytes:
    """Send a byte at a time until the server hangs up; what it said."""
    connection.settimeout(0.05)
    received = bytearray()
    for place in range(len(content)):
        try:
            connection.sendall(content[place : place + 1])
            piece = connection.recv(4096)
        except TimeoutError:
            continue
        except ConnectionError:
            return bytes(received)
        if not piece:
            return bytes(received)
        received += piece
    raise AssertionError("it was waited for to the end")


def test_a_head_in_single_bytes_is_not_waited_for() -> None:
    """Nor is the second one of a connection."""
    endless = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 200
    with serving(QUICK) as place:
        with connections(place, 1) as (held,):
            assert trickle(held, endless) == b""
        with connections(place, 1, REQUEST) as (held,):
            assert says_hello(held)
            assert trickle(held, endless) == b""


def test_a_body_in_single_bytes_is_not_waited_for() -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n"
    with serving(ConnectionLimits(), body_seconds=0.3) as place, connections(place, 1, head) as (held,):
        assert trickle(held, b"x" * 200).startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed() -> None:
    with serving(QUICK) as place, connections(place, 1, REQUEST) as (held,):
        assert read_all(held).endswith(b"hello")


def test_who_does_not_take_an_answer_is_not_waited_for() -> None:
    with serving(QUICK) as place, connections(place, 1, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n") as (held,):
        assert held.recv(10).startswith(b"HTTP/1.1 2")
        time.sleep(1.5)
        assert len(read_all(held)) < LARGE


def test_noise_at_any_moment_is_no_trouble(capfd: pytest.CaptureFixture[str]) -> None:
    noise = bytes(range(256))
    starts = [b"", b"GET / HTTP/1.1\r\n", REQUEST, b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n", REQUEST * 3]
    starts += [b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
    starts += [b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"]
    starts += [b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"GET " + b"/" * 40_000]
    with serving(QUICK, body_seconds=0.3) as place:
        for first in starts:
            with connections(place, 1, first + noise) as (held,):
                read_all(held)
        assert ask(place) == 200
    assert capfd.readouterr().err == ""
