"""How a long recording is cut at its hits: where each begins and ends, and how its ends are faded.

A hit begins a few milliseconds ahead of its attack and ends where the next begins or its tail has fallen to silence:
60 dB below its loudest 20 ms, or to the level of what goes on all the time. What is cut fades in over the lead and out
over its last milliseconds, so that nothing clicks where a tail or a steady noise is cut off. Levels are left as they
are: soft steps stay softer than loud ones, until somebody normalises each sound, as `prepare` does by default.

Hits are found in the file as it is, at its own rate, so that all commands cut at the same places.

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
    """How hits are found and cut. The defaults suit footsteps, claps and drums."""

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
    """What is shorter, counted from its attack, is left out."""
    max_length_seconds: float | None = None
    """What is longer is cut there; None: nowhere."""

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
        cutting: how.
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
        """Those of all that has passed, in order; none overlaps the next."""
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
