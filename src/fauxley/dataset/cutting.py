"""Finds the hits of a long recording and where to cut it: each hit's beginning and end, and its fades.

A hit begins a few milliseconds before its attack. It ends where the next hit begins or its tail has fallen to silence:
60 dB below its loudest 20 ms, or to the level of the background. Each hit is faded in over the time before its attack
and out over its last milliseconds, so that nothing clicks where a tail or a steady noise is cut off. Levels are kept:
soft steps stay softer than loud ones, unless each sound is normalised, as `prepare` does by default.

Hits are sought in the original file at its own rate, so that all commands cut at the same places.

`HitCounter` recognises long recordings of separate hits: a walk, an hour of drumming, a session of claps. Such a
recording has several hits, most of which rise fast and far above what was before them. Speech rises more slowly; a
drone or a stream of noise does not rise at all.

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

_QUIET_BLOCKS = 3  # successive blocks of 20 ms below the limit end a tail
_FLOOR_BLOCKS, _FLOOR_SHARE = 750, 0.1  # blocks on either side; the share of them as quiet as the background
_FLOOR_FACTOR = 2.0  # 3 dB; what is less above the background is no tail


@dataclass(frozen=True)
class Cutting:
    """How hits are found and cut. The defaults suit footsteps, claps and drums."""

    min_gap_seconds: float = 0.1
    """Hits that follow one another faster than this count as one."""
    sensitivity: float = 1.0
    """Higher values such as 2 find fainter hits and hits within another's tail; lower ones such as 0.5 find fewer."""
    pre_roll_seconds: float = 0.003
    """Time to keep before the attack, faded in."""
    fade_out_seconds: float = 0.01
    """Length of the fade-out at the end."""
    silence_db: float = -60.0
    """Level relative to a hit's loudest, in dB, below which its tail has ended."""
    min_length_seconds: float = 0.02
    """Hits shorter than this, counted from their attack, are left out."""
    max_length_seconds: float | None = None
    """Hits longer than this are cut off; None for no limit."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not np.isfinite(value):
                raise UsageError(f"{field.name} must be a number; got {value}")
        if not 0.01 <= self.min_gap_seconds <= 60:
            raise UsageError(f"min_gap_seconds must be from 0.01 to 60; got {self.min_gap_seconds}")
        if not 0.01 <= self.sensitivity <= 100:
            raise UsageError(f"sensitivity must be from 0.01 to 100; got {self.sensitivity}")
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
    """A hit in a recording, in the recording's samples.

    Attributes:
        begin: its first sample.
        attack: where its attack begins, at or after `begin`.
        end: one past its last sample.
        stands_out_db: how far its attack rises above what was before it.
        attack_seconds: the duration of its attack.
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
    """Finds the hits of one recording that arrives in blocks.

    Args:
        sample_rate: of the recording, in Hz.
        cutting: how hits are found and cut.
    """

    def __init__(self, sample_rate: int, cutting: Cutting) -> None:
        self._rate = sample_rate
        self._cutting = cutting
        self._detector = OnsetDetector(sample_rate, cutting.min_gap_seconds, cutting.sensitivity)

    def watch(self, blocks: Iterable[Float]) -> Iterator[Float]:
        """Pass blocks (n, C) on, and analyse them."""
        for block in blocks:
            self.add(block)
            yield block

    def add(self, block: Float) -> None:
        """Analyse a block (n, C), which must be finite."""
        self._detector.add(block)

    def hits(self) -> list[Hit]:
        """The hits in everything that was added, in order; they do not overlap."""
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
        """The block in which the tail of a hit that begins in block `first` has ended, `last` at the latest."""
        loudest = levels[first : first + 3].max()
        floor = np.quantile(levels[max(first - _FLOOR_BLOCKS, 0) : first + _FLOOR_BLOCKS], _FLOOR_SHARE)
        limit = max(loudest * 10 ** (self._cutting.silence_db / 10), _FLOOR_FACTOR * floor)
        begin = first + 1 + int(levels[first + 1 : first + 3].argmax()) if first + 1 < len(levels) else first
        quiet = levels[begin:last] <= limit
        run = np.flatnonzero(np.convolve(quiet, np.ones(_QUIET_BLOCKS), "valid") > _QUIET_BLOCKS - 0.5)
        return begin + int(run[0]) if len(quiet) >= _QUIET_BLOCKS and len(run) else last


def fade_ends(audio: Float, fade_in: int, fade_out: int) -> Float:
    """Fade (C, T) in over its first `fade_in` samples and out over its last `fade_out`, each at most half of it."""
    size = audio.shape[1]
    faded = audio.copy()
    fade_in, fade_out = min(fade_in, size // 2), min(fade_out, size // 2)
    faded[:, :fade_in] *= _ramp(fade_in)
    faded[:, size - fade_out :] *= _ramp(fade_out)[::-1]
    return faded


def _ramp(length: int) -> Float:
    """A ramp from 0 towards 1 along half a cosine: (T,)."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)


_LONG_SECONDS = 5.0
_FEWEST_HITS = 5
_RISE_DB, _ATTACK_SECONDS = 20.0, 0.012  # most hits of a recording rise at least so far, and at most so slowly


@dataclass(frozen=True)
class HitSummary:
    """The hits into which a file would be cut: how many, and how long.

    Attributes:
        count: the number of hits; 0 if the file is not a long recording of hits.
        median_seconds: the median length of a hit.
        most_seconds: the length that nine of ten hits do not exceed.
    """

    count: int = 0
    median_seconds: float = 0.0
    most_seconds: float = 0.0


class HitCounter:
    """Counts the hits of one file that arrives in blocks; a short file is not analysed.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._cutter = Cutter(sample_rate, Cutting())
        self._waiting: list[Float] = []
        self._size = 0

    def add(self, block: Float) -> None:
        """Analyse a block (n, C)."""
        self._size += len(block)
        self._waiting.append(block)
        if self._is_long:
            for waiting in self._waiting:
                self._cutter.add(waiting)
            self._waiting = []

    def summary(self) -> HitSummary:
        """The hits in everything that was added."""
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
