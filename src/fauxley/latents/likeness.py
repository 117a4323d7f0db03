"""The distance between two sounds: the root-mean-square difference, in dB, of blurred log-mel spectrograms.

Every sound becomes a point (P,) such that the distance between points is the distance between the sounds. A point
consists of the spectrogram's mel bands, in dB relative to the sound's own loudest frame with a floor at -60 dB, at
three blurs in time. The fine blur distinguishes attacks; the coarse ones still match what comes a little later. Levels
do not count, because a gain can make any sound as loud as another.

For a model of spectrograms, points are made of its spectrograms directly, before phases are estimated: that is faster,
and its gradient is useful.

Letters: B sounds, C channels, T samples, F frames, K bins, M mel bands, P coordinates of a point.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.representations import Representation
from fauxley.signal.mel import mel_matrix

_BANDS = 64
_LOWEST_HZ, _HIGHEST = 30.0, 0.95  # the highest as a share of half the sample rate
_FLOOR = 1e-6  # -60 dB
_FRAMES = 128  # about; more would distinguish what the ear does not, and need memory
_BLURS = 1, 4, 16  # frames
_ONSET = 1e-2  # of the loudest frame's power


class Likeness:
    """Converts sounds to points.

    Args:
        representation: of the model; it determines the resolutions of spectrograms.
        sample_rate: in Hz.
        clip_length: T, the length of every sound.
    """

    def __init__(self, representation: Representation, sample_rate: int, clip_length: int) -> None:
        self._representation = representation
        self._mel = [_bands(window, sample_rate) for window, _ in representation.resolutions]
        self._joined = [max(1, round(clip_length / hop / _FRAMES)) for _, hop in representation.resolutions]
        window, hop = representation.resolutions[0]
        self.step = hop * self._joined[0]
        """Samples from one frame of a point to the next."""
        self.reach = -(-window // self.step)
        """Frames that a sound affects before its first sample."""

    def of_features(self, features: Tensor) -> Tensor:
        """Convert a generator's features (B, ...) to points (B, P); differentiable."""
        return self._points(self._representation.to_spectrograms(features))

    def of_audio(self, audio: Tensor) -> Tensor:
        """Convert sounds (B, C, T) to points (B, P)."""
        return self._points(self._representation.spectrograms(audio))

    def _points(self, spectrograms: list[Tensor]) -> Tensor:
        parts = []
        for magnitude, mel, joined in zip(spectrograms, self._mel, self._joined, strict=True):
            power = _blur(magnitude.square() @ mel.to(magnitude), joined)  # (B, C, F, M)
            loudest = power.sum(3).amax((1, 2)).clamp(min=1e-12)
            power = power / loudest[:, None, None, None]
            parts += [10 * torch.log10(_blur(power, blur) + _FLOOR).flatten(1) for blur in _BLURS]
        # All blurs have the same total weight, however many frames they have.
        return torch.cat([part / math.sqrt(part.shape[1] * len(parts)) for part in parts], 1)


def _bands(window: int, sample_rate: int) -> Tensor:
    """The matrix from bins to mel bands (K, M), without bands so narrow that they contain no bin."""
    matrix = mel_matrix(window // 2 + 1, sample_rate, _BANDS, _LOWEST_HZ, _HIGHEST * sample_rate / 2)
    return torch.from_numpy(matrix[:, matrix.sum(0) > 0])


def _blur(power: Tensor, frames: int) -> Tensor:
    """Average the power over groups of frames, padded with zeros: (B, C, F, M) to (B, C, ceil(F / frames), M)."""
    if frames == 1:
        return power
    padded = F.pad(power, (0, 0, 0, -power.shape[2] % frames))
    batch, channels, length, bands = padded.shape
    return padded.view(batch, channels, length // frames, frames, bands).mean(3)
