"""The default model's representation: spectrograms in bands, finer where pitch is heard, with intact attacks.

    x'  = a lead of N - H zero samples, then the clip
    M   = |STFT x'|, N samples a frame, H from frame to frame
    X   = ln(sqrt(mean of M² over the bins of each band) + 0.003)
    features = clip((X - mean) / s / 3, -1, 1),    s = max(std, (max - mean) / 3)

Mean, standard deviation and maximum are those of a band over the data.

It differs from `LogSpectrogram` in six points, each of which mends a fault that was heard or measured
(docs/experiments.md):

- Bands. In the lowest quarter of the bins each bin is a band, in the next quarter each pair, in the upper half each
  group of four: N/4 bands instead of N/2 bins. So windows can be twice as long, which resolves pitch twice as finely,
  at the same cost of the networks. Two automatic judges rated drums and words resynthesised from bands like those
  resynthesised from all bins.
- A lead of silence. Without it, a clip that begins with its attack would begin where windows are near zero, and the
  inverse transform would divide by them. With it, every sample of the clip lies under full windows; and because
  Griffin-Lim knows that the lead is silent, attacks stay as steep as they were.
- A floor of 0.003, which is 90 to 100 dB below a sine at full scale. With the paper's 1e-6 most of the range would be
  spent on differences in silence. The conversion to audio subtracts the floor, so silence stays silent.
- Random first phases. From phases of zero Griffin-Lim starts with a click in each frame; in a generated spectrogram,
  which is not quite consistent, some of the clicks stay, a buzz at multiples of rate / H.
- No clipping. Three standard deviations are enough for speech; but drums are mostly silence, and a third of their
  energy, the attacks, would be clipped.
- Peak levels. Phases can add up to peaks above full scale, and a generator can make sounds that are too soft. A clip
  whose peak is outside the range of the data's peaks is scaled to the nearest end of that range. If all of the data
  have the same peak, so have all generated clips.

Letters: B batch, C channels, T samples, N window length, H hop length, F frames, K = N/2 + 1 bins, R = N/4 bands.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.draws import Draws, Purpose
from fauxley.models.log_spectrogram import CLIP, LogSpectrogram
from fauxley.models.phase_inversion import LearnedInversion
from fauxley.signal.stft import stft

_FLOOR = 3e-3
_QUIET_SHARE = 0.05  # this share of the data's clips, the softest, does not count for the range of peaks
_SILENCE = 1e-3  # clips with a lower peak are not amplified
_PARTS = ((4, 1), (4, 2), (2, 4))  # (n, w): of 1/n of the bins, w make a band


class BandSpectrogram(LogSpectrogram):
    """Converts audio (B, C, T) to features (B, C, R, F) and back.

    Its buffers are the mean and scale of each band (R,) and the smallest and largest peak of a clip (2,).

    Args:
        clip_length: T.
        frames: F; frames beyond the clip's end are silent.
        window_length: N, a multiple of 16.
        hop_length: H.
        iterations, momentum: see `griffin_lim`.
        inversion: a network that converts magnitudes to audio instead of `griffin_lim`.
    """

    peaks: Tensor

    def __init__(
        self,
        clip_length: int,
        frames: int,
        window_length: int,
        hop_length: int,
        iterations: int,
        momentum: float,
        inversion: LearnedInversion | None = None,
    ) -> None:
        super().__init__(clip_length, window_length, hop_length, iterations, momentum, True, inversion)
        self.frames = frames
        self.lead = window_length - hop_length
        self.register_buffer("mean", torch.zeros(window_length // 4))
        self.register_buffer("std", torch.ones(window_length // 4))
        self.register_buffer("peaks", torch.tensor([0.0, 1.0]))

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Measure each band's mean and scale, and the clips' peaks."""
        loudest = torch.full_like(self.mean, -torch.inf)
        peaks: list[Tensor] = []

        def watched() -> Iterator[Tensor]:
            for audio in batches:
                logarithms = self._logarithm(audio)
                torch.maximum(loudest, logarithms.amax((0, 1, 2)), out=loudest)
                peaks.append(audio.abs().amax((1, 2)))
                yield logarithms

        self._fit_logarithms(watched())
        if peaks:
            all_peaks = torch.cat(peaks)
            self.peaks.copy_(torch.stack([all_peaks.quantile(_QUIET_SHARE), all_peaks.max()]))
        torch.maximum(self.std, (loudest - self.mean) / CLIP, out=self.std)

    def to_features(self, audio: Tensor) -> Tensor:
        normal = (self._logarithm(audio) - self.mean) / self.std
        return (normal / CLIP).clamp(-1, 1).transpose(2, 3)

    def to_clip(self, audio: Tensor) -> Tensor:
        clip = audio[..., self.lead : self.lead + self.clip_length]
        peak = clip.abs().amax((1, 2), keepdim=True)
        least, most = self.peaks.to(peak.dtype)
        change = torch.minimum(torch.maximum(peak, least), most) / peak.clamp(min=_SILENCE)
        return clip * torch.where(peak > _SILENCE, change, torch.ones_like(peak))

    def to_magnitude(self, features: Tensor) -> Tensor:
        logarithm = features.transpose(2, 3) * CLIP * self.std + self.mean
        _, spreading = _matrices(self.window_length // 2, logarithm.device)
        magnitude = (torch.exp(logarithm @ spreading.to(logarithm.dtype)) - _FLOOR).clamp(min=0)
        return F.pad(magnitude, (0, 1))  # the bin at half the sample rate is 0

    def first_phases(self, magnitude: Tensor) -> Tensor:
        return _phases(*magnitude.shape[-2:], magnitude.device).to(magnitude.dtype)

    def spectrograms(self, audio: Tensor) -> list[Tensor]:
        return [self._spectrum(audio)[..., : self._heard, :].abs()]

    def to_spectrograms(self, features: Tensor) -> list[Tensor]:
        return [self.to_magnitude(features)[..., : self._heard, :]]

    @property
    def _heard(self) -> int:
        """The number of frames that begin before the clip ends. Later frames are cut off the audio."""
        return -(-(self.lead + self.clip_length) // self.hop_length)

    def _spectrum(self, audio: Tensor) -> Tensor:
        return stft(F.pad(audio, (self.lead, 0)), self.window_length, self.hop_length, frames=self.frames)

    def _logarithm(self, audio: Tensor) -> Tensor:
        power = torch.view_as_real(self._spectrum(audio)[..., :-1]).square().sum(-1)
        averaging, _ = _matrices(self.window_length // 2, power.device)
        return torch.log((power @ averaging.T.to(power.dtype)).sqrt() + _FLOOR)


@lru_cache(maxsize=4)
def _phases(frames: int, bins: int, device: torch.device) -> Tensor:
    """Phases (F, K) at random, the same ones for every sound; those of fewer frames are the first of those of more."""
    with torch.inference_mode(False), torch.device("cpu"):
        return Draws(Purpose.PHASES).uniform(torch.Size((frames, bins)), torch.pi).to(device)


@lru_cache(maxsize=4)
def _matrices(num_bins: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The matrices from bins to bands and from bands to bins, on a device.

    They are no buffers: modules of a stranger's file are built without storage, and no file has to hold constants.
    """
    # Training cannot use tensors made in inference mode, and the first caller may be generating.
    with torch.inference_mode(False), torch.device("cpu"):
        averaging = band_averages(num_bins)
        return averaging.to(device), _interpolation(averaging).to(device)


def band_averages(num_bins: int) -> Tensor:
    """The matrix that averages power over the bins of each band: (R, N/2). Its rows sum to 1.

    Args:
        num_bins: N/2, a multiple of 8.
    """
    widths = torch.cat([torch.full((num_bins // share // width,), width) for share, width in _PARTS])
    band_of_bin = torch.repeat_interleave(torch.arange(len(widths)), widths)
    return F.one_hot(band_of_bin).T / widths[:, None]


def _interpolation(averaging: Tensor) -> Tensor:
    """The matrix that interpolates linearly between the centres of bands to give a value for each bin: (R, N/2)."""
    bins = torch.arange(averaging.shape[1], dtype=torch.float32)
    centres = averaging @ bins
    upper = torch.searchsorted(centres, bins).clamp(1, len(centres) - 1)
    left, right = centres[upper - 1], centres[upper]
    share = ((bins - left) / (right - left)).clamp(0, 1)  # constant beyond the outermost centres
    matrix = torch.zeros_like(averaging)
    columns = torch.arange(len(bins))
    matrix[upper - 1, columns] = 1 - share
    matrix[upper, columns] += share
    return matrix
