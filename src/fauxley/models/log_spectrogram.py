"""SpecGAN's features: log-magnitude spectrograms, normalised bin by bin (paper, section 3.2).

    X = ln(|STFT| + 1e-6);   features = clip((X - mean) / std / 3, -1, 1),   mean and std of each bin over the data

The bin at half the sample rate is dropped, which leaves a power of two. The conversion to audio sets it to its mean and
estimates the phases by Griffin-Lim, or by a network if the model has one.

Letters: B batch, C channels, T samples, N window length, K = N/2 bins without the last, F frames.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.cost import Cost
from fauxley.models.phase_inversion import LearnedInversion
from fauxley.models.representations import Representation
from fauxley.signal.griffin_lim import griffin_lim
from fauxley.signal.stft import num_frames, stft

_EPSILON = 1e-6
CLIP = 3.0  # standard deviations


class LogSpectrogram(Representation):
    """Converts audio (B, C, T) to features (B, C, K, F) and back.

    Args:
        clip_length: T of the audio that `to_audio` returns.
        window_length: N, samples in a frame.
        hop_length: samples from one frame to the next.
        iterations, momentum, compensate: see `griffin_lim`.
        inversion: a network that converts magnitudes to audio instead of `griffin_lim`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        clip_length: int,
        window_length: int = 256,
        hop_length: int = 128,
        iterations: int = 16,
        momentum: float = 0.0,
        compensate: bool = False,
        inversion: LearnedInversion | None = None,
    ) -> None:
        super().__init__()
        self.clip_length = clip_length
        self.frames = num_frames(clip_length, hop_length)
        self.window_length = window_length
        self.hop_length = hop_length
        self.iterations = iterations
        self.momentum = momentum
        self.compensate = compensate
        self.inversion = inversion
        self.lead = 0
        self.resolutions = ((window_length, hop_length),)
        # Of all bins, including the dropped one.
        self.register_buffer("mean", torch.zeros(window_length // 2 + 1))
        self.register_buffer("std", torch.ones(window_length // 2 + 1))

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Measure each bin's mean and population standard deviation."""
        self._fit_logarithms(map(self._logarithm, batches))

    def _fit_logarithms(self, batches: Iterable[Tensor]) -> None:
        """Measure mean and deviation in one pass over log-magnitudes (B, C, F, K + 1), merging batch after batch.

        Sums of squares would lose precision by cancellation; merging means and squared deviations does not (Chan, Golub
        and LeVeque 1979, equation 2.1).
        """
        count, mean = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        deviations = torch.zeros_like(mean)
        for logarithms in batches:
            values = logarithms.double().flatten(0, 2)  # (B·C·F, K + 1)
            more, its_mean = len(values), values.mean(0)
            difference = its_mean - mean
            deviations += (values - its_mean).square().sum(0) + difference.square() * count * more / (count + more)
            mean += difference * more / (count + more)
            count += more
        if count:
            self.mean.copy_(mean)
            # A bin that never changes must not lead to a division by zero.
            self.std.copy_((deviations / count).sqrt().clamp(min=1e-6))

    def to_features(self, audio: Tensor) -> Tensor:
        normal = (self._logarithm(audio) - self.mean) / self.std
        return (normal[..., :-1] / CLIP).clamp(-1, 1).transpose(2, 3)

    @property
    def searches_phases(self) -> bool:
        return self.inversion is None and self.iterations > 0

    def to_audio(self, features: Tensor) -> Tensor:
        magnitude = self.to_magnitude(features)
        return self.to_clip(self._griffin_lim(magnitude) if self.inversion is None else self.inversion(magnitude))

    def to_clip(self, audio: Tensor) -> Tensor:
        """Cut the clip (B, C, clip_length) out of the inverse transform of all frames."""
        return audio[..., : self.clip_length]

    def use_griffin_lim(self) -> None:
        self.inversion = None

    def to_spectrograms(self, features: Tensor) -> list[Tensor]:
        return [self.to_magnitude(features)]

    def to_magnitude(self, features: Tensor) -> Tensor:
        """Convert features to magnitudes: (B, C, K, F) to (B, C, F, K + 1)."""
        normal = F.pad(features.transpose(2, 3), (0, 1))
        return torch.exp(normal * CLIP * self.std + self.mean)

    def _griffin_lim(self, magnitude: Tensor) -> Tensor:
        return griffin_lim(
            magnitude,
            self.window_length,
            self.hop_length,
            self.iterations,
            momentum=self.momentum,
            compensate=self.compensate,
            phase=self.first_phases(magnitude),
            silent=self.lead,
        )

    def first_phases(self, magnitude: Tensor) -> Tensor | None:
        """The phases (F, K + 1) from which Griffin-Lim starts, in radians; None: zero, as in the official code."""
        return None

    def _logarithm(self, audio: Tensor) -> Tensor:
        return torch.log(stft(audio, self.window_length, self.hop_length).abs() + _EPSILON)


def inversion_cost(clip_length: int, channels: int, window_length: int, hop_length: int, iterations: int) -> Cost:
    """The cost of Griffin-Lim for one clip."""
    bins, frames, pieces = window_length // 2 + 1, clip_length // hop_length, -(-window_length // hop_length)
    cells = 2 * channels * frames * window_length  # complex spectra, and frames of samples
    overlapping = channels * pieces * (frames + pieces) * hop_length
    transforms = 2 + iterations
    products = transforms * (cells * window_length.bit_length() + overlapping)
    # With the traffic to memory between the transforms, 3e9 products a second were measured.
    return Cost(2 * bins, products, transforms * (20 + pieces), 3 * cells + overlapping, surplus=2 * products)
