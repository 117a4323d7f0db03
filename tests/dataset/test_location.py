"""Datasets behind URLs: in fsspec's memory, and on a web server that does all that web servers do."""

import multiprocessing
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import fsspec
import numpy as np
import pytest

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.download_cache import DamagedError, DownloadCache, parse_size
from fauxley.dataset.location import Remote, is_url, redact
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.dataset.shards import open_shards
from fauxley.dataset.transfer import Pace
from fauxley.errors import FauxleyError, UsageError
from fauxley.machine import format_bytes

pytestmark = pytest.mark.slow


@pytest.fixture
def local(sounds: Path, tmp_path: Path) -> Dataset:
    return pack(sounds, tmp_path / "local", PackSettings(clip_length=256), shard_bytes=6000, n_jobs=1)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))


def open_soon(url: str, pace: Pace = Pace()) -> Dataset:  # noqa: B008
    """A dataset, with little patience for its server."""
    return Dataset(open_shards(Remote(url, DownloadCache.default(), pace, waits=(0.01, 0.01))))


@pytest.fixture
def in_memory(local: Dataset) -> Iterator[str]:
    system = fsspec.filesystem("memory")
    system.put(str(local.folder), "/bucket/dataset", recursive=True)
    yield "memory://bucket/dataset"
    system.rm("/bucket", recursive=True)


class Server(SimpleHTTPRequestHandler):
    """Serves a folder, but what `faults` say of a file's name, in turn, comes first."""

    faults: ClassVar[dict[str, list[Callable[["Server", bytes], None]]]] = {}
    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rsplit("/", 1)[-1]
        self.requests.append(self.path)
        if self.faults.get(name):
            content = Path(self.translate_path(self.path)).read_bytes()
            self.faults[name].pop(0)(self, content)
        else:
            super().do_GET()

    def answer(self, content: bytes, promised: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder))) as server:
        Server.faults, Server.requests = {}, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def fail(status: int) -> Callable[[Server, bytes], None]:
    return lambda server, content: server.send_error(status)


