"""Stimuli: clips made alike in everything but their sound, anchors drowned in noise, tones for the headphone check.

Every clip of a study gets the same rate, channels, length and loudness, the same lead-in of silence, the same fade at
the end and the same noise of 16-bit dither, so that neither a player nor a look at the file tells a model from a
recording: not digital silence, an offset, a click at the end or a level.

Letters: C channels, T samples.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from fauxley.errors import FauxleyError
from fauxley.signal.cleaning import Cleaning, loudness

Audio = NDArray[np.floating[Any]]

_MARGIN_SECONDS = 0.05  # of silence before and after, so that no device swallows the attack
_CLEAN = Cleaning(trim_db=None, normalize="none")
_LOUD = Cleaning(trim_db=None, normalize="loudness", peak_dbfs=-1.0, remove_dc=False, fade_out_seconds=0.0)
_ANCHOR_SNR_DB = -5.0
_TONE_HZ, _TONE_SECONDS, _GAP_SECONDS, _RAMP_SECONDS, _TONE_LEVEL = 200.0, 1.0, 0.5, 0.1, 0.2
_QUIETER_DB = -6.0


@dataclass(frozen=True)
class Leveller:
    """Makes clips alike in rate, channels, length and loudness.

    Attributes:
        sample_rate: sample rate of the result, in Hz.
        channels: number of channels of the result.
        seconds: length of the clip without the silence around it.
        loudness_lkfs: loudness after ITU-R BS.1770; clips that would peak above -1 dBFS stay softer.
    """

    sample_rate: int
    channels: int
    seconds: float
    loudness_lkfs: float

    @property
    def num_samples(self) -> int:
        """T of a clip with the silence around it."""
        return self._length + 2 * self._margin

    @property
    def _length(self) -> int:
        return round(self.seconds * self.sample_rate)

    @property
    def _margin(self) -> int:
        return round(_MARGIN_SECONDS * self.sample_rate)

    def fit(self, clip: Audio, sample_rate: int) -> NDArray[np.float32]:
        """A clip of any rate, length and channels as (C, T) of this study, without margins, at its own level."""
        if sample_rate != self.sample_rate:
            clip = soxr.resample(clip.T, sample_rate, self.sample_rate, quality="HQ").T
        if clip.shape[0] != self.channels:
            mono = clip.mean(axis=0, keepdims=True)
            clip = np.repeat(mono, self.channels, axis=0)
        fitted = np.zeros((self.channels, self._length), np.float32)
        length = min(self._length, clip.shape[1])
        fitted[:, :length] = clip[:, :length]
        return fitted

    def level(self, clip: Audio) -> NDArray[np.float32]:
        """A fitted clip at the common loudness, with its offset removed, its end faded and silence around it."""
        padded = np.pad(_CLEAN.apply(clip, self.sample_rate), ((0, 0), (self._margin, self._margin)))
        # Only now: loudness is that of blocks of 400 ms, and of a short sound depends on where they lie.
        loud = replace(_LOUD, loudness_lkfs=self.loudness_lkfs)
        return loud.apply(padded, self.sample_rate)

    def shortfall_db(self, levelled: Audio) -> float:
        """By how much a levelled clip is softer than it should be; 0 for silence, which nothing makes louder."""
        reached = loudness(levelled, self.sample_rate)
        return max(0.0, self.loudness_lkfs - reached) if np.isfinite(reached) else 0.0


def drown(clip: Audio, rng: np.random.Generator) -> NDArray[np.float32]:
    """The low anchor: a clip, (C, T), in noise of its own spectrum 5 dB above it. Bad on purpose, to anyone's ear."""
    noise = noise_like(clip, rng)
    power, noise_power = (float(np.square(x, dtype=np.float64).mean()) for x in (clip, noise))
    if noise_power == 0:
        return np.asarray(clip, np.float32)
    gain = np.sqrt(power / noise_power / 10 ** (_ANCHOR_SNR_DB / 10))
    return np.asarray(clip + gain * noise, np.float32)


def noise_like(clip: Audio, rng: np.random.Generator) -> NDArray[np.float32]:
    """Steady noise with the spectrum of a clip, (C, T): its Fourier transform with random phases."""
    spectrum = np.fft.rfft(clip)
    phases = np.exp(2j * np.pi * rng.random(spectrum.shape[1]))
    return np.asarray(np.fft.irfft(spectrum * phases, clip.shape[1]), np.float32)


def headphone_tones(quiet: int, antiphase: int, sample_rate: int) -> NDArray[np.float32]:
    """Three tones of which one is softer by 6 dB and one in antiphase, (2, T); places count from 1.

    Over headphones the softer tone is plainly the softest. Over loudspeakers the antiphase one cancels in the air and
    seems so. After Woods, Siegel, Traer and McDermott, "Headphone screening to facilitate web-based auditory
    experiments", 2017: 200 Hz, a second each.
    """
    if {quiet, antiphase} - {1, 2, 3} or quiet == antiphase:
        raise FauxleyError(f"places of tones must be two of 1, 2 and 3; got {quiet} and {antiphase}")
    time = np.arange(round(_TONE_SECONDS * sample_rate)) / sample_rate
    edge = np.minimum(time, _TONE_SECONDS - time).clip(0, _RAMP_SECONDS) / _RAMP_SECONDS
    tone = _TONE_LEVEL * np.sin(2 * np.pi * _TONE_HZ * time) * np.sin(np.pi / 2 * edge) ** 2
    gap = np.zeros((2, round(_GAP_SECONDS * sample_rate)))
    parts = [gap]
    for place in (1, 2, 3):
        gain = 10 ** (_QUIETER_DB / 20) if place == quiet else 1.0
        right = -1.0 if place == antiphase else 1.0
        parts += [gain * np.stack([tone, right * tone]), gap]
    return np.concatenate(parts, axis=1).astype(np.float32)
