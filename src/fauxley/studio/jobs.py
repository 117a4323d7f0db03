"""Long work for the page, in a thread, one after the other: progress, cancelling, and what came of it."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from fauxley.errors import FauxleyError
from fauxley.studio.worker import BusyError

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Tell = Callable[[str, int, int], None]
"""Is told what is being done, and how many steps of how many are done."""
Cancelled = Callable[[], bool]
"""Says whether the work is no longer wanted."""

_MOST_WAITING = 8
_KEPT = 64

Result = TypeVar("Result")


@dataclass
class Job(Generic[Result]):
    """A piece of work: its state, what is being done and the share of it that is done, and what came of it."""

    id: str
    make: Callable[[Tell, Cancelled], Result]
    state: State = "waiting"
    stage: str = ""
    share: float = 0.0
    result: Result | None = None
    problem: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        return self.state not in ("waiting", "running")

    def standing(self) -> dict[str, Any]:
        """What the page is told of any work: its state, stage, share and problem."""
        return {"state": self.state, "stage": self.stage, "share": self.share, "problem": self.problem}

    def run(self) -> None:
        """Do the work."""
        if self.stop.is_set():
            self.state = "cancelled"
            return
        self.state = "running"
        try:
            self.result = self.make(self._tell, self.stop.is_set)
        except FauxleyError as error:
            self.state, self.problem = ("cancelled", "") if self.stop.is_set() else ("failed", str(error))
        except Exception as error:
            self.state, self.problem = "failed", f"something went wrong here: {type(error).__name__}"
        else:
            self.share = 1.0
            self.state = "cancelled" if self.stop.is_set() else "done"

    def _tell(self, stage: str, done: int, total: int) -> None:
        self.stage, self.share = stage, done / max(total, 1)


class Jobs:
    """Pieces of work, the last ones of which are remembered. To be closed."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job[Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "fauxley-studio-jobs")

    def start(self, make: Callable[[Tell, Cancelled], Result]) -> Job[Result]:
        """Begin a piece of work.

        Raises:
            BusyError: too many are waiting.
        """
        job = Job(secrets.token_urlsafe(12), make)
        with self._lock:
            if sum(not each.is_over for each in self._jobs.values()) >= _MOST_WAITING:
                raise BusyError("too much is being worked on; try again in a moment")
            self._jobs[job.id] = job
            while len(self._jobs) > _KEPT:
                self._jobs.popitem(last=False)
        self._thread.submit(job.run)
        return job

    def get(self, identifier: str) -> Job[Any] | None:
        """The piece of work of this name, if it is remembered."""
        with self._lock:
            return self._jobs.get(identifier)

    def close(self) -> None:
        """Cancel everything."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._thread.shutdown(cancel_futures=True)
