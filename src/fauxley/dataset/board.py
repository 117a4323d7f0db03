"""A board on which several processes write how far they are, so that hours inside one file show, too."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

Progress = Callable[[float, int], None]  # files done, a file in work counting as what is done of it; files in all
_EVERY_SECONDS = 0.5


class Place:
    """One worker's line on the board, or none; travels between processes."""

    def __init__(self, board: Path | None = None, index: int = 0) -> None:
        self._board = board
        self._index = index
        self._next_write = 0.0

    def within(self, done: int) -> Callable[[float], None]:
        """What takes the share of the file in work that is done, after `done` whole ones."""
        return lambda share: self.write(done + share)

    def write(self, done: float) -> None:
        """Say, now and then, that `done` files are done, the last perhaps in part; nothing if the board is away."""
        now = time.monotonic()
        if self._board is None or now < self._next_write:
            return
        self._next_write = now + _EVERY_SECONDS / 2
        with suppress(OSError, ValueError):
            lines = np.memmap(self._board, np.float64, "r+")
            lines[self._index] = done


NOWHERE = Place()


class Board:
    """What the workers wrote, read now and then to `progress`, which is also told of what is finished for good.

    Attributes:
        done: files that are reported as done.
    """

    def __init__(self, path: Path, total: int, progress: Progress) -> None:
        self._path = path
        self._total = total
        self._progress = progress
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True, name="progress")
        self.done: float = 0

    def place(self, index: int) -> Place:
        return Place(self._path, index)

    def report(self, done: float) -> None:
        """Tell `progress` that `done` files are done, unless it knows of as many."""
        with self._lock:
            if done > self.done or not done:
                self.done = done
                self._progress(done, self._total)

    def _read(self) -> None:
        begun = self.done
        while not self._stop.wait(_EVERY_SECONDS):
            with suppress(OSError, ValueError):  # a terminal that is gone is noticed by who has nothing else to do
                done = begun + float(np.fromfile(self._path).sum())
                self.report(int(done) if done == int(done) else round(done, 3))


@contextmanager
def board(count: int, total: int, progress: Progress | None, done: int = 0) -> Iterator[Board]:
    """A board of `count` lines on `total` files of which `done` are done, read while the block runs."""
    with TemporaryDirectory(prefix="fauxley-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "board"
        np.zeros(max(count, 1)).tofile(path)
        made = Board(path, total, progress or (lambda done, total: None))
        made.report(done)
        made._reader.start()
        try:
            yield made
        finally:
            made._stop.set()
            made._reader.join()
