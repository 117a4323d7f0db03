"""Where a dataset is: in a folder, or behind a URL of object storage or of a web server.

Readers of a dataset ask its location for files by name, and get them mapped into memory: the files themselves, or
copies in a local cache. A URL may contain a password or a signature, so messages show only what `redact` leaves, and
never the text of an error of the library that fetched it.

URLs are s3://, gs://, hf://, https:// and whatever else fsspec supports. Files are fetched whole into the local
`DownloadCache`, and each is checked by its checksum. Training reads every clip of a shard, so fetching clip by clip
would take ten thousand requests instead of one. Errors that may go away are retried a few times; others, such as a
missing file, are not.
"""

import errno
import hashlib
import queue
import re
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from fauxley.dataset import transfer
from fauxley.dataset.download_cache import Bytes, DamagedError, DownloadCache
from fauxley.dataset.transfer import Pace, TransferError
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.machine import format_bytes
from fauxley.serialization import read_file

_WAITS = (0.5, 2.0, 8.0)  # seconds before each retry
_FETCHERS = 4
_REMEMBERED = 1024
_T = TypeVar("_T")
# Up to an @ in the host's part; or, where a colon is not followed by a port, up to the last @.
_USER = re.compile(r"(?<=://)([^/?#]*@|[^/?#]*:(?!\d*([/?#]|$)).*@)")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(text: Path | str) -> bool:
    """Whether a place is a URL and not the name of a folder."""
    return isinstance(text, str) and _URL.match(text) is not None


def redact(url: str) -> str:
    """A URL without user, password, query and fragment, even if its password is not quoted as it should be."""
    return re.split(r"[?#]", _USER.sub("", url), maxsplit=1)[0]


def locate(place: Path | str, cache: DownloadCache | None = None) -> "Location":
    """The location that a user named: a folder, or a URL, whose files are kept in `cache` (None: the user's cache)."""
    return Remote(str(place), cache or DownloadCache.default()) if is_url(place) else Folder(Path(place))


class Location(ABC):
    """A place that holds the files of a dataset. `str` gives its name for messages."""

    @abstractmethod
    def read(self, name: str, most_bytes: int, sha256: str = "") -> bytes:
        """Read the present content of a file.

        Args:
            name: of the file.
            most_bytes: the largest size allowed; a larger file is not read.
            sha256: the expected checksum, "" if unknown; checked for files that come over a network.

        Raises:
            FauxleyError: there is no such file, or it is too large.
        """

    @abstractmethod
    def map(self, name: str, num_bytes: int, sha256: str) -> Bytes:
        """Memory-map a file.

        Args:
            name: of the file.
            num_bytes: the expected size.
            sha256: the expected checksum; checked for files that come over a network.

        Raises:
            FauxleyError: the file cannot be read, or is not the expected one.
        """

    @abstractmethod
    def check(self, name: str, num_bytes: int, sha256: str) -> None:
        """Raise the errors of `map` that show without reading the file."""

    @abstractmethod
    def ask(self, files: Sequence[tuple[str, int, str]]) -> None:
        """Announce that these files (name, num_bytes, sha256) will be needed soon."""

    @abstractmethod
    def expect(self, num_bytes: int) -> None:
        """Announce how many bytes will be in use at the same time."""

    @abstractmethod
    def broken(self, what: str) -> FauxleyError:
        """An error that says what is damaged and how to mend it."""


