"""The joint progress of several processes: each writes to a shared file how far it is, within a sound, too."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

Progress = Callable[[float, int], None]  # files done, which may include a part of a file; files in all
_EVERY_SECONDS = 0.5


class WorkerProgress:
    """The progress of one worker, written to its place in the shared file. It can be pickled for another process."""

    def __init__(self, file: Path | None = None, index: int = 0) -> None:
        self._file = file
        self._index = index
        self._next_write = 0.0

    def within(self, done: int) -> Callable[[float], None]:
        """A function to call with the share of the next sound that is done, when `done` sounds are complete."""
        return lambda share: self.write(done + share)

    def write(self, done: float) -> None:
        """Write now and then that `done` files are done, the last perhaps in part; does nothing without a file."""
        now = time.monotonic()
        if self._file is None or now < self._next_write:
            return
        self._next_write = now + _EVERY_SECONDS / 2
        with suppress(OSError, ValueError):
            places = np.memmap(self._file, np.float64, "r+")
            places[self._index] = done


NO_PROGRESS = WorkerProgress()


class SharedProgress:
    """Reads what the workers wrote now and then, and calls `progress` with the sum.

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

    def worker(self, index: int) -> WorkerProgress:
        return WorkerProgress(self._path, index)

    def report(self, done: float) -> None:
        """Call `progress` with `done` files, unless it was called with as many."""
        with self._lock:
            if done > self.done or not done:
                self.done = done
                self._progress(done, self._total)

    def _read(self) -> None:
        begun = self.done
        while not self._stop.wait(_EVERY_SECONDS):
            with suppress(OSError, ValueError):  # a closed terminal is noticed elsewhere
                done = begun + float(np.fromfile(self._path).sum())
                self.report(int(done) if done == int(done) else round(done, 3))


@contextmanager
def shared_progress(count: int, total: int, progress: Progress | None, done: int = 0) -> Iterator[SharedProgress]:
    """Show the progress of `count` workers on `total` files, `done` of them already done, while the block runs."""
    with TemporaryDirectory(prefix="fauxley-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "progress"
        np.zeros(max(count, 1)).tofile(path)
        made = SharedProgress(path, total, progress or (lambda done, total: None))
        made.report(done)
        made._reader.start()
        try:
            yield made
        finally:
            made._stop.set()
            made._reader.join()
