"""Files and folders that appear whole or not at all, whatever kills the process meanwhile.

Everything is written under a temporary name beside its destination, flushed to the disk and then renamed, which
is atomic. A leftover of a killed process has a name that `is_leftover` recognises, so that readers can pass it over and
owners can sweep it away.

Not every system can do all of it. Some flush no folders. Windows renames and removes nothing that is open, not even for
the moment in which a virus scanner looks at a new file: there we try for a while.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MARK = ".partial-"
_UNSUPPORTED = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_LONGEST_NAME = 255  # bytes, on nearly every file system
_IN_USE = (5, 32)  # Windows: access denied, sharing violation
_PATIENCE_SECONDS = 2.0


@contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write; on leaving without an exception it replaces `path`.

    The temporary name keeps the suffix of `path`, from which writers guess the format.

    Args:
        durable: wait until the disk has it, which protects against power failure too. Costs ten milliseconds or
            more a file: too much for thousands of sounds that can be made again.
    """
    path = Path(path)
    partial = _partial(path)
    try:
        yield partial
        if durable:
            flush(partial)
        replace(partial, path)
        if durable:
            flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on leaving without an exception it becomes `path`.

    Raises:
        FileExistsError: `path` exists already (and is not an empty folder); nothing is replaced.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} exists already")
    partial = _partial(path)
    try:
        partial.mkdir(parents=True)
        yield partial
        flush(*partial.rglob("*"), partial)
        if path.exists():  # and empty; Windows renames no folder to one that is there
            path.rmdir()
        replace(partial, path)
        flush(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def is_leftover(path: Path) -> bool:
    """Whether `path` is what a killed process left behind while writing."""
    return path.name.startswith(_MARK)


def destination(path: Path) -> Path:
    """What `path` was to become if it is a temporary name, for messages; else `path`."""
    return path.with_name(re.sub(rf"^{re.escape(_MARK)}\d+-", "", path.name)) if is_leftover(path) else path


def sweep_leftovers(folder: Path) -> None:
    """Remove what killed processes left in `folder`. Only its owner, the sole writer, may call this."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if is_leftover(entry):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def replace(path: Path, target: Path) -> None:
    """Rename `path` to `target`, in the place of a file that is there.

    Raises:
        OSError: on Windows also if one of them is open all the while.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            path.replace(target)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def flush(*paths: Path) -> None:
    """Wait until the disk has these files and folders."""
    for path in paths:
        is_folder = path.is_dir()
        try:
            # Windows flushes what may be written to, and opens no folders.
            descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        except PermissionError:
            if is_folder:
                continue
            raise
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


def sync(descriptor: int) -> None:
    """Wait until the disk has an open file or folder, where the file system can say so."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _partial(path: Path) -> Path:
    """A temporary name beside `path`, with its ending."""
    mark, name = f"{_MARK}{os.getpid()}-", path.name
    if (too_long := len(mark) + len(os.fsencode(name)) - _LONGEST_NAME) > 0:
        name = os.fsencode(name)[too_long:].decode(errors="ignore")
    return path.with_name(mark + name)
