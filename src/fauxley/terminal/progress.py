"""Progress of long work: a bar on a terminal; elsewhere, in a log or a pipe, a line every few seconds."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fauxley.dataset.shared_progress import Progress as Report
from fauxley.evaluation.protocol import ProgressTracker
from fauxley.terminal.formatting import waiting_time
from fauxley.terminal.outputs import messages, say

SPEAK_EVERY = 5.0  # seconds between lines where there is no terminal


class Stages(ProgressTracker):
    """One stage of work after another; to be used as a context manager.

    The lines come from a thread of their own, so that work which hangs over one large file is not silent either.

    Args:
        quiet: say nothing at all.
    """

    def __init__(self, quiet: bool = False) -> None:
        console = Console(file=messages())
        live = console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not live,
            transient=True,
        )
        self._task: TaskID | None = None
        self._what, self._total, self._since = "", 0, time.monotonic()
        self._done: float = 0
        self._ended = threading.Event()
        self._speaker = None if live or quiet else threading.Thread(target=self._speak, daemon=True)

    def __enter__(self) -> "Stages":
        self._progress.start()
        if self._speaker:
            self._speaker.start()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._progress.stop()
        self._ended.set()
        if self._speaker:
            self._speaker.join()

    def begin(self, what: str, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total or None)
        self._what, self._done, self._total, self._since = what, 0, total, time.monotonic()

    def advance(self, count: int) -> None:
        self.reach(self._done + count, self._total)

    def reach(self, done: float, total: int, what: str | None = None) -> None:
        """`done` of `total` are done, one of them perhaps in part; `what` renames the stage."""
        self._done, self._total, self._what = done, total, what or self._what
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total or None, description=self._what)

    def _speak(self) -> None:
        while not self._ended.wait(SPEAK_EVERY):
            if self._what:
                elapsed = time.monotonic() - self._since
                say(progress_line(self._what, self._done, self._total, elapsed))


@contextmanager
def file_progress(what: str, quiet: bool) -> Iterator[Report]:
    """Show progress over files; yields a function that is told how many of how many are done."""
    with Stages(quiet) as stages:
        stages.begin(what, 0)
        yield stages.reach


def progress_line(what: str, done: float, total: int, seconds: float) -> str:
    """A line such as `scanning: 120 of 1,000, 24 a second, 37 s left`."""
    count = f"{done:,.0f}" if done == int(done) else f"{done:,.2f}"
    if not total:
        return f"{what}: {f'{count} done, ' if done else ''}{waiting_time(seconds)} so far"
    if not done or seconds <= 0:
        return f"{what}: {count} of {total:,}, {waiting_time(seconds)} so far"
    rate = done / seconds
    pace = f"{rate:,.1f} a second" if rate >= 1 else f"{1 / rate:,.1f} s each"
    return f"{what}: {count} of {total:,}, {pace}, {waiting_time((total - done) / rate)} left"
