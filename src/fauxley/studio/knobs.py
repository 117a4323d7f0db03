"""The knobs of models in a player's words: found once for each model, in the background, and remembered."""

import threading

from fauxley.latents.directions import Directions
from fauxley.studio.instruments import Instrument
from fauxley.studio.jobs import Job, Jobs


class Knobs:
    """What the knobs of each model are, as far as that has been found out.

    Args:
        jobs: where they are found.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._of: dict[str, Job[Directions]] = {}
        self._lock = threading.RLock()

    def look(self, instrument: Instrument) -> Job[Directions] | None:
        """How far the search for a model's knobs is; None if there was none, nor at any time before."""
        with self._lock:
            job = self._of.get(instrument.id)
            if job is None and (known := Directions.recall(instrument.synthesizer)) is not None:
                job = self._of[instrument.id] = Job("", lambda *_: known)
                job.run()
            return job

    def find(self, instrument: Instrument) -> Job[Directions]:
        """Begin to look for a model's knobs; whoever asks meanwhile is told of the same search.

        Raises:
            BusyError: too much is being worked on.
        """
        with self._lock:
            job = self.look(instrument)
            if job is None or job.state in ("failed", "cancelled"):
                job = self._of[instrument.id] = self._jobs.start(
                    lambda tell, cancelled: Directions.fit(instrument.synthesizer, progress=tell, cancelled=cancelled)
                )
            return job
