"""What no page of ours answers: requests for other names, from other sites, too many, too large or too slow."""

import asyncio
import json
import socket
from typing import Any

import pytest

from fauxley.errors import UsageError
from fauxley.web.clients import Allowance, client_of, network_of
from fauxley.web.guard import Guard, RequestLimits
from fauxley.web.hosts import Hosts


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that sends back what it got."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"server", b"x")]})
    await send({"type": "http.response.body", "body": body})


def ask(
    app: Any = echo,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    messages: list[dict[str, Any]] | None = None,
    hosts: Hosts | None = None,
    limits: RequestLimits | None = None,
) -> tuple[int, bytes]:
    """Status and body of the answer to a request; after its messages comes nothing more."""
    coming = list(messages if messages is not None else [{"type": "http.request", "body": b""}])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not coming:
            await asyncio.sleep(60)
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [
        (name.encode(), value.encode("latin-1")) for name, value in ({"host": "localhost"} | (headers or {})).items()
    ]
    scope = {"type": "http", "method": method, "path": "/", "headers": pairs, "client": ("1.2.3.4", 5)}
    asyncio.run(Guard(app, limits or RequestLimits(), hosts or Hosts())(scope, receive, send))
    assert all(message["type"].startswith("http.response.") for message in sent)
    assert (b"x-content-type-options", b"nosniff") in sent[0]["headers"]
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8765",
        "192.168.1.20:80",
        "[::1]:8765",
        "[fe80::1]",
        "localhost",
        "LOCALHOST:1",
        "localhost.",
    ],
)
def test_addresses_and_this_machine_are_known(host: str) -> None:
    assert ask(headers={"host": host})[0] == 200
    assert ask(headers={"host": socket.gethostname()})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example", "evil@127.0.0.1",
        "127.0.0.1, evil.example", "", "[::1", "::1", "127.0.0.1:99999999", "localhost:80:80", "a b", "\xff",
        "127.0.0.1/x", "localhost#", "xn--localhost",
    ],
)  # fmt: skip
def test_names_that_somebody_else_may_give_this_address_are_refused(host: str) -> None:
    status, body = ask(headers={"host": host})
    assert status == 421
    assert "whoever runs it can allow it" in json.loads(body)["detail"]


def test_names_that_are_allowed() -> None:
    hosts = Hosts(["Example.org", "*.trycloudflare.com", "me.ngrok.app:443"])
    known = ["example.org", "EXAMPLE.ORG:8443", "a.trycloudflare.com", "a.b.trycloudflare.com", "me.ngrok.app"]
    unknown = ["www.example.org", "trycloudflare.com", "example.org.evil", "xngrok.app", "evilexample.org"]
    assert [host for host in known + unknown if hosts.know(host)] == known
    assert Hosts(["*"]).know("whatever.example")
    for wrong in ("https://example.org", "example.org/study", "", "*x", "a b", "*."):
        with pytest.raises(UsageError, match=r"a name such as example\.org"):
            Hosts([wrong])


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://127.0.0.1:8765", "127.0.0.1:8765", 200),
        ("http://localhost", "localhost:80", 200),
        ("https://[::1]", "[::1]:443", 200),
        ("https://example.org", "127.0.0.1:8765", 200),  # a proxy that names itself otherwise
        ("http://127.0.0.1:9999", "127.0.0.1:8765", 403),
        ("http://localhost:8765", "127.0.0.1:8765", 403),
        ("https://evil.example", "127.0.0.1:8765", 403),
        ("https://example.org.evil.example", "127.0.0.1:8765", 403),
        ("null", "127.0.0.1:8765", 403),
        ("file://", "127.0.0.1:8765", 403),
        ("https://example.org https://evil.example", "127.0.0.1:8765", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_others_may_not_ask(origin: str, host: str, status: int, method: str) -> None:
    assert ask(headers={"origin": origin, "host": host}, method=method, hosts=Hosts(["example.org"]))[0] == status


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)]
)
def test_what_the_browser_says_of_the_site(site: str, status: int) -> None:
    assert ask(headers={"sec-fetch-site": site}, method="POST")[0] == status
    assert ask(headers={"sec-fetch-site": site})[0] == 200  # a link that is followed


def test_a_body_that_never_comes_is_not_waited_for() -> None:
    limits = RequestLimits(body_seconds=0.05)
    piece = {"type": "http.request", "body": b"x", "more_body": True}
    for messages in ([], [piece], [piece] * 5):
        assert ask(messages=messages, method="POST", limits=limits)[0] == 408


def test_a_body_is_bounded_and_whole() -> None:
    piece = {"type": "http.request", "body": b"x" * 6, "more_body": True}
    last = {"type": "http.request", "body": b"y"}
    assert ask(messages=[piece, last], method="POST") == (200, b"xxxxxxy")
    assert ask(messages=[piece] * 3, method="POST", limits=RequestLimits(body_bytes=15))[0] == 413


def test_what_fails_here_is_one_line_here_and_says_nothing_there(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("secret\nof this machine")

    status, body = ask(fail)
    assert status == 500
    assert b"secret" not in body
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "RuntimeError" in shown.err
    assert "test_guard.py" in shown.err


def test_addresses_are_grouped_as_they_are_given_out() -> None:
    same = [
        ["1.2.3.4", "::ffff:1.2.3.4", "::FFFF:102:304", "0:0:0:0:0:ffff:1.2.3.4"],
        ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", "2001:0DB8:0001:0002::", "2001:db8:1:2::1%eth0"],
        ["::1", "::2", "0:0:0:0:1::"],
        ["2001:db8::1", "2001:db8:0:0:ffff::"],
        ["2001:db8:1:3::1"],
        ["1.2.3.5"],
        [""],
        ["unix:"],
    ]
    networks = [{network_of(host) for host in hosts} for hosts in same]
    assert all(len(own) == 1 for own in networks)
    assert len(set.union(*networks)) == len(same)
    assert len(network_of("x" * 10_000)) < 100
    assert client_of({"client": None}) == client_of({}) == ""


def test_an_allowance_refills_and_forgets() -> None:
    now = 0.0
    allowance = Allowance(2, 60.0, clock=lambda: now)
    assert [allowance.take("a") for _ in range(3)] == [True, True, False]
    assert allowance.take("b")
    now = 30.0
    assert [allowance.take("a") for _ in range(2)] == [True, False]
    for key in range(20_000):
        allowance.take(str(key))
    assert len(allowance._left) <= 10_000
