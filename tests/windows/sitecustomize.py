"""Makes a process on Linux as much like one on Windows as can be, for fauxley and below the folder $WINDOWS_BELOW.

For modules of fauxley there are no fcntl, no os.fork, no SIGHUP and so on, while other libraries keep what they need
here. Below the folder, files behave as on Windows: what is open (or mapped into memory) is neither renamed nor removed,
nor a folder that holds it; no folder is opened; only what may be written to is flushed; a folder does not replace
another; names are as Windows wants them; and text without an encoding is cp1252.
"""

import builtins
import contextlib
import errno
import io
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import types

_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "curses", "readline", "crypt", "spwd"}
_ATTRIBUTES = {
    "os": {
        *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getgroups", "setsid", "getpgid", "getpgrp"),
        *("setpgid", "killpg", "nice", "uname", "sysconf", "statvfs", "fstatvfs", "mkfifo", "mknod", "chown", "fchown"),
        *("fchmod", "pread", "pwrite", "preadv", "pwritev", "posix_fadvise", "posix_fallocate", "sendfile", "sync"),
        *("fdatasync", "sched_getaffinity", "sched_setaffinity", "sched_yield", "wait", "wait3", "wait4", "getloadavg"),
        *("O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_SYNC", "O_TMPFILE", "lockf", "openpty", "ttyname"),
    },
    "signal": {
        *("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGPIPE", "SIGALRM", "SIGCHLD", "SIGSTOP", "SIGCONT", "SIGQUIT"),
        *("SIGTSTP", "alarm", "setitimer", "pthread_sigmask", "pthread_kill", "sigwait", "siginterrupt", "pause"),
    },
    "select": {"poll", "epoll"},
    "time": {"tzset", "clock_gettime"},
}
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_BELOW = os.path.realpath(os.environ["WINDOWS_BELOW"])


class _Signals:
    """`signal.Signals` without what Windows has not."""

    __members__ = types.MappingProxyType(
        {name: each for name, each in signal.Signals.__members__.items() if name not in _ATTRIBUTES["signal"]}
    )

    def __getitem__(self, name):
        return self.__members__[name]

    def __call__(self, number):
        return signal.Signals(number)


class _Without(types.ModuleType):
    """A module as fauxley sees it on Windows."""

    def __init__(self, module):
        super().__init__(module.__name__)
        self.__dict__["_module"] = module

    def __getattr__(self, name):
        if name in _ATTRIBUTES[self.__name__]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        if self.__name__ == "signal" and name == "Signals":
            return _Signals()
        return getattr(self._module, name)

    def __setattr__(self, name, value):
        setattr(self._module, name, value)


_import = builtins.__import__


def _import_as_on_windows(name, globals=None, locals=None, fromlist=(), level=0):  # noqa: A002
    module = _import(name, globals, locals, fromlist, level)
    importer = (globals or {}).get("__name__", "")
    if level == 0 and importer.split(".")[0] == "fauxley":
        if name.split(".")[0] in _MODULES:
            raise ModuleNotFoundError(f"No module named {name!r} (on Windows)", name=name)
        if name in _ATTRIBUTES:
            return _Without(module)
        if name == "filelock":
            _remove_after_release(module.FileLock)
    return module


def _remove_after_release(lock_class):
    """What filelock does on Windows, where it cannot be done before."""
    release = lock_class._release
    if release.__name__ == "release_and_remove":
        return

    def release_and_remove(self):
        release(self)
        with contextlib.suppress(OSError):
            os.unlink(self._lock_path)

    lock_class._release = release_and_remove


builtins.__import__ = _import_as_on_windows


def _below(path):
    """The real path, if it is ours to be strict about."""
    if isinstance(path, int) or path is None:
        return None
    path = os.path.abspath(os.fsdecode(path))
    return path if path == _BELOW or path.startswith(_BELOW + os.sep) else None


def _refusal(path, winerror):
    error = PermissionError(errno.EACCES, "Access is denied" if winerror == 5 else "It is being used", path)
    error.winerror = winerror
    return error


def _open_paths():
    """What this process has open or mapped."""
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
    with _open("/proc/self/maps", errors="surrogateescape") as maps:
        for line in maps:
            yield line.rstrip("\n").split(maxsplit=5)[-1]


def _refuse_if_open(path):
    real = os.path.realpath(path)
    for each in _open_paths():
        if each == real or each.startswith(real + os.sep):
            raise _refusal(path, 32)


def _check_name(path):
    """Refuse to make what Windows could not."""
    for name in os.path.relpath(path, _BELOW).split(os.sep):
        if name in (".", ".."):
            continue
        if _RESERVED.fullmatch(name) or re.search(r'[<>:"|?*\\\x00-\x1f]', name) or name[-1] in ". ":
            raise OSError(errno.EINVAL, "The filename, directory name, or volume label syntax is incorrect", path)


def _rename_audited(source, target, *_):
    if path := _below(source):
        _refuse_if_open(path)
    if path := _below(target):
        _check_name(path)
        if os.path.isdir(path):
            raise _refusal(path, 5)
        _refuse_if_open(path)


def _remove_audited(path, *_):
    if path := _below(path):
        _refuse_if_open(path)


def _mkdir_audited(path, *_):
    if path := _below(path):
        _check_name(path)


def _open_audited(path, _, flags):
    if path := _below(path):
        if os.path.isdir(path):
            raise _refusal(path, 5)
        if flags & os.O_CREAT:
            _check_name(path)


_AUDITED = {
    "os.rename": _rename_audited,
    "os.remove": _remove_audited,
    "os.rmdir": _remove_audited,
    "os.mkdir": _mkdir_audited,
    "open": _open_audited,
}


def _watch(event, arguments):
    if event in _AUDITED:
        _AUDITED[event](*arguments)


def _temporary_file(mode="w+b", buffering=-1, dir=None, prefix=None, **_):  # noqa: A002
    """As there: with a name, until it is closed."""
    descriptor, path = tempfile.mkstemp(dir=dir, prefix=prefix)
    return tempfile._TemporaryFileWrapper(os.fdopen(descriptor, mode, buffering), path)


_fsync, _rename, _open = os.fsync, os.rename, io.open


def _fsync_writable(descriptor):
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    fcntl = _import("fcntl")
    if stat.S_ISDIR(os.fstat(number).st_mode) or fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return _fsync(number)


def _rename_never_replacing(source, target, **folders):
    if _below(target) and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "Cannot create a file when that file already exists", target)
    return _rename(source, target, **folders)


def _open_as_on_windows(file, mode="r", buffering=-1, encoding=None, *more, **named):
    if encoding in (None, "locale") and "b" not in mode and _below(file):
        encoding = "cp1252"
    return _open(file, mode, buffering, encoding, *more, **named)


os.fsync, os.rename = _fsync_writable, _rename_never_replacing
io.open = builtins.open = _open_as_on_windows
shutil._use_fd_functions = False  # which open folders
tempfile.TemporaryFile = _temporary_file
sys.addaudithook(_watch)