def truncate(server: Server, content: bytes) -> None:
    server.answer(content[: len(content) // 2], len(content))
    server.close_connection = True


def shorten(server: Server, content: bytes) -> None:
    server.answer(content[:-2], len(content) - 2)


def corrupt(server: Server, content: bytes) -> None:
    server.answer(bytes(len(content)), len(content))


def stall(server: Server, content: bytes) -> None:
    time.sleep(0.6)
    server.close_connection = True


def delay(server: Server, content: bytes) -> None:
    time.sleep(0.2)
    server.answer(content, len(content))


def same(one: Dataset, other: Dataset, steps: int = 12) -> None:
    for step in range(steps):
        np.testing.assert_array_equal(one.batch(step, 8, 1), other.batch(step, 8, 1))


def test_batches_are_those_of_the_folder(local: Dataset, in_memory: str) -> None:
    remote = Dataset.open(in_memory)
    assert remote.name == in_memory
    assert remote.fingerprint() == local.fingerprint()
    assert remote.entries == local.entries
    assert remote.skipped() == local.skipped()
    same(remote, local)
    with pytest.raises(FauxleyError, match="not a folder"):
        remote.folder  # noqa: B018


def test_only_the_shards_of_its_rows_are_fetched(
    local: Dataset, in_memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []
    original = Remote._downloader
    monkeypatch.setattr(
        Remote,
        "_downloader",
        lambda self, name, size: lambda to: fetched.append(name) or original(self, name, size)(to),
    )
    monkeypatch.setattr(Remote, "ask", lambda self, files: None)
    data = Dataset.open(in_memory)
    data.batch(0, 8, 0, rows=slice(3, None, 8))
    assert len([name for name in fetched if name.startswith("audio")]) == 1
    data.batch(0, 8, 0, rows=slice(3, None, 8))
    assert len(fetched) == 3  # with the two columns of the index


def test_over_http_with_whatever_happens_on_the_way(local: Dataset) -> None:
    pytest.importorskip("aiohttp")
    with serve(local.folder.parent) as url:
        Server.faults = {
            "dataset.json": [fail(503)],
            "lengths.uint32": [corrupt],
            "audio-000000.int16": [truncate, delay],
            "audio-000001.int16": [shorten, corrupt],
            "audio-000002.int16": [fail(500)],
        }
        same(open_soon(f"{url}/local"), local)
        assert not any(Server.faults.values())
        audio = [path for path in Server.requests if "audio" in path]
        Server.requests.clear()
        same(Dataset.open(f"{url}/local"), local)
        assert not any("audio" in path for path in Server.requests)  # it is all in the cache
        assert (
            len(audio) == len(list(local.folder.glob("audio-*"))) + 4
        )  # a request each, and one after each fault but `delay`


@pytest.mark.parametrize(
    ("name", "faults", "message"),
    [
        ("dataset.json", fail(404), "there is no dataset.json"),
        ("dataset.json", fail(403), "no permission"),
        ("dataset.json", fail(500), "the server answers 500"),
        ("dataset.json", fail(418), "the server answers 418$"),
        ("audio-000001.int16", fail(404), "there is no audio-000001.int16"),
        ("audio-000001.int16", fail(502), "the server answers 502"),
        ("audio-000001.int16", truncate, "cannot be read"),
        ("audio-000001.int16", shorten, "bytes instead of"),
        ("audio-000001.int16", corrupt, "checksum"),
        ("audio-000001.int16", stall, "less than 1 kB in 0.3 s"),
        ("labels.int32", corrupt, "checksum"),
    ],
)
def test_what_does_not_get_better_is_one_line_without_secrets(
    local: Dataset, name: str, faults: Callable[[Server, bytes], None], message: str
) -> None:
    pytest.importorskip("aiohttp")
    with serve(local.folder.parent) as url:
        Server.faults = {name: [faults] * 20}
        secret = url.replace("://", "://me:hush@") + "/local?signature=hush"
        with pytest.raises(FauxleyError, match=message) as raised:
            same(open_soon(secret, Pace(0.3, 1000)), local)
        text = str(raised.value)
        assert name in text
        assert "\n" not in text
        assert "hush" not in text
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None or raised.value.__suppress_context__  # nor does a traceback show it


def test_nothing_listens_there() -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(FauxleyError, match="tried 3 times"):
        open_soon("http://127.0.0.1:9/dataset")


def test_what_cannot_be_opened(sounds: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kind of URL is not supported"):
        Dataset.open("gopher://hole/dataset")
    with pytest.raises(FauxleyError, match=r"there is no dataset\.json"):
        Dataset.open("memory://bucket/nothing")
    pack(sounds, tmp_path / "single", n_jobs=1)
    fsspec.filesystem("memory").put(str(tmp_path / "single"), "/single", recursive=True)
    with pytest.raises(FauxleyError, match="prepare it in shards"):
        Dataset.open("memory://single")


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fauxley.dataset.transfer._open", missing)
    with pytest.raises(UsageError, match=r"pip install 'fauxley\[remote\]'"):
        Dataset.open("s3://bucket/dataset")


def test_urls() -> None:
    assert is_url("s3://bucket/x")
    assert not is_url("simplecache::s3://bucket/x")
    for windows in (r"C:\sounds", "C:/sounds", "c://sounds", r"\\server\sounds", "//server/sounds", r"a\b://c"):
        assert not is_url(windows)
    assert not is_url("C:/x")
    assert not is_url(Path("s3://bucket"))
    assert redact("https://me:hush@host/a/b?X-Signature=hush#hush") == "https://host/a/b"
    assert redact("s3://bucket/a") == "s3://bucket/a"
    assert redact("https://host:8080/user@1:2/x") == "https://host:8080/user@1:2/x"
    assert redact("https://host/x?mail=a@b") == "https://host/x"
    for password in ("hush", "hu/sh", "hu#sh", "hu?sh", "hu@sh", "hu:sh"):
        assert redact(f"https://me:{password}@host/a") == "https://host/a"


def test_the_cache_keeps_to_its_size_and_drops_what_was_opened_longest_ago(tmp_path: Path) -> None:
    import hashlib

    contents = [bytes([number]) * 1000 for number in range(5)]
    names = [hashlib.sha256(content).hexdigest() for content in contents]
    cache = DownloadCache(tmp_path / "bounded", 3000)
    fetched: list[int] = []

    def get(number: int) -> bytes:
        def fetch(path: Path) -> None:
            fetched.append(number)
            path.write_bytes(contents[number])

        return cache.map(names[number], 1000, fetch).tobytes()

    for number in (0, 1, 2, 0, 3, 0, 1):
        assert get(number) == contents[number]
        time.sleep(0.002)
        assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 3000
    assert fetched == [0, 1, 2, 3, 1]
    with pytest.raises(UsageError, match="FAUXLEY_CACHE_SIZE"):
        cache.map(names[0], 4000, lambda path: None)
    with pytest.raises(DamagedError, match="checksum"):
        cache.map(names[4], 1000, lambda path: path.write_bytes(bytes(1000)))  # type: ignore[arg-type, return-value]


def test_a_copy_damaged_on_the_disk_is_fetched_anew(local: Dataset, in_memory: str, tmp_path: Path) -> None:
    same(Dataset.open(in_memory), local)
    for path in (tmp_path / "cache" / "shards").iterdir():
        if path.stat().st_size > 1000:
            path.write_bytes(bytes(path.stat().st_size))
    same(Dataset.open(in_memory), local)


def test_a_cache_too_small_for_what_is_in_use_still_works_and_warns(
    local: Dataset, in_memory: str, tmp_path: Path
) -> None:
    location = Remote(in_memory, DownloadCache(tmp_path / "small", 13_000))
    with pytest.warns(UserWarning, match="FAUXLEY_CACHE_SIZE"):
        small = Dataset(open_shards(location))
    same(small, local)
    assert sum(path.stat().st_size for path in (tmp_path / "small").iterdir()) <= 13_000 + 4 * 6000


def _read_all(url: str, seed: int) -> None:
    warnings.simplefilter("ignore")
    data = Dataset.open(url)
    for step in range(10):
        data.batch(step, 8, seed)


def test_several_processes_fetch_each_shard_once(local: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with serve(local.folder.parent) as url:
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=_read_all, args=(f"{url}/local", seed)) for seed in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        audio = [path for path in Server.requests if "audio" in path]
    assert len(audio) == len(set(audio)) == len(list(local.folder.glob("audio-*")))
    assert not list((tmp_path / "cache" / "shards").glob(".partial*"))


def test_sizes() -> None:
    sizes = {
        "500": 500,
        "1.5 kB": 1500,
        "256MB": 256 * 10**6,
        "2GiB": 2**31,
        "1t": 10**12,
        "1e9": 10**9,
        "44.1k": 44100,
    }
    sizes |= {"1_000": 1000, "1.e3": 1000}
    assert {text: parse_size(text, "--x") for text in sizes} == sizes
    for text in ("", "-1MB", "many", "0", "MB", "1PB", "1e99", "1e-3"):
        with pytest.raises(UsageError, match="--x is a size such as"):
            parse_size(text, "--x")
    assert [format_bytes(count) for count in (5, 1500, 256 * 10**6)] == ["5 bytes", "1.5 kB", "256 MB"]