class Folder(Location):
    """A folder on a disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return printable(self.path)

    def read(self, name: str, most_bytes: int, sha256: str = "") -> bytes:
        if not self.path.is_dir():
            raise UsageError(f"{self} does not exist; make it with 'fauxley prepare'")
        if not (self.path / name).exists():
            raise UsageError(f"{self} is not a dataset; make one with 'fauxley prepare'")
        return read_file(self.path / name, most_bytes)

    def map(self, name: str, num_bytes: int, sha256: str) -> Bytes:
        self.check(name, num_bytes, sha256)
        return np.memmap(self.path / name, np.uint8, "r")

    def check(self, name: str, num_bytes: int, sha256: str) -> None:
        path = self.path / name
        actual = path.stat().st_size if path.is_file() else 0
        if actual != num_bytes:
            raise self.broken(f"{name} has {actual} bytes instead of {num_bytes}")

    def ask(self, files: Sequence[tuple[str, int, str]]) -> None:
        pass  # the operating system caches files

    def expect(self, num_bytes: int) -> None:
        pass

    def broken(self, what: str) -> FauxleyError:
        return FauxleyError(f"{self} is damaged: {what}; prepare it again and overwrite it")


class Remote(Location):
    """A folder behind a URL.

    Args:
        url: as the user gave it.
        cache: for the copies.
        pace: the slowest that the server may be.
        waits: seconds before each retry.
    """

    def __init__(self, url: str, cache: DownloadCache, pace: Pace = Pace(), waits: Sequence[float] = _WAITS) -> None:  # noqa: B008
        self._url = url
        self._cache = cache
        self._pace = pace
        self._waits = waits
        self._asked: dict[str, None] = {}
        self._queue: queue.SimpleQueue[tuple[str, int, str]] | None = None

    def __str__(self) -> str:
        return printable(redact(self._url))

    def read(self, name: str, most_bytes: int, sha256: str = "") -> bytes:
        def fetch() -> bytes:
            content = transfer.read(self._file_url(name), most_bytes, self._pace)
            if sha256 and hashlib.sha256(content).hexdigest() != sha256:
                raise DamagedError("its checksum is wrong")
            return content

        return self._persist(name, fetch)

    def map(self, name: str, num_bytes: int, sha256: str) -> Bytes:
        self.check(name, num_bytes, sha256)
        return self._persist(name, lambda: self._cache.map(sha256, num_bytes, self._downloader(name, num_bytes)))

    def check(self, name: str, num_bytes: int, sha256: str) -> None:
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise FauxleyError(
                f"{self} is not in shards, so it cannot be read over a network; prepare it in shards of, say, 256 MB"
            )

    def ask(self, files: Sequence[tuple[str, int, str]]) -> None:
        for file in files:
            if file[0] not in self._asked:
                self._asked[file[0]] = None
                self._fetchers().put(file)
        for name in list(self._asked)[: max(0, len(self._asked) - _REMEMBERED)]:
            del self._asked[name]

    def expect(self, num_bytes: int) -> None:
        if num_bytes > self._cache.max_bytes:
            warnings.warn(
                f"{format_bytes(num_bytes)} of {self} are in use at a time, and the cache may hold only "
                f"{format_bytes(self._cache.max_bytes)}: shards will be fetched again and again; "
                "set FAUXLEY_CACHE_SIZE to more",
                stacklevel=2,
            )

    def broken(self, what: str) -> FauxleyError:
        return FauxleyError(f"{self} is damaged: {what}; copy the dataset there again")

    def _downloader(self, name: str, num_bytes: int) -> Callable[[Path], None]:
        return lambda path: transfer.download(self._file_url(name), path, num_bytes, self._pace)

    def _file_url(self, name: str) -> str:
        base, mark, query = self._url.partition("?")
        return f"{base.rstrip('/')}/{name}{mark}{query}"

    def _persist(self, name: str, attempt: Callable[[], _T]) -> _T:
        """Try, and retry what may succeed later. Errors are told in our own words, because theirs may hold secrets."""
        for wait in (*self._waits, None):
            try:
                return attempt()
            except FauxleyError:
                raise
            except Exception as error:  # every library raises its own
                if hopeless := self._hopeless(name, error):
                    raise hopeless from None
                reason = _reason(error)
            if wait is not None:
                time.sleep(wait)
        raise FauxleyError(f"{self}: {name} {reason} (tried {len(self._waits) + 1} times)")

    def _hopeless(self, name: str, error: Exception) -> FauxleyError | None:
        """The error for the user if retrying is of no use, otherwise None."""
        if isinstance(error, ImportError):
            return UsageError(f"{self} needs more libraries: pip install 'fauxley[remote]'")
        if isinstance(error, ValueError) and "Protocol not known" in str(error):
            return UsageError(f"{self}: this kind of URL is not supported; use s3, gs, hf or https")
        if isinstance(error, ValueError):
            return UsageError(f"{self} is not an address that can be read")
        if isinstance(error, TransferError) and error.hopeless:
            return FauxleyError(f"{self}: {name} {_reason(error)}")
        if isinstance(error, OSError) and self._is_local(error):
            return FauxleyError(
                f"the cache in {printable(self._cache.folder)}: {error.strerror}; free some room, or set "
                "FAUXLEY_CACHE_DIR or FAUXLEY_CACHE_SIZE"
            )
        if isinstance(error, FileNotFoundError):
            return FauxleyError(f"{self} is not a complete dataset: there is no {name}")
        if isinstance(error, PermissionError):
            return FauxleyError(f"{self}: no permission to read {name}; are the credentials set?")
        return None

    def _is_local(self, error: OSError) -> bool:
        about_cache = str(error.filename).startswith(str(self._cache.folder))
        return about_cache or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

    def _fetchers(self) -> "queue.SimpleQueue[tuple[str, int, str]]":
        if self._queue is None:
            self._queue = queue.SimpleQueue()
            for _ in range(_FETCHERS):
                # Daemon threads: nobody waits for them when training is over.
                threading.Thread(target=self._fetch, args=(self._queue,), daemon=True).start()
        return self._queue

    def _fetch(self, wanted: "queue.SimpleQueue[tuple[str, int, str]]") -> None:
        while True:
            name, num_bytes, sha256 = wanted.get()
            try:
                self._cache.keep(sha256, num_bytes, self._downloader(name, num_bytes))
            except Exception:  # whoever needs the file meets the same error, and reports it
                self._asked.pop(name, None)


def _reason(error: Exception) -> str:
    if isinstance(error, DamagedError):
        return f"is damaged: {error}; copy the dataset there again"
    if isinstance(error, TransferError):
        return f"cannot be read: {error}"
    if isinstance(error, TimeoutError):
        return "cannot be read: no answer in time"
    return f"cannot be read: {type(error).__name__}"
