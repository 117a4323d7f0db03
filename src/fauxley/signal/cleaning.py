"""Cleaning of generated sounds for a sampler: no offset, no silence at the ends, no click at the end, a known level.

- The offset is one constant for each channel, so subtracting it changes no shape. It is not the mean of the clip, which
  an asymmetric sound would shift away from the silence around it, but the mean of blocks of 50 ms, each weighted by the
  inverse of its variance: the best estimate of a common mean from measurements of different precision.
- Loudness is measured after ITU-R BS.1770-4 in LKFS (the same as LUFS): the gated K-weighted mean square over blocks of
  400 ms. The standard gives its filter for 48 kHz. Here its response at each bin's frequency in Hz is applied as a gain
  to the Fourier transform of the padded clip, which is the same filter at every sample rate.
Letters: C channels, T samples, K bins.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError

Clip = NDArray[np.floating[Any]]
"""(C, T) in [-1, 1]."""

Normalization = Literal["none", "peak", "loudness"]

_SILENCE = 2.0**-15  # one step of 16 bits: a sound that never exceeds it is not amplified
_OFFSET_BLOCK_SECONDS, _LEVEL_SECONDS = 0.05, 0.005
_BLOCK_SECONDS, _HOP_SECONDS = 0.4, 0.1
_ABSOLUTE_GATE_LKFS, _RELATIVE_GATE_LU = -70.0, -10.0

# BS.1770-4, tables 1 and 2, at 48 kHz: a shelf for the head, then a high-pass because the ear hardly hears lows.
_K_RATE = 48_000
_K_WEIGHTING = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)


@dataclass(frozen=True)
class Cleaning:
    """How a sound becomes a usable one-shot. The defaults suit drums and effects; they leave the attack as it is."""

    remove_dc: bool = True
    """Remove a constant offset."""
    trim_db: float | None = -50.0
    """Trim both ends where they stay below this level relative to the loudest 5 ms, in dB. None keeps the length."""
    pre_roll_seconds: float = 0.002
    """Time to keep before the sound begins, faded in."""
    fade_out_seconds: float = 0.01
    """Length of the fade-out at the end. Where enough of the end is below the threshold, the fade stays within that."""
    normalize: Normalization = "peak"
    """none: leave the level. peak: give every sound the same peak. loudness: make all sounds equally loud, as far as
    their peaks allow."""
    peak_dbfs: float = -1.0
    """The peak to reach, or for loudness the peak not to exceed, in dB relative to full scale."""
    loudness_lkfs: float = -24.0
    """The loudness to reach, by ITU-R BS.1770, in LKFS (LUFS)."""

    def __post_init__(self) -> None:
        if self.trim_db is not None and not self.trim_db < 0:
            raise UsageError(f"trim_db must be below 0 or None; got {self.trim_db}")
        if not (0 <= self.pre_roll_seconds < np.inf and 0 <= self.fade_out_seconds < np.inf):
            raise UsageError(
                "pre_roll_seconds and fade_out_seconds must be 0 or more; "
                f"got {self.pre_roll_seconds} and {self.fade_out_seconds}"
            )
        if self.normalize not in get_args(Normalization):
            raise UsageError(f"normalize must be one of {', '.join(get_args(Normalization))}; got {self.normalize!r}")
        if not (self.peak_dbfs <= 0 and self.loudness_lkfs <= 0):
            raise UsageError(
                f"peak_dbfs and loudness_lkfs must be 0 or less; got {self.peak_dbfs} and {self.loudness_lkfs}"
            )

    @property
    def ceiling(self) -> float | None:
        """The largest |x| of cleaned sounds, full scale being 1; None if levels are left as they are."""
        return None if self.normalize == "none" else 10 ** (self.peak_dbfs / 20)

    def apply(self, clip: Clip, sample_rate: int) -> NDArray[np.float32]:
        """Clean one clip: (C, T) to (C, T') with 1 <= T' <= T.

        All channels are cut alike and share one gain. Samples that are not finite count as 0. A silent clip comes back
        at its full length and is not amplified.

        Raises:
            UsageError: the clip is empty or not (C, T), or the rate is not positive.
        """
        _check(clip, sample_rate)
        audio = _finite(clip)
        if self.remove_dc:
            audio -= _offset(audio, sample_rate)
        if np.abs(audio).max() <= _SILENCE:
            return audio.astype(np.float32)
        pre_roll, fade_out = (
            round(min(seconds * sample_rate, audio.shape[1]))
            for seconds in (self.pre_roll_seconds, self.fade_out_seconds)
        )
        if self.trim_db is not None:
            first, last = _heard(audio, sample_rate, self.trim_db)
            pre_roll = min(pre_roll, first)
            audio = audio[:, first - pre_roll : last + 1 + fade_out].copy()
            audio[:, :pre_roll] *= _ramp(pre_roll)
        fade_out = min(fade_out, audio.shape[1] // 2)  # so that a click of a few samples is not faded away
        audio[:, audio.shape[1] - fade_out :] *= _ramp(fade_out)[::-1]
        return (self._gain(audio, sample_rate) * audio).astype(np.float32)

    def _gain(self, audio: NDArray[np.float64], sample_rate: int) -> float:
        peak = float(np.abs(audio).max())
        if self.normalize == "none" or peak == 0:
            return 1.0
        to_peak = 10 ** (self.peak_dbfs / 20) / peak
        if self.normalize == "peak":
            return to_peak
        # Measured at a peak of 1: a loud sound does not clip, and a faint one passes the gate.
        excess = loudness(to_peak * audio, sample_rate) - self.loudness_lkfs
        return float(to_peak * 10 ** (-max(0.0, excess) / 20))


def loudness(clip: Clip, sample_rate: int) -> float:
    """The gated loudness of a clip (C, T), in LKFS; -inf if nothing passes the gate at -70 LKFS.

    All channels have the same weight, as left, right and centre have in the standard. A clip shorter than a block of
    400 ms is measured as one block that ends in silence, since the ear, too, hears a short sound as softer than a long
    one. Samples that are not finite count as 0.

    Raises:
        UsageError: see `Cleaning.apply`.
    """
    _check(clip, sample_rate)
    block, hop = (max(1, round(seconds * sample_rate)) for seconds in (_BLOCK_SECONDS, _HOP_SECONDS))
    weighted = _k_weighted(_finite(clip), sample_rate, at_least=block)
    energy = np.concatenate([[0], np.cumsum(np.square(weighted).sum(axis=0))])
    starts = np.arange(0, weighted.shape[1] - block + 1, hop)
    power = np.maximum(energy[starts + block] - energy[starts], 0) / block  # (blocks,)
    power = power[_lkfs(power) > _ABSOLUTE_GATE_LKFS]
    if not power.size:
        return -np.inf
    power = power[_lkfs(power) > _lkfs(power.mean()) + _RELATIVE_GATE_LU]
    return float(_lkfs(power.mean()))


def at_loudness(clip: Clip, sample_rate: int, lkfs: float, peak: float = 1.0) -> NDArray[np.float32]:
    """Scale a clip (C, T) to a gated loudness in LKFS, or as near below it as a largest |x| of `peak` allows.

    A silent clip stays as it is.

    Raises:
        UsageError: see `Cleaning.apply`.
    """
    loudest = loudest_at(clip, sample_rate, peak)
    audio = _finite(clip)
    if not np.isfinite(loudest):
        return audio.astype(np.float32)
    gain = peak / np.abs(audio).max() * 10 ** (min(0.0, lkfs - loudest) / 20)
    return np.asarray(gain * audio, np.float32)


def loudest_at(clip: Clip, sample_rate: int, peak: float = 1.0) -> float:
    """The loudness, in LKFS, that a clip (C, T) has when its largest |x| is `peak`; -inf for silence.

    Raises:
        UsageError: see `Cleaning.apply`.
    """
    _check(clip, sample_rate)
    largest = float(np.abs(_finite(clip)).max())
    # Measured at full scale, where a faint sound passes the gate, too.
    return (
        -np.inf if largest <= _SILENCE else loudness(_finite(clip) / largest, sample_rate) + 20 * float(np.log10(peak))
    )


def _lkfs(power: NDArray[np.float64] | np.floating[Any]) -> NDArray[np.float64]:
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(power, np.finfo(np.float64).tiny)))


def _k_weighted(audio: NDArray[np.float64], sample_rate: int, at_least: int) -> NDArray[np.float64]:
    """Apply the K-weighting filter: (C, T) to (C, max(T, at_least))."""
    num_samples = max(audio.shape[1], at_least)
    num_padded = num_samples + sample_rate // 2  # the filter rings for less than half a second: nothing wraps around
    # Above 24 kHz the standard's filter is not defined; its shelf is flat up there, so it is continued flat.
    frequency = np.minimum(np.fft.rfftfreq(num_padded, 1 / sample_rate), _K_RATE / 2)  # (K,)
    delay = np.exp(-2j * np.pi * frequency / _K_RATE)  # z⁻¹
    spectrum = np.fft.rfft(audio, num_padded)
    for (b0, b1, b2), (a0, a1, a2) in _K_WEIGHTING:
        spectrum *= (b0 + (b1 + b2 * delay) * delay) / (a0 + (a1 + a2 * delay) * delay)
    return np.fft.irfft(spectrum, num_padded)[:, :num_samples]


def _offset(audio: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """The level at which each channel rests, (C, 1)."""
    num_channels, num_samples = audio.shape
    block = max(1, min(num_samples, round(_OFFSET_BLOCK_SECONDS * sample_rate)))
    blocks = audio[:, : num_samples // block * block].reshape(num_channels, -1, block)
    weights = 1 / (blocks.var(axis=2) + np.square(_SILENCE))  # (C, blocks)
    return np.asarray(np.average(blocks.mean(axis=2), axis=1, weights=weights)[:, None])


def _heard(audio: NDArray[np.float64], sample_rate: int, threshold_db: float) -> tuple[int, int]:
    """The first and last sample of what exceeds a level relative to the loudest.

    The level is the root mean square over 5 ms, because single peaks of a network's noise exceed it by 12 dB. The first
    window above the threshold is there because of its last sample, the last window because of its first, so a click is
    found exactly.
    """
    window = max(1, min(audio.shape[1], round(_LEVEL_SECONDS * sample_rate)))
    energy = np.cumsum(np.pad(np.square(audio).sum(axis=0), (window, window - 1)))
    level = energy[window:] - energy[:-window]  # (T + window - 1,); level[t] covers the `window` samples up to t
    risen = np.flatnonzero(level >= 10 ** (threshold_db / 10) * level.max())
    first, last = sorted((int(risen[0]), int(risen[-1]) - window + 1))  # reversed if only one window exceeds it
    return first, last


def _finite(clip: Clip) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(clip, np.float64), nan=0, posinf=0, neginf=0)


def _ramp(length: int) -> NDArray[np.float64]:
    """A ramp from 0 towards 1 along half a cosine: (T,)."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(1, length)))


def _check(clip: Clip, sample_rate: int) -> None:
    if clip.ndim != 2 or not clip.size:
        raise UsageError(f"a clip must be (C, T), and not empty; got {clip.shape}")
    if sample_rate <= 0:
        raise UsageError(f"sample_rate must be above 0; got {sample_rate}")
