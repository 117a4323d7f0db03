"""Augmentation of training clips: recorded under other conditions, turned into nonsense, blended.

Conditions. A classifier trained only on good recordings takes any noise for bad speech, so it would measure the noise.
Therefore its training clips are, each now and then, played at slightly other speeds and times, overdriven, placed in a
room, sent through a narrow band, and covered with noise. Levels are not changed: the classifier scales every clip to a
peak of 1.

Outliers. A classifier trained only on words names a word for anything, and is often sure of it: words played backwards
had half the inception score of words. Outlier exposure (Hendrycks, Mazeika, Dietterich 2019) trains it on clips without
a meaning, with the shares of the labels as their target, which is the best answer without hearing them. No label is
added, so probabilities and inception score are what the paper defines. Outliers are made from the training data: the
same voices, drums or steps, in a different order.

Spectrograms are warped, partly hidden and blended, a whole batch at a time.

The augmentation of a clip is drawn from its own random generator, so it depends only on that generator's seed, not on
the batch or the order of clips.

Letters: B batch, T samples, K = T + 1 bins, M mel bands, F frames, L labels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Float32 = NDArray[np.float32]

_MAX_SHIFT = 0.05  # of a clip's length
_MAX_SPEED = 0.08  # natural logarithm of the factor
_MAX_OVERDRIVE_DB = 12.0
_ROOM_SECONDS = (0.1, 0.7)  # reverberation time, to -60 dB
_DIRECT_DB = (0.0, 15.0)  # level of the direct sound relative to the reverberation
_SNR_DB = (-3.0, 30.0)
_SILENCE = 1e-3  # of the peak, 60 dB below it


def vary_conditions(audio: Float32, sample_rate: int, rng: np.random.Generator) -> Float32:
    """Simulate that a clip (T,) was recorded under other conditions: (T,)."""
    if rng.random() < 0.5:
        factor = float(np.exp(rng.uniform(-_MAX_SPEED, _MAX_SPEED)))
        audio = shift_and_speed(audio, rng.uniform(-_MAX_SHIFT, _MAX_SHIFT) * len(audio), factor)
    if rng.random() < 0.15:
        audio = overdrive(audio, rng.uniform(0, _MAX_OVERDRIVE_DB))
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
        audio = apply_filter(audio, response)
    if rng.random() < 0.7:
        slope = 0.0 if rng.random() < 0.5 else rng.uniform(-0.5, 2.0)
        audio = add_noise(audio, noise(len(audio), slope, rng), rng.uniform(*_SNR_DB))
    return audio


def shift_and_speed(audio: Float32, shift: float, speed: float) -> Float32:
    """Delay a clip (T,) by `shift` samples and play it `speed` times as fast, with zeros around it.

    Linear interpolation is fast and costs a little treble.
    """
    places = (np.arange(len(audio)) - shift) * speed
    return np.asarray(np.interp(places, np.arange(len(audio)), audio, left=0, right=0), np.float32)


def overdrive(audio: Float32, decibels: float) -> Float32:
    """Clip the peaks of a clip (T,) at `decibels` below its highest."""
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
    """The amplitude response of a bandpass from `low` to `high` Hz, (K,): half the power at its edges and 24 dB an
    octave outside, like Butterworth filters of fourth order."""
    frequency = np.fft.rfftfreq(2 * length, 1 / sample_rate).astype(np.float32)
    response = 1 / np.sqrt(1 + (frequency / high) ** 8)
    if low > 0:
        response *= 1 / np.sqrt(1 + (low / np.maximum(frequency, 1)) ** 8)
    return np.asarray(response, np.float32)


def apply_filter(audio: Float32, response: NDArray[Any]) -> Float32:
    """Filter a clip (T,) by a response at K frequencies; what rings after its end is dropped."""
    spectrum = np.fft.rfft(audio, 2 * len(audio))
    return np.asarray(np.fft.irfft(spectrum * response, 2 * len(audio))[: len(audio)], np.float32)


def noise(length: int, slope: float, rng: np.random.Generator) -> Float32:
    """Noise (T,) whose power falls as 1 / frequency^slope: 0 is white, 1 pink, 2 brown."""
    white = rng.standard_normal(length, np.float32)
    if not slope:
        return white
    # Constant below 20 periods a clip: otherwise brown noise would be almost only a slow drift.
    frequency = np.maximum(np.arange(length // 2 + 1, dtype=np.float32), 20)
    return np.asarray(np.fft.irfft(np.fft.rfft(white) * frequency ** (-slope / 2), length), np.float32)


def add_noise(audio: Float32, noise: Float32, snr_db: float) -> Float32:
    """Add noise (T,) to a clip (T,), `snr_db` softer than the clip in mean power."""
    signal, level = (np.sqrt(np.square(each, dtype=np.float64).mean()) for each in (audio, noise))
    return audio + noise * np.float32(signal / max(level, 1e-12) * 10 ** (-snr_db / 20))


def make_outlier(audio: Float32, rng: np.random.Generator) -> Float32:
    """Turn a clip (T,) at random into one to which its label no longer applies: (T,)."""
    make = _OUTLIER_MAKERS[rng.integers(len(_OUTLIER_MAKERS))]
    return make(audio, rng)


def reverse(audio: Float32, rng: np.random.Generator) -> Float32:
    """Reverse the clip. In half of the cases silence at its end stays there, so that its place does not tell."""
    end = len(audio)
    if rng.random() < 0.5:
        loud = np.flatnonzero(np.abs(audio) > _SILENCE * np.abs(audio).max(initial=0))
        end = int(loud[-1]) + 1 if len(loud) else end
    return np.concatenate([audio[:end][::-1], audio[end:]])


def shuffle_pieces(audio: Float32, rng: np.random.Generator) -> Float32:
    """Cut the clip into 8 to 32 pieces of equal length, and shuffle them."""
    pieces = np.array_split(audio, rng.integers(8, 33))
    return np.concatenate([pieces[place] for place in rng.permutation(len(pieces))])


def noise_of_same_spectrum(audio: Float32, rng: np.random.Generator) -> Float32:
    """Noise with the clip's spectrum: the same magnitudes with random phases."""
    magnitude = np.abs(np.fft.rfft(audio))
    turned = magnitude * np.exp(2j * np.pi * rng.random(len(magnitude), np.float32))
    return np.asarray(np.fft.irfft(turned, len(audio)), np.float32)


