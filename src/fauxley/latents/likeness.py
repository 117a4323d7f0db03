"""How unlike two sounds are: root-mean-square difference, in dB, of their log-mel spectrograms in several blurs.

Every sound becomes a point, `(P,)`, such that the distance between two points is how unlike the sounds are. It takes
its spectrogram's mel bands, in dB below the sound's own loudest frame with a floor at -60 dB, at three blurs in time,
each twice or more as coarse as an attack, a body and a tail are long: fine ones tell attacks apart, coarse ones still
know what belongs together when it comes a little later. Levels do not count, since a gain makes any sound as loud as
another.

A model of spectrograms is compared by them as they are, before phases are found: quicker, and with a gradient that
means something.

Letters: B sounds, C channels, T samples, F frames, K bins, M mel bands, P coordinates of a point.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.representations import Representation
from fauxley.signal.mel import mel_matrix

_BANDS = 64
_LOWEST_HZ, _HIGHEST = 30.0, 0.95  # of half the sample rate
_FLOOR = 1e-6  # -60 dB
_FRAMES = 128  # about; more would tell apart what no ear does, and take memory
_BLURS = 1, 4, 16  # frames
_ONSET = 1e-2  # of the loudest frame's power


class Likeness:
    """Makes points of sounds.

    Args:
        representation: of the model, which tells at which resolutions spectrograms are taken.
        sample_rate: in Hz.
        clip_length: T; every sound is as long.
    """

    def __init__(self, representation: Representation, sample_rate: int, clip_length: int) -> None:
        self._representation = representation
        self._mel = [_bands(window, sample_rate) for window, _ in representation.resolutions]
        self._joined = [max(1, round(clip_length / hop / _FRAMES)) for _, hop in representation.resolutions]
        window, hop = representation.resolutions[0]
        self.step = hop * self._joined[0]
        """Samples from one frame of a point to the next."""
        self.reach = -(-window // self.step)
        """Frames by which a sound is seen ahead of its first sample."""

    def of_features(self, features: Tensor) -> Tensor:
        """The points of what a generator made, (B, ...): (B, P); differentiable."""
        return self._points(self._representation.to_spectrograms(features))

    def of_audio(self, audio: Tensor) -> Tensor:
        """The points of sounds (B, C, T): (B, P)."""
        return self._points(self._representation.spectrograms(audio))

    def _points(self, spectrograms: list[Tensor]) -> Tensor:
        parts = []
        for magnitude, mel, joined in zip(spectrograms, self._mel, self._joined, strict=True):
            power = _blur(magnitude.square() @ mel.to(magnitude), joined)  # (B, C, F, M)
            loudest = power.sum(3).amax((1, 2)).clamp(min=1e-12)
            power = power / loudest[:, None, None, None]
            parts += [10 * torch.log10(_blur(power, blur) + _FLOOR).flatten(1) for blur in _BLURS]
        # Each blur counts as much as another, however many frames it has.
        return torch.cat([part / math.sqrt(part.shape[1] * len(parts)) for part in parts], 1)


def _bands(window: int, sample_rate: int) -> Tensor:
    """The matrix from bins to mel bands (K, M), without bands so narrow that they hold no bin."""
    matrix = mel_matrix(window // 2 + 1, sample_rate, _BANDS, _LOWEST_HZ, _HIGHEST * sample_rate / 2)
    return torch.from_numpy(matrix[:, matrix.sum(0) > 0])


def _blur(power: Tensor, frames: int) -> Tensor:
    """The mean power of every so many frames: (B, C, F, M) to (B, C, ceil(F / frames), M); what lacks is silence."""
    if frames == 1:
        return power
    padded = F.pad(power, (0, 0, 0, -power.shape[2] % frames))
    batch, channels, length, bands = padded.shape
    return padded.view(batch, channels, length // frames, frames, bands).mean(3)
