"""Finds the hits of a long recording and says where to cut it: where each begins and ends, and how its ends are faded.

A hit begins a few milliseconds ahead of its attack and ends where the next begins or its tail has fallen to silence:
60 dB below its loudest 20 ms, or to the level of what goes on all the time. What is cut fades in over the lead and out
over its last milliseconds, so that nothing clicks where a tail or a steady noise is cut off. Levels are left as they
are: soft steps stay softer than loud ones, until somebody normalises each sound, as `prepare` does by default.

Hits are found in the file as it is, at its own rate, so that all commands cut at the same places.

`HitCounter` recognises long recordings of separate hits: a walk, an hour of drumming, a session of claps. Such a
recording has several hits, most of which rise far and at once out of what was before them. Speech rises more slowly, a
drone or a stream of noise not at all.

Letters: C channels, T samples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.signal.onsets import OnsetDetector
from fauxley.sounds.reading import Float

_QUIET_BLOCKS = 3  # of 20 ms, below the limit in a row: then a tail has ended
_FLOOR_BLOCKS, _FLOOR_SHARE = 750, 0.1  # on either side; share of these that are as quiet as what goes on all the time
_FLOOR_FACTOR = 2.0  # 3 dB above that floor is no tail any more


@dataclass(frozen=True)
class Cutting:
    """Settings by which hits are found and cut. The defaults suit footsteps, claps and drums."""

    min_gap_seconds: float = 0.1
    """Hits that follow one another closer than this are one."""
    sensitivity: float = 1.0
    """More, such as 2, finds fainter hits and those within the tail of another; less, such as 0.5, fewer."""
    pre_roll_seconds: float = 0.003
    """How much to keep ahead of the attack, faded in."""
    fade_out_seconds: float = 0.01
    """Length of the fade at the end."""
    silence_db: float = -60.0
    """A tail has ended where it is so far below its loudest, in dB."""
    min_length_seconds: float = 0.02
    """Hits that are shorter than this, counted from their attack, are left out."""
    max_length_seconds: float | None = None
    """Hits that are longer than this are cut off there; None: no hit is."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not np.isfinite(value):
                raise UsageError(f"{field.name} must be a number; got {value}")
        if not 0.01 <= self.min_gap_seconds <= 60:
            raise UsageError(f"min_gap_seconds must be from 0.01 to 60; got {self.min_gap_seconds}")
        if not 0.01 <= self.sensitivity <= 100:
            raise UsageError(f"sensitivity must be from 0.01 to 100, and is 1 by default; got {self.sensitivity}")
        if not (0 <= self.pre_roll_seconds <= 1 and 0 <= self.fade_out_seconds <= 60):
            raise UsageError(
                "pre_roll_seconds must be from 0 to 1 and fade_out_seconds from 0 to 60; "
                f"got {self.pre_roll_seconds} and {self.fade_out_seconds}"
            )
        if not self.silence_db < 0:
            raise UsageError(f"silence_db must be below 0; got {self.silence_db}")
        if self.min_length_seconds < 0:
            raise UsageError(f"min_length_seconds must not be negative; got {self.min_length_seconds}")
        if self.max_length_seconds is not None and self.max_length_seconds < max(self.min_length_seconds, 0.001):
            raise UsageError(
                f"max_length_seconds must be at least 0.001 and min_length_seconds; got {self.max_length_seconds}"
            )


class Hit(NamedTuple):
    """A stretch of a recording, in its own samples.

    Attributes:
        begin: where it is cut.
        attack: where its attack begins, at or after `begin`.
        end: behind its last sample.
        stands_out_db: how far its attack rises above what was before it.
        attack_seconds: from where the attack begins to its height.
    """

    begin: int
    attack: int
    end: int
    stands_out_db: float
    attack_seconds: float

    @property
    def num_samples(self) -> int:
        return self.end - self.begin


class Cutter:
    """Finds the hits of one recording while it streams past.

    Args:
        sample_rate: of the recording, in Hz.
        cutting: how hits are found and cut.
    """

    def __init__(self, sample_rate: int, cutting: Cutting) -> None:
        self._rate = sample_rate
        self._cutting = cutting
        self._detector = OnsetDetector(sample_rate, cutting.min_gap_seconds, cutting.sensitivity)

    def watch(self, blocks: Iterable[Float]) -> Iterator[Float]:
        """Pass blocks `(n, C)` on, listening to them."""
        for block in blocks:
            self.add(block)
            yield block

    def add(self, block: Float) -> None:
        """Take a block `(n, C)`, which must be finite, into account."""
        self._detector.add(block)

    def hits(self) -> list[Hit]:
        """The hits of all that has passed, in order; none overlaps the next."""
        onsets = self._detector.finish()
        levels, size, total = self._detector.levels(), self._detector.level_step, self._detector.num_samples
        lead, shortest = (self._samples(s) for s in (self._cutting.pre_roll_seconds, self._cutting.min_length_seconds))
        longest = self._cutting.max_length_seconds
        begins = np.maximum(onsets.start - lead, 0)
        limits = np.append(begins[1:], total)[: len(begins)]
        rise = 10 * np.log10(np.maximum(onsets.peak, 1e-30) / np.maximum(onsets.before, 1e-10 * onsets.peak + 1e-30))
        found = []
        for index, (begin, start, limit) in enumerate(zip(begins.tolist(), onsets.start.tolist(), limits, strict=True)):
            end = self._tail_end(levels, start // size, -(-int(limit) // size)) * size
            end = min(end, int(limit), total)
            if longest is not None:
                end = min(end, begin + self._samples(longest))
            if end - start >= max(shortest, 1):
                found.append(Hit(begin, start, end, float(rise[index]), float(onsets.attack[index])))
        return found

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._rate)

    def _tail_end(self, levels: NDArray[np.float64], first: int, last: int) -> int:
        """The block in which the tail of a hit has ended that begins in block `first`; `last` if it has not by then."""
        loudest = levels[first : first + 3].max()
        floor = np.quantile(levels[max(first - _FLOOR_BLOCKS, 0) : first + _FLOOR_BLOCKS], _FLOOR_SHARE)
        limit = max(loudest * 10 ** (self._cutting.silence_db / 10), _FLOOR_FACTOR * floor)
        begin = first + 1 + int(levels[first + 1 : first + 3].argmax()) if first + 1 < len(levels) else first
        quiet = levels[begin:last] <= limit
        run = np.flatnonzero(np.convolve(quiet, np.ones(_QUIET_BLOCKS), "valid") > _QUIET_BLOCKS - 0.5)
        return begin + int(run[0]) if len(quiet) >= _QUIET_BLOCKS and len(run) else last


def fade_ends(audio: Float, fade_in: int, fade_out: int) -> Float:
    """`(C, T)` that rises over its first `fade_in` samples and falls over its last `fade_out`, at most half of it."""
    size = audio.shape[1]
    faded = audio.copy()
    fade_in, fade_out = min(fade_in, size // 2), min(fade_out, size // 2)
    faded[:, :fade_in] *= _ramp(fade_in)
    faded[:, size - fade_out :] *= _ramp(fade_out)[::-1]
    return faded


def _ramp(length: int) -> Float:
    """From 0 towards 1 along half a cosine, (T,)."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)


_LONG_SECONDS = 5.0
_FEWEST_HITS = 5
_RISE_DB, _ATTACK_SECONDS = 20.0, 0.012  # of most hits: at least, at most


@dataclass(frozen=True)
class HitSummary:
    """A count of the hits into which a file would be cut, and how long they are.

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
        """The hits of all that was added."""
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
