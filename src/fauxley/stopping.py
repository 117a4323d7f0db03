"""Signals that ask a process to end: Ctrl-C, the end of a job, a terminal that is closed, a scheduler's warning.

Training collects them and ends after the step (`stop_signals`). Elsewhere the first of them becomes an exception, as
Ctrl-C is one (`stoppable`): whatever is being written is cleaned up, and workers are ended with their parent.

No system knows all of them, hence the names: SIGHUP and SIGUSR1 are POSIX's, SIGBREAK (Ctrl-Break) is Windows'.
"""

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGBREAK")


class Stopped(KeyboardInterrupt):
    """The process was asked to end, by whatever signal."""


def stopping_signals() -> list[signal.Signals]:
    """The signals that this system has and this process does not ignore; `nohup` lets its commands ignore SIGHUP.

    Shells have SIGINT ignored in the background, where Ctrl-C is not meant; who sends it by its number means it.
    """
    present = [signal.Signals[name] for name in _NAMES if name in signal.Signals.__members__]
    return [each for each in present if each == signal.SIGINT or signal.getsignal(each) is not signal.SIG_IGN]


@contextmanager
def stop_signals(insistent: bool = True) -> Iterator[list[int]]:
    """Within the block, collect the signals that ask to end instead of ending by them.

    Args:
        insistent: a second Ctrl-C kills as usual. Not so under torchrun, which passes on a Ctrl-C that the terminal has
            sent to all processes already, and kills by SIGKILL what has not ended 30 s later. The other signals may
            come twice for one reason: `timeout` sends to a process and then to its group, a terminal that is closed
            tells the shell, which tells its jobs, and the jobs.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
        yield received
        return
    before = {number: signal.getsignal(number) for number in stopping_signals()}

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if insistent and number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])

    try:
        for number in before:
            signal.signal(number, receive)
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
