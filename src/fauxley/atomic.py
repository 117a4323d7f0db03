"""Files and folders that appear whole or not at all, whatever kills the process meanwhile.

Everything is written under a temporary name beside its destination, flushed to the disk and then renamed, which
POSIX makes atomic. A leftover of a killed process has a name that `is_leftover` recognises, so that readers can
pass it over and owners can sweep it away.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MARK = ".partial-"


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
            _flush(partial)
        partial.replace(path)
        if durable:
            _flush(path.parent)
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
        for entry in (*partial.rglob("*"), partial):
            _flush(entry)
        partial.replace(path)
        _flush(path.parent)
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


def _partial(path: Path) -> Path:
    return path.with_name(f"{_MARK}{os.getpid()}-{path.name}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
