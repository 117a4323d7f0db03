"""Where a dataset is: in a folder, or behind a URL of object storage or of a web server.

Whoever reads a dataset asks its location for files by name, and gets them mapped into memory: themselves, or copies
in a local cache. A URL may hold a password or a signature, so no message shows more of it than `redact` leaves, nor the
text of an error of the library that fetched it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import FauxleyError
from fauxley.serialization import read_file
from fauxley.sounds.sources import printable

Bytes = NDArray[np.uint8]
# Up to an @ in the place of the host; or, where a colon is not followed by a port, up to the last @ there is.
_USER = re.compile(r"(?<=://)([^/?#]*@|[^/?#]*:(?!\d*([/?#]|$)).*@)")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(text: Path | str) -> bool:
    """Whether it is a URL and not the name of a folder."""
    return isinstance(text, str) and _URL.match(text) is not None


def redact(url: str) -> str:
    """A URL without user, password, query and fragment; also one whose password should have been quoted."""
    return re.split(r"[?#]", _USER.sub("", url), maxsplit=1)[0]


class Location(ABC):
    """A place that holds the files of a dataset. As text: a name for messages."""

    @abstractmethod
    def read(self, name: str, most_bytes: int, sha256: str = "") -> bytes:
        """The content of a file as it is now.

        Args:
            name: of the file.
            most_bytes: what it may have; what is longer is not read.
            sha256: what its content must be, "" if that is not known; checked where it travels, not on a disk.

        Raises:
            FauxleyError: there is no such file here, or a longer one.
        """

    @abstractmethod
    def map(self, name: str, num_bytes: int, sha256: str) -> Bytes:
        """The content of a file, memory-mapped.

        Args:
            name: of the file.
            num_bytes: what its size must be.
            sha256: what its content must be; checked where it travels, not on a disk.

        Raises:
            FauxleyError: it cannot be had, or is not as it must be.
        """

    @abstractmethod
    def check(self, name: str, num_bytes: int, sha256: str) -> None:
        """What `map` would complain of, as far as that costs nothing."""

    @abstractmethod
    def ask(self, files: Sequence[tuple[str, int, str]]) -> None:
        """Say that these (name, num_bytes, sha256) will soon be wanted."""

    @abstractmethod
    def expect(self, num_bytes: int) -> None:
        """Say how many bytes will be read from in turn."""

    @abstractmethod
    def broken(self, what: str) -> FauxleyError:
        """The error that says what is damaged and how to mend it."""


class Folder(Location):
    """A folder on a disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return printable(self.path)

    def read(self, name: str, most_bytes: int, sha256: str = "") -> bytes:
        if not self.path.is_dir():
            raise FauxleyError(f"{self} does not exist; make it with 'fauxley prepare'")
        if not (self.path / name).exists():
            raise FauxleyError(f"{self} is not a dataset; make one with 'fauxley prepare'")
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
        pass  # the disk's own cache knows better

    def expect(self, num_bytes: int) -> None:
        pass

    def broken(self, what: str) -> FauxleyError:
        return FauxleyError(f"{self} is damaged: {what}; prepare it again with --overwrite")
