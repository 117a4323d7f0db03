"""Finding the latent of a recording, in a thread, one after the other: progress, cancelling, and what was found."""

import secrets
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from fauxley.errors import FauxleyError
from fauxley.latents.inversion import invert
from fauxley.studio.instruments import Float, Instrument
from fauxley.studio.recordings import Recording
from fauxley.studio.worker import BusyError

State = Literal["waiting", "running", "done", "failed", "cancelled"]
_MOST_WAITING = 8
_KEPT = 64


@dataclass(frozen=True)
class Found:
    """The sound of a model that is nearest to a recording.

    Attributes:
        latent: (Z,).
        labels: weights of labels.
        audio: the sound of the latent, (C, T).
        distance: how far it is.
        verdict: the same in words.
    """

    latent: Float
    labels: dict[str, float]
    audio: Float
    distance: float
    verdict: str


@dataclass
class Inversion:
    """A search: its state, what is being done and the share of it that is done, and what came of it."""

    id: str
    instrument: Instrument
    recording: Recording
    labels: dict[str, float]
    state: State = "waiting"
    stage: str = ""
    share: float = 0.0
    found: Found | None = None
    problem: str = ""
    stop: threading.Event = field(default_factory=threading.Event)


class Inversions:
    """Searches, the last ones of which are remembered. To be closed."""

    def __init__(self) -> None:
        self._searches: OrderedDict[str, Inversion] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "fauxley-studio-inversion")

    def start(self, instrument: Instrument, recording: Recording, labels: dict[str, float]) -> Inversion:
        """Begin a search.

        Raises:
            BusyError: too many are waiting.
        """
        search = Inversion(secrets.token_urlsafe(12), instrument, recording, labels)
        with self._lock:
            waiting = sum(each.state in ("waiting", "running") for each in self._searches.values())
            if waiting >= _MOST_WAITING:
                raise BusyError("too many recordings are being looked into; try again in a moment")
            self._searches[search.id] = search
            while len(self._searches) > _KEPT:
                self._searches.popitem(last=False)
        self._thread.submit(_run, search)
        return search

    def get(self, identifier: str) -> Inversion | None:
        """The search of this name, if it is remembered."""
        with self._lock:
            return self._searches.get(identifier)

    def close(self) -> None:
        """Cancel all searches."""
        with self._lock:
            for search in self._searches.values():
                search.stop.set()
        self._thread.shutdown(cancel_futures=True)


def _run(search: Inversion) -> None:
    if search.stop.is_set():
        search.state = "cancelled"
        return
    search.state = "running"
    try:
        found = _nearest(search)
    except FauxleyError as error:
        search.state, search.problem = ("cancelled", "") if search.stop.is_set() else ("failed", str(error))
    except Exception as error:
        search.state, search.problem = "failed", f"something went wrong here: {type(error).__name__}"
    else:
        search.found, search.share = found, 1.0
        search.state = "cancelled" if search.stop.is_set() else "done"


def _nearest(search: Inversion) -> Found:
    def tell(stage: str, done: int, total: int) -> None:
        search.stage, search.share = stage, done / max(total, 1)

    wanted = search.labels or None
    audio = search.recording.audio
    found = invert(search.instrument.synthesizer, audio, labels=wanted, progress=tell, cancelled=search.stop.is_set)
    return Found(found.latent.numpy(), found.labels, found.audio.numpy(), found.distance, found.words)
