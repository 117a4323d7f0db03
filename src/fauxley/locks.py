"""Locks between processes, by lock files: on every system, and over when the process is, however that ends.

Some file systems (of networks, in user space) know no locks. There a second file's being there is the lock, and one
that was left by a dead process of this machine is taken over.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

LOCK_FILE = ".lock"
_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


def take(path: Path, *, wait: bool = False, whole_process: bool = False) -> BaseFileLock | None:
    """Take the lock of the file `path`, which is made and may stay; None if another process has it.

    Args:
        path: in a folder that exists.
        wait: until it is free, instead of giving up.
        whole_process: who takes it again in this process has it too, until the last of them lets go of it. Otherwise
            one thread keeps out the others.

    Raises:
        OSError: no permission, no room.
    """
    timeout = -1 if wait else 0
    try:
        lock = FileLock(path, timeout, thread_local=False, is_singleton=whole_process, fallback_to_soft=False)
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
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
def alone_in(folder: Path) -> Iterator[bool]:
    """Hold `folder` against other processes within the block; gives False, and holds nothing, if another has it."""
    lock = take(folder / LOCK_FILE)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            # Whoever has opened it meanwhile sees that it is gone. Windows lets nobody remove an open file; there it
            # goes with the release.
            with suppress(OSError):
                (folder / LOCK_FILE).unlink()
            lock.release()


def remove_unless_held(folder: Path) -> bool:
    """Remove a folder that processes hold by `alone_in`; False if one does."""
    with alone_in(folder) as unused:
        if unused:
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # on Windows it could not be removed with the lock in it
        folder.rmdir()
    return unused
