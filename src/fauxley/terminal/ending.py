"""How a command ends when it is told to, and when nobody reads what it says any more.

A signal that asks to end becomes an exception, as Ctrl-C is one: whatever is being written is cleaned up, and workers
are ended with their parent. A reader that has gone (`fauxley scan sounds | head`, a terminal that was closed) is no
failure: the output is let go of, and the exit code stays 0.
"""

import errno
import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, cast

from fauxley.training.stop_signals import stopping_signals

# What writing says when there is no reader: a pipe, a terminal, a pipe on Windows.
_NO_READER = {errno.EPIPE, errno.EIO, errno.EINVAL}


class Stopped(KeyboardInterrupt):
    """The process was asked to end, by whatever signal."""


@contextmanager
def stoppable(requests: list[int]) -> Iterator[None]:
    """Within the block, the first signal that asks to end raises `Stopped`; its number is added to `requests`.

    It may come in the midst of anything, and what it interrupts may fail in its own way: whatever is raised after a
    request is its consequence.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in stopping_signals()}

    def stop(number: int, frame: FrameType | None) -> None:
        for each in before:  # cleaning up is not to be interrupted by the same request, sent again; by Ctrl-C it may be
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_IGN)
        requests.append(number)
        for worker in multiprocessing.active_children():  # before they can complain that we are gone
            worker.kill()
        raise Stopped

    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Print a line on stderr, if there is still somebody to read it."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def lacks_reader(error: OSError) -> bool:
    """Whether an error comes from writing to an output that nobody reads any more."""
    return error.errno in _NO_READER and error.filename is None and release_outputs()


def release_outputs() -> bool:
    """Send what would still be said where nobody reads to nowhere; whether there is such an output.

    Otherwise Python itself complains, when it ends, of what it cannot get rid of.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and not stream.closed]
    unread = [stream for stream in streams if _is_unread(stream)]
    for stream in unread:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
    return bool(unread)


def _is_unread(stream: IO[Any]) -> bool:
    try:
        stream.flush()
    except OSError:
        return True
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # in memory
        return False
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are reported in any case
    return bool(poll.poll(0))


def messages() -> IO[str]:
    """stderr for those who report on long work, which goes on when nobody reads what they say."""
    return cast(IO[str], _Forgiving(sys.stderr))


class _Forgiving:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