def coloured_noise(audio: Float32, rng: np.random.Generator) -> Float32:
    """Noise between white and brown, unrelated to the clip."""
    return noise(len(audio), rng.uniform(0, 2) if rng.random() < 0.7 else 0.0, rng)


# Half of the outliers are reversed clips, because these are the hardest to recognise.
_OUTLIER_MAKERS: tuple[Callable[[Float32, np.random.Generator], Float32], ...] = (
    reverse,
    reverse,
    reverse,
    shuffle_pieces,
    noise_of_same_spectrum,
    coloured_noise,
)


def augment_spectrograms(
    spectrograms: Tensor, target: Tensor, rng: np.random.Generator, mixup: float
) -> tuple[Tensor, Tensor]:
    """Warp, partly hide and blend spectrograms (B, 1, M, F) with targets (B, L).

    Args:
        mixup: parameter of the Beta distribution of blends; 0 for no blending.
    """
    count, _, bands, frames = spectrograms.shape
    # For each output place its place in the input, on axes from -1 to 1: stretched and shifted in time, warped in
    # pitch.
    theta = np.zeros((count, 2, 3))
    theta[:, 0, 0] = np.exp(rng.uniform(-0.2, 0.2, count))
    theta[:, 0, 2] = rng.uniform(-0.2, 0.2, count)
    theta[:, 1, 1] = np.exp(rng.uniform(-0.1, 0.1, count))
    theta[:, 1, 2] = rng.uniform(-0.05, 0.05, count)
    grid = F.affine_grid(torch.from_numpy(theta).to(spectrograms), [*spectrograms.shape], align_corners=False)
    warped = F.grid_sample(spectrograms, grid, padding_mode="border", align_corners=False)
    keep = np.ones((count, bands, frames), bool)
    for row in keep:
        for axis, most in ((0, bands // 6), (0, bands // 6), (1, frames // 6), (1, frames // 6)):
            width = rng.integers(0, most + 1)
            start = rng.integers(0, row.shape[axis] - width + 1)
            row[
                (slice(start, start + width), slice(None)) if axis == 0 else (slice(None), slice(start, start + width))
            ] = False
    hidden = warped * torch.from_numpy(keep).to(warped.device)[:, None]
    # A change of colour, as by rooms and microphones.
    tilt = torch.from_numpy(rng.uniform(-0.4, 0.4, (count, 1, 1, 1)) * np.linspace(-1, 1, bands)[:, None])
    hidden = hidden + tilt.to(hidden)
    if not mixup:
        return hidden, target
    share = torch.from_numpy(rng.beta(mixup, mixup, (count, 1))).to(target)
    share = torch.maximum(share, 1 - share)
    partner = torch.from_numpy(rng.permutation(count)).to(target.device)
    blended = share[..., None, None] * hidden + (1 - share[..., None, None]) * hidden[partner]
    return blended, share * target + (1 - share) * target[partner]
