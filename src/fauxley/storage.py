"""Files and folders that appear whole or not at all, locks between processes, and checksums; on every system.

- **Atomic writes.** Everything is written under a temporary name beside its destination, flushed to the disk and then
  renamed, which is atomic. What a killed process leaves behind has a name that `is_leftover` recognises, so that
  readers can pass it over and owners can sweep it away.
- **Locks.** A lock is a lock file, and is over when its process is, however that ends. Some file systems (of networks,
  in user space) know no locks. There a second file's being there is the lock, and one that was left by a dead process
  of this machine is taken over.

- **Places.** Whether results can go where they are to go is asked before the work and not after it.

Not every system can do all of it. Some flush no folders. Windows renames and removes nothing that is open, not even for
the moment in which a virus scanner looks at a new file: there we try for a while.
"""

import errno
import hashlib
import os
import re
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fauxley.errors import FauxleyError, UsageError, printable

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_FILE = ".lock"
_MARK = ".partial-"
_NO_FLUSHING = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NO_LOCKING = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
_LONGEST_NAME = 255  # bytes, on nearly every file system
_IN_USE = (5, 32)  # Windows: access denied, sharing violation
_PATIENCE_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 0.1


def check_folder_place(folder: Path) -> None:
    """Check that a folder is at `folder` or could be made there.

    Raises:
        UsageError: a file is in its way.
    """
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), None)
    if there is not None and not there.is_dir():
        raise UsageError(f"{printable(there)} is a file, where a folder is to be; move it away, or choose another name")


def check_file_place(file: Path) -> None:
    """Check that a file could be written to `file`, into a folder that is there.

    Raises:
        UsageError: a folder is in its way, or its own folder is missing.
    """
    check_folder_place(file.parent)
    if file.is_dir():
        raise UsageError(f"{printable(file)} is a folder, where a file is to be; choose another name")
    if not file.parent.exists():
        raise UsageError(f"{printable(file.parent)} does not exist; make that folder, or choose another")


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
        with _naming(path):
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
        with _naming(path):
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
    """The name that `path` was to get if it is a temporary one, for messages; else `path`."""
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
        if error.errno not in _NO_FLUSHING:
            raise


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give an error of writing, such as a full disk's, which knows no file, the name of what was being written."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = os.fspath(path)
        raise


def _partial(path: Path) -> Path:
    """A temporary name beside `path`, with its ending."""
    mark, name = f"{_MARK}{os.getpid()}-", path.name
    if (too_long := len(mark) + len(os.fsencode(name)) - _LONGEST_NAME) > 0:
        name = os.fsencode(name)[too_long:].decode(errors="ignore")
    return path.with_name(mark + name)


def take_lock(path: Path, *, wait: bool = False, whole_process: bool = False) -> "BaseFileLock | None":
    """Take the lock of the file `path`, which is made and may stay; None if another process has it.

    Args:
        path: in a folder that exists.
        wait: until it is free, instead of giving up.
        whole_process: who takes it again in this process has it too, until the last of them lets go of it. Otherwise
            one thread keeps out the others.

    Raises:
        OSError: no permission, no room.
    """
    # Imported here: it takes longer to load than most commands without locks need in all.
    from filelock import FileLock, SoftFileLock, Timeout

    timeout = -1 if wait else 0
    try:
        lock = FileLock(path, timeout, thread_local=False, is_singleton=whole_process, fallback_to_soft=False)
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        if error.errno not in _NO_LOCKING:
            raise
    else:
        return lock
    try:
        soft = SoftFileLock(
            path.with_name(f"{path.name}.held"), timeout, thread_local=False, is_singleton=whole_process
        )
        soft.acquire()
    except Timeout:
        return None
    return soft


@contextmanager
def hold_folder(folder: Path) -> Iterator[bool]:
    """Hold `folder` against other processes within the block; gives False, and holds nothing, if another has it."""
    lock = take_lock(folder / LOCK_FILE)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            _let_go(folder, lock)


def _let_go(folder: Path, lock: "BaseFileLock") -> None:
    # Whoever has opened it meanwhile sees that it is gone. Windows lets nobody remove an open file; there it goes with
    # the release.
    with suppress(OSError):
        (folder / LOCK_FILE).unlink()
    lock.release()


def remove_unless_held(folder: Path) -> bool:
    """Remove a folder that processes hold by `hold_folder`; False if one does."""
    try:
        with hold_folder(folder) as unused:
            if unused:
                shutil.rmtree(folder, ignore_errors=True)
    except FileNotFoundError:  # another process has removed it
        return True
    with suppress(OSError):  # on Windows it could not be removed with the lock in it
        folder.rmdir()
    return unused


@contextmanager
def work_folder(path: Path, key: str, work: str) -> Iterator[tuple[Path, bool]]:
    """Hold a folder beside `path` in which `path` is made, by one process at a time.

    It is removed in the end, also after a `FauxleyError`, to which resuming would lead again; it survives a kill and
    other errors, so that the next process can go on with what is there. While another process has it, this one waits,
    with a warning, until that one is done or has died.

    Args:
        path: what is to be made.
        key: 16 hexadecimal digits; who gives the same key makes the same.
        work: for the warning, such as "preparing my-sounds".

    Yields:
        The folder, and whether another process had it before, which may have made `path` meanwhile.
    """
    folder = path.with_name(f"{_MARK}{key}-{path.name}")
    lock = _take_folder(folder)
    waited = lock is None
    if waited:
        warnings.warn(f"another process is {work}; waiting until it is done", stacklevel=3)
    while lock is None:
        time.sleep(_LOOK_EVERY_SECONDS)
        lock = _take_folder(folder)
    try:
        try:
            yield folder, waited
        finally:
            _let_go(folder, lock)
    except FauxleyError:
        remove_unless_held(folder)
        raise
    remove_unless_held(folder)


def _take_folder(folder: Path) -> "BaseFileLock | None":
    """Make `folder` and take its lock; None if another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return take_lock(folder / LOCK_FILE)
    except FileNotFoundError:  # the other process has just removed it
        return None


def hash_file(path: Path) -> str:
    """SHA-256 of a regular file's content.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
