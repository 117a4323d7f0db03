"""The cache of a user, of what could be made or fetched again: where it is, how much it holds, and emptying it.

FAUXLEY_CACHE_DIR   where; by default where the system keeps such things: $XDG_CACHE_HOME or ~/.cache on Linux,
                    ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from fauxley.errors import FauxleyError
from fauxley.storage import is_leftover, remove_unless_held

_WORK = re.compile(r"\.partial-[0-9a-f]{16}-")  # where a dataset is being prepared
_ABANDONED_SECONDS = 3600  # what has not grown for so long belongs to a process that was killed


@dataclass(frozen=True)
class CacheKind:
    """Things of one kind, in a folder of that name.

    Attributes:
        name: of the folder.
        purpose: in words.
        pattern: what their names are like, a regular expression. Nothing else is ours, should the user have more there.
    """

    name: str
    purpose: str
    pattern: str

    def entries(self) -> Iterator[Path]:
        """Yield all of them, and what killed processes left."""
        folder = cache_folder() / self.name
        with suppress(FileNotFoundError, NotADirectoryError):
            for entry in sorted(folder.iterdir()):
                if is_leftover(entry) or re.fullmatch(self.pattern, entry.name):
                    yield entry

    def num_bytes(self) -> int:
        """The bytes that they take of the disk."""
        return sum(map(_num_bytes, self.entries()))

    def clear(self) -> list[Path]:
        """Remove them, but for those which some process is making or, on Windows, has open; these are returned."""
        kept = [entry for entry in self.entries() if not _remove(entry)]
        with suppress(OSError):  # not empty
            (cache_folder() / self.name).rmdir()
        return kept


CACHE_KINDS = (
    CacheKind("datasets", "folders of sounds, prepared when they were given as training data", ".+-[0-9a-f]{16}"),
    CacheKind("classifiers", "trained to judge sounds by", "[0-9a-f]+-[0-9a-f]{8}"),
    CacheKind("shards", "copies of datasets behind URLs; FAUXLEY_CACHE_SIZE bounds them", r"[0-9a-f]{64}|.+\.lock"),
    CacheKind(
        "latents", "what models can do: knobs, and how far apart their sounds are", r"[0-9a-f]{16}-[\w-]+\.safetensors"
    ),
    CacheKind("measures", "of what this machine is fast in", r"precision\.json"),
)


def cache_folder() -> Path:
    """The folder that holds it all; it need not exist.

    Raises:
        FauxleyError: the user has no home.
    """
    if chosen := os.environ.get("FAUXLEY_CACHE_DIR"):
        return Path(chosen)
    try:
        folder = platformdirs.user_cache_path("fauxley", appauthor=False)
    except RuntimeError:  # a user without HOME and without an account, as in a container
        folder = Path("~")
    if not folder.is_absolute():  # older versions do not notice
        raise FauxleyError("there is no home folder to keep things in; set FAUXLEY_CACHE_DIR to a folder for them")
    return folder


def writable_folder(kind: str) -> Path:
    """The folder of a kind of things, made if need be, before something long is begun that is to be kept there.

    Raises:
        FauxleyError: nothing can be written there.
    """
    folder = cache_folder() / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # rights alone do not tell: a whole file system may be read-only
            pass
    except OSError as error:
        why = f"nothing can be kept in {folder} ({error.strerror})"
        raise FauxleyError(f"{why}; set FAUXLEY_CACHE_DIR to another folder") from error
    return folder


def _num_bytes(path: Path) -> int:
    total = 0
    with suppress(OSError):  # another process may be removing it
        if path.is_dir():
            return sum(map(_num_bytes, path.iterdir()))
        total = path.stat(follow_symlinks=False).st_size
    return total


def _remove(path: Path) -> bool:
    try:
        if _WORK.match(path.name):
            return remove_unless_held(path)
        if is_leftover(path) and path.stat().st_mtime > time.time() - _ABANDONED_SECONDS:
            return False
        if not path.is_dir():
            path.unlink()
            return True
        # At once, so that nobody opens half of it.
        doomed = path.with_name(f".partial-{os.getpid()}-{path.name}")
        path.rename(doomed)
    except FileNotFoundError:  # by another process
        return True
    except OSError:
        return False
    shutil.rmtree(doomed, ignore_errors=True)
    return True
