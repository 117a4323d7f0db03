"""Recognises long recordings of separate hits: a walk, an hour of drumming, a session of claps.

Such a recording has several hits, most of which rise far and at once out of what was before them. Speech rises more
slowly, a drone or a stream of noise not at all.
"""

from dataclasses import dataclass

import numpy as np

from fauxley.dataset.cutting import Cutter, Cutting
from fauxley.sounds.reading import Float

_LONG_SECONDS = 5.0
_FEWEST_HITS = 5
_RISE_DB, _ATTACK_SECONDS = 20.0, 0.012  # of most hits: at least, at most


@dataclass(frozen=True)
class HitSummary:
    """What a file would be cut into.

    Attributes:
        count: hits; 0 of a file that is no long recording of hits.
        median_seconds: how long a hit is.
        most_seconds: how long nine of ten are, at most.
    """

    count: int = 0
    median_seconds: float = 0.0
    most_seconds: float = 0.0


class HitCounter:
    """Counts the hits of one file that streams past; a short file is not listened to.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._cutter = Cutter(sample_rate, Cutting())
        self._waiting: list[Float] = []
        self._size = 0

    def add(self, block: Float) -> None:
        """Take a block `(n, C)` into account."""
        self._size += len(block)
        self._waiting.append(block)
        if self._is_long:
            for waiting in self._waiting:
                self._cutter.add(waiting)
            self._waiting = []

    def summary(self) -> HitSummary:
        """Of all that was added."""
        hits = self._cutter.hits() if self._is_long else []
        if len(hits) < _FEWEST_HITS:
            return HitSummary()
        rise = np.median([hit.stands_out_db for hit in hits])
        attack = np.median([hit.attack_seconds for hit in hits])
        if rise < _RISE_DB or attack > _ATTACK_SECONDS:
            return HitSummary()
        median, most = np.percentile([hit.num_samples / self._rate for hit in hits], (50, 90))
        return HitSummary(len(hits), round(float(median), 4), round(float(most), 4))

    @property
    def _is_long(self) -> bool:
        return self._size >= _LONG_SECONDS * self._rate
