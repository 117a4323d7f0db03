"""What a server may do instead of sending a file: each time one line, few bytes and an end."""

import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.download_cache import DownloadCache
from fauxley.dataset.location import Remote
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.dataset.transfer import Pace, TransferError, download, read
from fauxley.errors import FauxleyError

pytestmark = pytest.mark.slow

pytest.importorskip("aiohttp")

Answer = Callable[[socket.socket, threading.Event], None]

SIZE = 5000
CONTENT = bytes(range(250)) * 20
PACE = Pace(0.3, 1000)
PATIENT = Pace(20, 1000)  # where a busy machine is to find another fault than its own slowness


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server on this machine that reads a request and then answers as told: its address, and a list of requests."""
    done = threading.Event()
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may hang up
            requests.append(connection.recv(65536))
            answer(connection, done)

    def listen(listener: socket.socket) -> None:
        while not done.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.settimeout(5)
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        threads = [threading.Thread(target=listen, args=(listener,))]
        threads[0].start()
        try:
            yield f"http://me:hush@127.0.0.1:{listener.getsockname()[1]}/data", requests
        finally:
            done.set()
            for thread in threads:
                thread.join()


def head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def sends(*parts: bytes) -> Answer:
    """Sends these and hangs up."""
    return lambda connection, done: connection.sendall(b"".join(parts))


def for_ever(first: bytes, piece: bytes, wait: float = 0.0) -> Answer:
    """Sends the same again and again, so many seconds apart."""

    def answer(connection: socket.socket, done: threading.Event) -> None:
        connection.sendall(first)
        while not done.wait(wait):
            connection.sendall(piece)

    return answer


def silent(*parts: bytes) -> Answer:
    """Sends these and says nothing more, without hanging up."""

    def answer(connection: socket.socket, done: threading.Event) -> None:
        connection.sendall(b"".join(parts))
        done.wait()

    return answer


def bomb() -> bytes:
    """200 kB that unpack to 200 MB."""
    packer = zlib.compressobj(wbits=31)
    zeros = bytes(1_000_000)
    return b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()


LENGTH = f"Content-Length: {SIZE}"
CHUNKED = "Transfer-Encoding: chunked"
CLOSE = "Connection: close"

FAULTS: dict[str, tuple[Answer, str]] = {
    "nothing at all": (silent(), "less than 1 kB in 0.3 s"),
    "half a head": (silent(b"HTTP/1.1 200 OK\r\nContent-"), "less than 1 kB"),
    "a head that never ends": (for_ever(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n", 0.05), "less than 1 kB"),
    "a flood of headers": (
        for_ever(b"HTTP/1.1 200 OK\r\n", b"X-Y: " + b"z" * 1000 + b"\r\n"),
        "not HTTP|less than 1 kB",
    ),
    "interim answers for ever": (for_ever(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01), "less than 1 kB"),
    "half a body": (silent(head(LENGTH), CONTENT[:3000]), "less than 1 kB"),
    "a trickle": (for_ever(head(LENGTH), b"x", 0.05), "less than 1 kB"),
    "a trickle of chunks": (for_ever(head(CHUNKED), b"1\r\nx\r\n", 0.05), "less than 1 kB"),
    "more than there may be": (sends(head(f"Content-Length: {SIZE + 1}"), CONTENT, b"x"), "longer than the 5000"),
    "terabytes promised": (silent(head("Content-Length: 5000000000000")), "longer than the 5000"),
    "a body without an end": (for_ever(head(CLOSE), CONTENT), "longer than the 5000"),
    "chunks without an end": (for_ever(head(CHUNKED), b"3e8\r\n" + bytes(1000) + b"\r\n"), "longer than the 5000"),
    "less than promised": (sends(head(LENGTH), CONTENT[:3000]), "early, after 3000 bytes"),
    "chunks that break off": (sends(head(CHUNKED), b"3e8\r\n" + bytes(10)), "early, after"),
    "a negative length": (sends(head("Content-Length: -1"), CONTENT), "not HTTP"),
    "two lengths": (sends(head(LENGTH, "Content-Length: 7"), CONTENT), "not HTTP"),
    "a length in words": (sends(head("Content-Length: many"), CONTENT), "not HTTP"),
    "no HTTP": (sends(b"220 ftp ready\r\n"), "not HTTP"),
    "noise": (sends(bytes(range(256)) * 10), "not HTTP"),
    "no answer": (sends(), "early, after 0 bytes"),
    "a bomb": (sends(head("Content-Encoding: gzip", CLOSE), bomb()), "compressed"),
    "compressed": (sends(head("Content-Encoding: br", CLOSE), CONTENT), "compressed"),
    "to itself": (
        sends(head("Location: /data", "Content-Length: 0", CLOSE, status="302 Found")),
        "redirects more than 5",
    ),
    "elsewhere": (
        sends(head("Location: file:///etc/passwd", "Content-Length: 0", CLOSE, status="302 Found")),
        "not an address",
    ),
    "partial content": (sends(head(LENGTH, status="206 Partial Content"), CONTENT), "answers 206"),
    "a server error": (sends(head("Content-Length: 0", status="500 Oh")), "answers 500"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.timeout(30)
def test_a_server_that_sends_no_file(name: str, tmp_path: Path) -> None:
    answer, message = FAULTS[name]
    pace = PATIENT if "longer" in message else PACE
    with answering(answer) as (url, _):
        with pytest.raises(TransferError, match=message) as raised:
            read(url, SIZE, pace)
        with pytest.raises(TransferError, match=message):
            download(url, tmp_path / "file", SIZE, pace)
    assert "hush" not in str(raised.value)
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size <= SIZE


@pytest.mark.parametrize(
    "parts", [(head(LENGTH), CONTENT), (head(CLOSE), CONTENT), (head(CHUNKED), b"1388\r\n", CONTENT, b"\r\n0\r\n\r\n")]
)
def test_a_server_that_sends_the_file(parts: tuple[bytes, ...], tmp_path: Path) -> None:
    with answering(sends(*parts)) as (url, _):
        assert read(url, SIZE, PACE) == CONTENT
        download(url, tmp_path / "file", SIZE, PACE)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_slow_server_that_keeps_the_pace_is_waited_for(tmp_path: Path) -> None:
    """Longer in all than the seconds of the pace, but each of them brings its share."""

    def answer(connection: socket.socket, done: threading.Event) -> None:
        connection.sendall(head(LENGTH))
        for begin in range(0, SIZE, 500):
            done.wait(0.06)
            connection.sendall(CONTENT[begin : begin + 500])

    with answering(answer) as (url, _):
        download(url, tmp_path / "file", SIZE, Pace(0.4, 500))
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("wanted", [404, 410, 401, 403])
def test_what_is_missing_or_forbidden(wanted: int) -> None:
    with (
        answering(sends(head("Content-Length: 0", status=f"{wanted} No"))) as (url, _),
        pytest.raises(FileNotFoundError if wanted in (404, 410) else PermissionError),
    ):
        read(url, SIZE, PACE)


def test_a_user_reads_one_line_that_names_the_host_and_no_secret(tmp_path: Path) -> None:
    with answering(silent()) as (url, requests):
        place = Remote(f"{url}?signature=hush", DownloadCache(tmp_path, 10**6), PACE, waits=(0.01, 0.01))
        with pytest.raises(
            FauxleyError, match=r"http://127\.0\.0\.1:\d+/data: x .*in 0\.3 s \(tried 3 times\)$"
        ) as raised:
            place.read("x", SIZE)
    assert "hush" not in str(raised.value)
    assert len(requests) == 3


def test_what_gets_better_is_tried_again(tmp_path: Path) -> None:
    turns = count()
    good = sends(head(LENGTH), CONTENT)
    bad = [sends(head("Content-Length: 0", status="503 Busy")), sends(head(LENGTH), CONTENT[:99])]

    def answer(connection: socket.socket, done: threading.Event) -> None:
        turn = next(turns)
        (bad[turn] if turn < len(bad) else good)(connection, done)

    with answering(answer) as (url, requests):
        assert Remote(url, DownloadCache(tmp_path, 10**6), PACE, waits=(0.01, 0.01)).read("x", SIZE) == CONTENT
    assert len(requests) == 3


def test_other_drivers_are_held_to_the_length(tmp_path: Path) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe("/bounded/file", CONTENT)
    try:
        assert read("memory://bounded/file", SIZE, PACE) == CONTENT
        download("memory://bounded/file", tmp_path / "file", SIZE, PACE)
        assert (tmp_path / "file").read_bytes() == CONTENT
        for refused in (
            lambda: read("memory://bounded/file", SIZE - 1, PACE),
            lambda: download("memory://bounded/file", tmp_path / "file", SIZE - 1, PACE),
        ):
            with pytest.raises(TransferError, match="longer than the 4999 bytes"):
                refused()
    finally:
        system.rm("/bounded", recursive=True)


@pytest.mark.parametrize("name", ["dataset.json", "manifest.csv", "skipped.csv"])
def test_a_table_of_a_dataset_that_is_absurdly_long_is_not_read(name: str, sounds: Path, tmp_path: Path) -> None:
    folder = pack(sounds, tmp_path / "prepared", PackSettings(clip_length=256), n_jobs=1).folder
    with (folder / name).open("r+b") as file:
        file.truncate(10**11)  # takes no room on the disk
    with pytest.raises(FauxleyError, match=f"{name} is larger than"):
        Dataset.open(folder).skipped()
