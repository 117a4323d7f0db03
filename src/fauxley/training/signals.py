"""Signals that ask a run to end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals(insistent: bool = True) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them.

    Args:
        insistent: a second one kills as usual. Not so under torchrun, which passes on a Ctrl-C that the terminal has
            sent to all processes already, and kills by SIGKILL what has not ended 30 s later.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
        yield received
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if insistent:
            signal.signal(number, before[signal.Signals(number)])

    try:
        for number in before:
            signal.signal(number, receive)
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
