"""Detection of hits in long recordings: footsteps, claps, drums, anything that strikes and dies away.

Onsets are found in five steps. Power is summed over channels, so that channels in antiphase do not cancel.

1. Frames of 12 ms every 3 ms, each without its own mean (so an offset does not matter), become the power in 16 bands,
   evenly spaced in pitch above 100 Hz.
2. Each band is compared with its own floor, the level that it has in the quietest tenth of half a minute:
   L = 10 log₁₀(P + 4 floor). Steady noise and hum of any colour stay level in L, and gain cancels.
3. The onset strength of a frame is the mean over the bands of how far L has risen in 9 ms, in dB (spectral flux). A
   band is compared with the loudest of itself and its neighbours, so a gliding tone does not count as a rise (Böck and
   Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013).
4. An onset is a local maximum that exceeds the median of its surroundings by a threshold. For half a second after a
   hit, another must stand out from the hit's own rattle.
5. The start of an attack is found in an envelope of steps of 1 ms, going back from the peak of the attack to where it
   rises out of what was before.

Recordings are processed in half minutes at fixed places, however the samples are divided into blocks: the same file
gives the same onsets, and ten hours need hardly more memory than a minute.

Letters: n samples in a block, C channels, N frames, B bands, K bins, S steps of the envelope.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Float = NDArray[np.float32]
Int = NDArray[np.int64]

_STEP_SECONDS = 0.001  # of the envelope; everything else is a multiple of it
_HOP, _WINDOW = 3, 12  # steps
_LEVEL = 20  # steps: one period of 50 Hz, so that hum is as steady as it sounds
_CHUNK = 32 * _HOP * _LEVEL  # steps that are turned into features at a time
_SEGMENT = 15  # chunks that are searched at a time; one more on either side serves as context
_BANDS = 16
_LOWEST_BAND, _HIGHEST_BAND = 60.0, 16_000.0  # Hz
_LAG = 3  # frames
_FLOOR_BLOCK, _FLOOR_SHARE = 16, 0.1  # frames averaged; share of these that are as quiet as the floor
_FLOOR_FACTOR = 4.0
_FAINTEST = 1e-8  # of the loudest power so far: anything fainter is rounding
_THRESHOLD_DB = 5.0
_SURROUNDINGS = 80  # frames on either side
_PEAK = 8  # an onset is the strongest frame within so many on either side
_MASKING_SECONDS = 0.5  # after a hit, during which another one must stand out from its rattle:
_MASKING_SHARE, _MASKING_RISE_DB, _MASKING_PEAK_DB = 0.4, 30.0, -25.0  # by strength, by rise in level, by level
_FAINT_DB = -40.0  # below the louder hits of the recording: anything fainter belongs to the background
_BACK, _AHEAD = 60, 25  # steps around an onset's frame in which its attack is sought


class Onsets(NamedTuple):
    """The hits of a recording, in order.

    Attributes:
        start: (N,) first sample of each attack.
        peak: (N,) power at the height of the attack, over all channels.
        before: (N,) power just before the attack.
        attack: (N,) seconds from `start` to the height.
        strength: (N,) onset strength in dB.
    """

    start: Int
    peak: Array
    before: Array
    attack: Array
    strength: Array


class OnsetDetector:
    """Finds onsets in audio that arrives in blocks.

    Args:
        sample_rate: in Hz.
        min_gap_seconds: hits that follow another within this time count as part of it.
        sensitivity: 1 by default; 2 finds hits of half the onset strength.
    """

    def __init__(self, sample_rate: int, min_gap_seconds: float = 0.1, sensitivity: float = 1.0) -> None:
        self.step = max(1, round(_STEP_SECONDS * sample_rate))
        self.level_step = self.step * _LEVEL
        self.num_samples = 0
        self._masking = _MASKING_SECONDS * sample_rate
        self._sensitivity = sensitivity
        self._gap = min_gap_seconds * sample_rate
        self._threshold = _THRESHOLD_DB / sensitivity
        self._bands = _triangles(sample_rate, self.step * _WINDOW)
        self._chunk, self._margin = self.step * _CHUNK, self.step * _WINDOW // 2  # samples
        self._pending: Float | None = None
        self._features: list[tuple[Array, Array]] = []  # band powers (N, B) and envelope (S,) of chunks still needed
        self._first = 0  # the number of the first chunk in `_features`
        self._next = 0  # the number of the first chunk not yet searched
        self._loudest = 0.0
        self._levels: list[Array] = []  # of all chunks
        self._found: list[Onsets] = []

    def add(self, block: Float) -> None:
        """Process the next samples (n, C), which must be finite."""
        if not len(block):
            return
        self.num_samples += len(block)
        if self._pending is None:
            self._pending = np.repeat(block[:1], self._margin, axis=0)
        samples = np.concatenate([self._pending, block])
        while len(samples) >= self._chunk + 2 * self._margin:
            self._take(samples[: self._chunk + 2 * self._margin])
            samples = samples[self._chunk :]
        self._pending = samples

    def finish(self) -> Onsets:
        """Process the rest, and return the onsets in everything that was added."""
        if self._pending is not None:
            missing = self._chunk + 2 * self._margin - len(self._pending)
            self._take(np.pad(self._pending, ((0, missing), (0, 0)), mode="edge"))
            self._search(self._first + len(self._features))
        found = Onsets(*(np.concatenate(column) for column in zip(_NONE, *self._found, strict=True)))
        found = _only(found, np.argsort(found.start, kind="stable"))
        found = _merged(found, self._gap)
        loud = np.quantile(found.peak, 0.9) if len(found.peak) else 0.0
        found = _only(found, _decibels(found.peak, loud) > _FAINT_DB * self._sensitivity)
        return _only(found, _unmasked(found, self._masking, self._sensitivity))

    def levels(self) -> Array:
        """The power, without the mean, of each `level_step` samples, for finding where hits end; after `finish`."""
        return np.concatenate([np.zeros(0), *self._levels])[: -(-self.num_samples // self.level_step)]

    def _take(self, samples: Float) -> None:
        """Convert a chunk, with half a window on either side, to features; search when there are enough chunks."""
        if samples.any():
            power, envelope = _band_power(samples, self.step, self._bands), _envelope(samples, self.step)
            levels = _variances(samples[self._margin : -self._margin], self.level_step)
        else:  # digital silence, perhaps hours of it, is passed over quickly
            power, envelope = np.zeros((_CHUNK // _HOP, self._bands.shape[1])), np.zeros(_CHUNK)
            levels = np.zeros(self._chunk // self.level_step)
        self._features.append((power, envelope))
        self._levels.append(levels)
        self._loudest = max(self._loudest, float(power.max()))
        seen = self._first + len(self._features)
        if seen == self._next + _SEGMENT + 1:
            self._search(seen - 1)

    def _search(self, end: int) -> None:
        """Search the chunks from the next one to `end`, and forget those that are no longer needed."""
        power, envelope = (np.concatenate(column) for column in zip(*self._features, strict=True))
        # The last chunk is filled up with zeros, which must not pass for the floor.
        left = -(-(self.num_samples - self._first * self._chunk) // self.step)
        power, envelope = power[: -(-left // _HOP)], envelope[:left]
        strength = _onset_strength(power, _FAINTEST * self._loudest)
        frames = _peaks(strength, self._threshold)
        first, last = ((chunk - self._first) * _CHUNK // _HOP for chunk in (self._next, end))
        frames = frames[(frames >= first) & (frames < last)]
        starts, heights, peak, before = _attacks(envelope, frames * _HOP)
        start = (self._first * _CHUNK + starts) * self.step
        onsets = Onsets(
            start, peak, before, np.asarray((heights - starts) * _STEP_SECONDS, np.float64), strength[frames]
        )
        self._found.append(_only(onsets, (start < self.num_samples) & (peak > 0)))
        self._features = self._features[max(end - 1 - self._first, 0) :]
        self._first, self._next = max(end - 1, self._first), end


_NONE = Onsets(np.zeros(0, np.int64), *(np.zeros(0),) * 4)


def _only(onsets: Onsets, which: NDArray[np.integer] | NDArray[np.bool_]) -> Onsets:
    start, *others = onsets
    return Onsets(start[which], *(column[which] for column in others))


def _triangles(sample_rate: int, window: int) -> Array:
    """The weight of each bin in each band: (K, B)."""
    fft = 1 << (window - 1).bit_length()
    frequency = np.arange(fft // 2 + 1) * sample_rate / fft
    width = 2 * sample_rate / window  # to the window's first zero: narrower bands would repeat each other
    edges = np.geomspace(_LOWEST_BAND, min(_HIGHEST_BAND, 0.48 * sample_rate), _BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = np.maximum(centre - low, width), np.maximum(high - centre, width)
    distance = frequency[:, None] - centre
    return np.asarray(np.maximum(0, 1 - np.where(distance < 0, -distance / rise, distance / fall)))


def _band_power(samples: Float, step: int, bands: Array) -> Array:
    """The band powers (N, B) of a chunk with its margins, one frame a hop."""
    window = _WINDOW * step
    frames = np.lib.stride_tricks.sliding_window_view(samples, window, axis=0)[
        : _CHUNK * step : _HOP * step
    ]  # (N, C, W)
    taper = np.hanning(window + 2)[1:-1].astype(np.float32)
    total: Array = np.zeros((len(frames), bands.shape[1]))
    for channel in range(frames.shape[1]):
        frame = frames[:, channel] - frames[:, channel].mean(axis=1, keepdims=True)
        spectrum = np.fft.rfft(frame * taper, 2 * (len(bands) - 1))
        total += (np.square(spectrum.real) + np.square(spectrum.imag)) @ bands
    return total


def _envelope(samples: Float, step: int) -> Array:
    """The power in each step of a chunk with its margins, of what changes within four steps: (S,)."""
    wide, margin = 4 * step, _WINDOW * step // 2
    sums = np.cumsum(np.pad(samples, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
    mean = (sums[wide:] - sums[:-wide]) / wide  # mean[i] is the mean of the samples from i on
    size = len(samples) - 2 * margin
    quick = samples[margin : margin + size] - mean[margin - wide // 2 : margin - wide // 2 + size]
    return np.asarray(np.square(quick).sum(axis=1).reshape(-1, step).mean(axis=1))


def _variances(samples: Float, size: int) -> Array:
    """The power without the mean in each `size` samples, over all channels."""
    return np.asarray(np.var(samples.reshape(-1, size, samples.shape[1]), axis=1, dtype=np.float64).sum(axis=1))


def _onset_strength(power: Array, faintest: float) -> Array:
    """The onset strength (N,) in dB, from band powers (N, B)."""
    size = min(_FLOOR_BLOCK, len(power))
    whole = power[: len(power) // size * size]
    blocks = whole.reshape(-1, size, power.shape[1]).mean(axis=1)
    floor = np.quantile(blocks, _FLOOR_SHARE, axis=0)
    level = 10 * np.log10(power + _FLOOR_FACTOR * floor + faintest + np.finfo(np.float64).tiny)
    # Before the first frame the level is taken to be the floor's.
    resting = 10 * np.log10((1 + _FLOOR_FACTOR) * floor + faintest + np.finfo(np.float64).tiny)
    before = np.concatenate([np.tile(resting, (_LAG, 1)), level])[: len(level)]
    wide = np.pad(before, ((0, 0), (1, 1)), mode="edge")
    around = np.maximum(np.maximum(wide[:, :-2], wide[:, 2:]), before)
    return np.asarray(np.maximum(level - around, 0).mean(axis=1))


def _peaks(strength: Array, threshold: float) -> NDArray[np.int64]:
    """The frames whose strength is the highest nearby and exceeds the median of the surroundings."""
    width = 2 * _PEAK + 1
    highest = np.lib.stride_tricks.sliding_window_view(np.pad(strength, _PEAK), width).max(axis=1)
    candidates = np.flatnonzero((strength == highest) & (strength >= threshold))
    padded = np.pad(strength, _SURROUNDINGS)
    around = padded[candidates[:, None] + np.arange(2 * _SURROUNDINGS + 1)]
    stands_out = strength[candidates] >= np.median(around, axis=1) + threshold
    return np.asarray(candidates[stands_out], np.int64)


def _attacks(envelope: Array, near: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """The start and height of the attack near each of the given steps, and the power there and just before."""
    padded = np.pad(envelope, (_BACK, _AHEAD))
    around = padded[near[:, None] + np.arange(_BACK + _AHEAD)]  # (N, steps); column _BACK is the step itself
    late = around[:, _BACK - 15 :]
    height = late.argmax(axis=1) + _BACK - 15
    peak = np.take_along_axis(around, height[:, None], axis=1)[:, 0]
    before = np.quantile(around[:, : _BACK - 10], 0.3, axis=1)
    threshold = np.minimum(np.maximum(4 * before, 1e-3 * peak), np.sqrt(before * peak))
    threshold = np.maximum(threshold, 1e-3 * peak)
    below = (around < threshold[:, None]) & (np.arange(around.shape[1]) < height[:, None])
    last = around.shape[1] - 1 - below[:, ::-1].argmax(axis=1)
    start = np.where(below.any(axis=1), last + 1, 0)
    offset = near - _BACK
    return np.maximum(start + offset, 0), np.maximum(height + offset, 0), peak, before


def _merged(onsets: Onsets, gap: float) -> Onsets:
    """Merge onsets within `gap` samples of the first of them, such as a heel and the sole that follows."""
    firsts: list[int] = []
    for index, start in enumerate(onsets.start):
        if not firsts or start - onsets.start[firsts[-1]] >= gap:
            firsts.append(index)
    if not firsts:
        return onsets
    loudest, strongest = (np.maximum.reduceat(column, firsts) for column in (onsets.peak, onsets.strength))
    return _only(onsets, np.array(firsts))._replace(peak=loudest, strength=strongest)


def _unmasked(onsets: Onsets, decay: float, sensitivity: float) -> NDArray[np.int64]:
    """The onsets that are hits of their own and do not belong to the one before: a toe after a heel, gravel, a rattle.

    A hit raises the threshold for the next ones; that falls to nothing within `decay` samples.
    """
    kept: list[int] = []
    rise_db = _decibels(onsets.peak, onsets.before)
    for index, start in enumerate(onsets.start):
        if kept:
            last = kept[-1]
            left = max(0.0, 1 - (start - onsets.start[last]) / decay) / sensitivity
            weak = onsets.strength[index] < _MASKING_SHARE * left * onsets.strength[last]
            flat = rise_db[index] < _MASKING_RISE_DB * left
            faint = _decibels(onsets.peak[index], onsets.peak[last]) < _MASKING_PEAK_DB * sensitivity
            if left and (weak or flat or faint):
                continue
        kept.append(index)
    return np.array(kept, np.int64)


def _decibels(power: Array | float, reference: Array | float) -> Array:
    tiny = np.finfo(np.float64).tiny
    return np.asarray(10 * np.log10((np.asarray(power) + tiny) / (np.asarray(reference) + tiny)))
