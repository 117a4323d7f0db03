"""Descriptions of sounds in numbers behind musicians' words: bright, boomy, long, noisy, hard, loud.

The terms are the standard ones of music information retrieval (Peeters 2004, "A large set of audio features"):

| number | term | definition |
|---|---|---|
| brightness | spectral centroid | mean frequency, weighted by power |
| lowness | energy-weighted low share | share of the energy below 150 Hz |
| length | duration | from the first to the last 5 ms within 40 dB of the loudest 5 ms |
| noisiness | spectral flatness | geometric over arithmetic mean of the power spectrum: 1 for white noise, 0 for tones |
| attack | attack time | from the first sample of a tenth of the peak to the first of nine tenths |
| loudness | integrated loudness | ITU-R BS.1770-4, see `signal/cleaning.py` |

Spectra are power summed over all frames, so loud frames count most, and over channels, so nothing cancels.

Letters: C channels, T samples, F frames, K bins.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fauxley.errors import UsageError
from fauxley.signal.cleaning import loudness

Float = NDArray[np.floating[Any]]
Property = Literal["brightness", "lowness", "length", "noisiness", "attack", "loudness"]

_WINDOW_SECONDS = 0.046  # 2048 samples at 44.1 kHz, which resolves low frequencies
_LOW_HZ = 150.0
_LEVEL_SECONDS, _QUIET_DB = 0.005, -40.0
_HEARD_FROM_HZ = 20.0
_FLOOR = 1e-6  # of the strongest bin: the geometric mean must not become 0 because of an empty bin


@dataclass(frozen=True)
class Description:
    """The description of a sound. Silence has a loudness of -inf; its other numbers are 0.

    Attributes:
        brightness: spectral centroid, in Hz.
        lowness: share of the energy below 150 Hz, from 0 to 1.
        length: in seconds, to 40 dB below the loudest.
        noisiness: spectral flatness above 20 Hz, from 0 for a tone to 1 for white noise; bins more than 60 dB below
            the strongest count as 60 dB below.
        attack: time in which the level rises from a tenth to nine tenths of the peak, in seconds.
        loudness: in LKFS.
    """

    brightness: float
    lowness: float
    length: float
    noisiness: float
    attack: float
    loudness: float


PROPERTIES: tuple[Property, ...] = tuple(field.name for field in fields(Description))  # type: ignore[misc]


def describe(audio: ArrayLike, sample_rate: int) -> Description:
    """Describe a sound, (C, T) or (T,), at `sample_rate` in Hz.

    Raises:
        UsageError: the shape is wrong, there are no samples, a sample is not finite, or the rate is not positive.
    """
    x = np.atleast_2d(np.asarray(audio, np.float64))
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise UsageError(f"a sound must be finite numbers, (C, T); got {x.shape}")
    loud = loudness(x, sample_rate)
    if not x.any():
        return Description(0.0, 0.0, 0.0, 0.0, 0.0, loud)
    power, frequency = _spectrum(x, sample_rate)
    heard = power[frequency >= _HEARD_FROM_HZ]
    heard = np.maximum(heard, _FLOOR * heard.max(initial=0)) + np.finfo(np.float64).tiny
    return Description(
        brightness=float(power @ frequency / power.sum()),
        lowness=float(power[frequency < _LOW_HZ].sum() / power.sum()),
        length=_length(x, sample_rate),
        noisiness=float(np.exp(np.log(heard).mean()) / heard.mean()),
        attack=_attack(x, sample_rate),
        loudness=loud,
    )


def _spectrum(x: NDArray[np.float64], sample_rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power (K,) summed over frames and channels, and frequencies (K,)."""
    window = max(16, 1 << round(np.log2(_WINDOW_SECONDS * sample_rate)))
    hop = window // 4
    # A window's length of silence in front, because the first window would fade out an attack at the first sample.
    padded = np.pad(x, ((0, 0), (window, window + -x.shape[1] % hop)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1)[:, ::hop]  # (C, F, window)
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(window + 1)[:-1]))).sum((0, 1))
    return np.asarray(power), np.asarray(np.fft.rfftfreq(window, 1 / sample_rate), np.float64)


def _length(x: NDArray[np.float64], sample_rate: int) -> float:
    step = max(1, round(_LEVEL_SECONDS * sample_rate))
    padded = np.pad(np.square(x).sum(0), (0, -x.shape[1] % step))
    levels = padded.reshape(-1, step).mean(1)
    inside = np.flatnonzero(levels >= 10 ** (_QUIET_DB / 10) * levels.max())
    return float((inside[-1] - inside[0] + 1) * step / sample_rate)


def _attack(x: NDArray[np.float64], sample_rate: int) -> float:
    level = np.abs(x).max(0)
    low, high = (int(np.argmax(level >= share * level.max())) for share in (0.1, 0.9))
    return (high - low) / sample_rate
