"""A cache of remote files on this machine, found by their checksums, in a folder of limited size.

Any number of processes may use it at the same time. A copy appears completely or not at all, is checked when it has
been fetched and again when a process first opens it, and is fetched only once however many ask for it. When room is
needed, the copies that were opened longest ago are removed; a process that still has one mapped keeps it.

    FAUXLEY_CACHE_SIZE  how large the cache may be, such as 200GB; by default 20GB. For its place see
    `fauxley.user_cache`
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.machine import format_bytes
from fauxley.storage import atomic_file, is_leftover, take_lock
from fauxley.user_cache import writable_folder

Bytes = NDArray[np.uint8]
_DEFAULT_SIZE = "20GB"
_ABANDONED_SECONDS = 3600  # a download that has not grown for so long belongs to a killed process
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


class DamagedError(Exception):
    """A fetched file is not the expected one; `args[0]` says how it differs."""


class DownloadCache:
    """A folder of copies.

    Args:
        folder: created when it is first needed.
        max_bytes: the size limit. Each download in progress may exceed it temporarily.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._checked: set[str] = set()

    @classmethod
    def default(cls) -> "DownloadCache":
        """The user's cache, with the size limit of FAUXLEY_CACHE_SIZE."""
        limit = os.environ.get("FAUXLEY_CACHE_SIZE") or _DEFAULT_SIZE
        return cls(writable_folder("shards"), parse_size(limit, "FAUXLEY_CACHE_SIZE"))

    def map(self, sha256: str, num_bytes: int, fetch: Callable[[Path], None]) -> Bytes:
        """Memory-map a file. If it is not in the cache, `fetch` is called with the path to write it to.

        Raises:
            DamagedError: `fetch` wrote something else.
            UsageError: the file is larger than the whole cache may be.
        """
        while True:
            path = self._get(sha256, num_bytes, fetch)
            try:
                return np.memmap(path, np.uint8, "r")
            except FileNotFoundError:  # another process has just removed it to make room
                continue

    def keep(self, sha256: str, num_bytes: int, fetch: Callable[[Path], None]) -> None:
        """Fetch a file if it is not in the cache; see `map`."""
        self._get(sha256, num_bytes, fetch)

    def _get(self, sha256: str, num_bytes: int, fetch: Callable[[Path], None]) -> Path:
        if num_bytes > self.max_bytes:
            raise UsageError(
                f"one file takes {format_bytes(num_bytes)}, and the cache may hold {format_bytes(self.max_bytes)}; "
                "set FAUXLEY_CACHE_SIZE to more, such as 200GB"
            )
        path = self.folder / sha256
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock(sha256[:2]):  # another process that waits here finds the file fetched
            if not self._is_whole(path, num_bytes):
                self._make_room(num_bytes)
                with atomic_file(path, durable=False) as partial:
                    fetch(partial)
                    self._check(partial, sha256, num_bytes)
                self._checked.add(sha256)
                self._make_room(0)
        return path

    def _is_whole(self, path: Path, num_bytes: int) -> bool:
        try:
            os.utime(path)  # mark it as just opened
            if path.name not in self._checked:
                self._check(path, path.name, num_bytes)
                self._checked.add(path.name)
        except (FileNotFoundError, DamagedError):
            return False
        return True

    def _check(self, path: Path, sha256: str, num_bytes: int) -> None:
        actual = path.stat().st_size
        if actual != num_bytes:
            raise DamagedError(f"it has {actual} bytes instead of {num_bytes}")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise DamagedError("its checksum is wrong")

    def _make_room(self, num_bytes: int) -> None:
        with self._lock("room"):
            copies = []
            used = num_bytes
            for entry in os.scandir(self.folder):
                try:
                    status = entry.stat()
                except FileNotFoundError:  # a finished download was renamed meanwhile
                    continue
                if is_leftover(Path(entry.path)) and status.st_mtime < time.time() - _ABANDONED_SECONDS:
                    Path(entry.path).unlink(missing_ok=True)
                elif re.fullmatch("[0-9a-f]{64}", entry.name):
                    copies.append((status.st_mtime_ns, status.st_size, entry.path))
                    used += status.st_size
            for _, freed, copy in sorted(copies):
                if used <= self.max_bytes:
                    return
                Path(copy).unlink(missing_ok=True)
                used -= freed

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """Hold one of the cache's locks against other processes and threads."""
        lock = take_lock(self.folder / f"{name}.lock", wait=True)
        try:
            yield
        finally:
            if lock is not None:
                lock.release()


def parse_size(text: str, what: str) -> int:
    """Parse a size such as 500000, 1e9, 256MB or 1.5GiB to bytes.

    Raises:
        UsageError: it is not a size; the message calls it `what`.
    """
    match = re.fullmatch(r"\s*(\d[\d_]*(?:\.\d*)?(?:E\+?\d{1,2})?)\s*([KMGT]I?)?B?\s*", text.upper())
    num_bytes = int(Fraction(match[1].replace("_", "")) * _UNITS[match[2] or ""]) if match else 0
    if not 1 <= num_bytes < 1 << 63:
        raise UsageError(f"{what} is a size such as 256MB or 10GB; got {text!r}")
    return num_bytes
