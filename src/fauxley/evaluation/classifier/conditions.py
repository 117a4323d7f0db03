"""Clips as other rooms, microphones and lines would have delivered them.

A classifier that has heard only good recordings takes any noise for bad speech: what it then measures is the noise. So
its training clips are played at slightly other speeds and times, overdriven, set in a room, sent through a narrow band
and covered with noise, each of them now and then. What is done to a clip is drawn from a generator of its own, so that
it depends on nothing but that generator's seed: not on the batch, nor on the order of clips.

Level is not among it: the classifier scales every clip to a peak of 1 before it listens.

Letters: T samples, K = T + 1 bins.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_MAX_SHIFT = 0.05  # of a clip's length
_MAX_SPEED = 0.08  # ln of the factor
_MAX_OVERDRIVE_DB = 12.0
_ROOM_SECONDS = (0.1, 0.7)  # until a room is 60 dB quieter
_DIRECT_DB = (0.0, 15.0)  # how much louder the direct sound is than the room
_SNR_DB = (-3.0, 30.0)


def through_conditions(audio: Float32, sample_rate: int, rng: np.random.Generator) -> Float32:
    """A clip (T,) as it might have been recorded under other conditions, (T,)."""
    if rng.random() < 0.5:
        factor = float(np.exp(rng.uniform(-_MAX_SPEED, _MAX_SPEED)))
        audio = moved(audio, rng.uniform(-_MAX_SHIFT, _MAX_SHIFT) * len(audio), factor)
    if rng.random() < 0.15:
        audio = overdriven(audio, rng.uniform(0, _MAX_OVERDRIVE_DB))
    in_room, in_band = rng.random(2) < 0.3
    response: NDArray[Any] = np.ones(1, np.float32)
    if in_room:
        room = room_response(len(audio), sample_rate, rng.uniform(*_ROOM_SECONDS), rng.uniform(*_DIRECT_DB), rng)
        response = response * np.fft.rfft(room, 2 * len(audio))
    if in_band:
        nyquist = sample_rate / 2
        low = 20 * 25 ** rng.random() if rng.random() < 0.5 else 0.0
        high = nyquist * 0.12 ** rng.random()
        response = response * band_response(len(audio), sample_rate, low, max(high, 4 * low))
    if in_room or in_band:
        audio = filtered(audio, response)
    if rng.random() < 0.7:
        slope = 0.0 if rng.random() < 0.5 else rng.uniform(-0.5, 2.0)
        audio = with_noise(audio, noise(len(audio), slope, rng), rng.uniform(*_SNR_DB))
    return audio


def moved(audio: Float32, shift: float, speed: float) -> Float32:
    """A clip (T,) that begins `shift` samples later and runs `speed` times as fast, zeros around it.

    Between samples it is interpolated linearly, which costs little, and a little treble.
    """
    places = (np.arange(len(audio)) - shift) * speed
    return np.asarray(np.interp(places, np.arange(len(audio)), audio, left=0, right=0), np.float32)


def overdriven(audio: Float32, decibels: float) -> Float32:
    """A clip (T,) whose peaks are cut off `decibels` below its highest."""
    limit = np.abs(audio).max(initial=0) * np.float32(10 ** (-decibels / 20))
    return np.clip(audio, -limit, limit)


def room_response(length: int, sample_rate: int, seconds: float, direct_db: float, rng: np.random.Generator) -> Float32:
    """An impulse response (T,): the direct sound, then noise that falls by 60 dB in `seconds`.

    Args:
        direct_db: energy of the direct sound over that of the noise.
    """
    decay = np.exp(-np.log(1000) / (seconds * sample_rate) * np.arange(length, dtype=np.float32))
    response = rng.standard_normal(length, np.float32) * decay
    response[0] = 0
    response *= 10 ** (-direct_db / 20) / max(np.sqrt(np.square(response).sum()), 1e-9)
    response[0] = 1
    return np.asarray(response, np.float32)


def band_response(length: int, sample_rate: int, low: float, high: float) -> Float32:
    """What a band from `low` to `high` Hz leaves of each frequency, (K,): half the power at its edges, 24 dB an octave
    outside, as Butterworth filters of fourth order have it."""
    frequency = np.fft.rfftfreq(2 * length, 1 / sample_rate).astype(np.float32)
    response = 1 / np.sqrt(1 + (frequency / high) ** 8)
    if low > 0:
        response *= 1 / np.sqrt(1 + (low / np.maximum(frequency, 1)) ** 8)
    return np.asarray(response, np.float32)


def filtered(audio: Float32, response: NDArray[Any]) -> Float32:
    """A clip (T,) through a filter given at K frequencies; what rings on after its end is dropped."""
    spectrum = np.fft.rfft(audio, 2 * len(audio))
    return np.asarray(np.fft.irfft(spectrum * response, 2 * len(audio))[: len(audio)], np.float32)


def noise(length: int, slope: float, rng: np.random.Generator) -> Float32:
    """Noise (T,) whose power falls as 1 / frequency^slope: 0 is white, 1 pink, 2 brown."""
    white = rng.standard_normal(length, np.float32)
    if not slope:
        return white
    # Below 20 periods a clip there is no more of it than there: nearly all of brown noise would be a slow drift.
    frequency = np.maximum(np.arange(length // 2 + 1, dtype=np.float32), 20)
    return np.asarray(np.fft.irfft(np.fft.rfft(white) * frequency ** (-slope / 2), length), np.float32)


def with_noise(audio: Float32, noise: Float32, snr_db: float) -> Float32:
    """A clip (T,) with noise (T,) added, `snr_db` quieter than the clip: by their mean power over the whole clip."""
    signal, level = (np.sqrt(np.square(each, dtype=np.float64).mean()) for each in (audio, noise))
    return audio + noise * np.float32(signal / max(level, 1e-12) * 10 ** (-snr_db / 20))
