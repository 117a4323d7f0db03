"""SpecGAN: a DCGAN on log-magnitude spectrograms (paper, section 3.2 and Tables 5 and 6).

The log-magnitude spectrogram of a clip of 16384 samples is an image of 128 bins × 128 frames. The networks are ordinary
image networks; `LogSpectrogram` and `BandSpectrogram` turn audio into images and back. For d = 64:

    generator                              critic
    z                    (B, 100)          x                    (B, 1, 128, 128)
    dense, ReLU          (B, 1024, 4, 4)   5 × 5 / 2, LReLU     (B, 64, 64, 64)
    5 × 5 × 2, ReLU      (B, 512, 8, 8)    5 × 5 / 2, LReLU     (B, 128, 32, 32)
    5 × 5 × 2, ReLU      (B, 256, 16, 16)  5 × 5 / 2, LReLU     (B, 256, 16, 16)
    5 × 5 × 2, ReLU      (B, 128, 32, 32)  5 × 5 / 2, LReLU     (B, 512, 8, 8)
    5 × 5 × 2, ReLU      (B, 64, 64, 64)   5 × 5 / 2, LReLU     (B, 1024, 4, 4)
    5 × 5 × 2, tanh      (B, 1, 128, 128)  dense                (B,)

For longer clips or longer windows the generator starts from more than 4 × 4 pixels. Images are (B, C, bins, frames).
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.models.architecture import AdversarialArchitecture, require_at_least, require_at_most
from fauxley.models.band_spectrogram import BandSpectrogram
from fauxley.models.conditioning import check_labels
from fauxley.models.cost import Cost, Pyramid
from fauxley.models.critic import ConvolutionalCritic, Readout
from fauxley.models.draws import Draws
from fauxley.models.layers import (
    CubicUpsampling2d,
    Downsampling2d,
    LinearUpsampling2d,
    NearestUpsampling2d,
    ResizedUpsampling2d,
    TransposedUpsampling2d,
)
from fauxley.models.log_spectrogram import LogSpectrogram, inversion_cost
from fauxley.models.network import DenseStart, initialize
from fauxley.models.phase_inversion import LearnedInversion, initialize_inversion, learned_inversion_cost

_LAYERS = 5
_FACTOR = 2**_LAYERS
FRAMES: int = _FACTOR
"""The number of frames of a clip is a multiple of this; a spectrogram of bands is padded with silence to reach one."""
_SHUFFLED_LAYERS = 4
_LEAST = {
    "channels": 1,
    "dim": 1,
    "kernel_length": 1,
    "latent_size": 1,
    "window_length": 2 * _FACTOR,
    "hop_length": 1,
    "phase_shuffle": 0,
    "griffin_lim_iterations": 0,
    "inversion_dim": 0,
    "inversion_layers": 1,
    "inversion_iterations": 0,
}
_MOST = {
    "inversion_layers": 64,  # each is a module, built before we know that a stranger's file holds its weights
    "griffin_lim_iterations": 10_000,  # more iterations change nothing audible
    "inversion_iterations": 10_000,
}
_UPSAMPLING: dict[str, type[TransposedUpsampling2d | ResizedUpsampling2d]] = {
    "zeros": TransposedUpsampling2d,
    "nearest": NearestUpsampling2d,
    "linear": LinearUpsampling2d,
    "cubic": CubicUpsampling2d,
}


@dataclass(frozen=True)
class SpecGAN(AdversarialArchitecture):
    """Sizes and options of a SpecGAN. Defaults are the paper's."""

    clip_length: int = 16384
    """Samples in a clip: a multiple of 32 hops for a spectrogram of bins, any number for one of bands."""
    channels: int = 1
    """Audio channels."""
    latent_size: int = 100
    """Numbers in a latent vector."""
    dim: int = 64
    """Model size d: channels of the generator's last and the critic's first hidden layer."""
    kernel_length: int = 5
    """Height and width of every filter."""
    upsampling: Literal["zeros", "nearest", "linear", "cubic"] = "zeros"
    """How the generator enlarges images: a transposed convolution (zeros, the paper), or a resize and a convolution."""
    batch_norm: bool = False
    """Use batch normalisation in both networks. The paper's WGAN-GP models do not."""
    phase_shuffle: int = 0
    """Largest shift, in frames, of phase shuffle along time. 0: no phase shuffle. The paper tried it and advises
    against it."""
    phase_shuffle_per_example: bool = False
    """Draw one shift for each example, not one for the whole batch."""
    spectrogram: Literal["bins", "bands"] = "bins"
    """What a pixel stands for: one bin (the paper), or a band of 1, 2 or 4 bins, with a resolution twice as fine where
    pitch is heard."""
    window_length: int = 256
    """Samples in a frame of the spectrogram, twice the number of bins: a multiple of 64, or of 128 with bands."""
    hop_length: int = 128
    """Samples from one frame to the next."""
    griffin_lim_iterations: int = 16
    """Iterations of Griffin-Lim, which estimates the phases."""
    griffin_lim_momentum: float = 0.0
    """Momentum of Griffin-Lim (fast Griffin-Lim). 0.99 comes closer in the same number of iterations."""
    compensate_windows: bool = False
    """Remove the ripple in level that overlapping windows leave. The official code does not."""
    labels: tuple[str, ...] = ()
    """Labels that the model learns. Empty: an unconditional model."""
    # Only `fauxley train-inversion` sets the next three, after training; they are no options of `fauxley train`.
    inversion_dim: int = 0
    """Channels of a network that estimates the phases instead of Griffin-Lim. 0: no network."""
    inversion_layers: int = 6
    """Layers of that network."""
    inversion_iterations: int = 0
    """Iterations of fast Griffin-Lim after that network."""

    def __post_init__(self) -> None:
        require_at_least(self, _LEAST)
        check_labels(self.labels)
        in_bands = self.spectrogram == "bands"
        multiple = (4 if in_bands else 2) * _FACTOR
        if self.window_length % multiple:
            raise UsageError(f"window_length must be a multiple of {multiple}; got {self.window_length}")
        if self.hop_length > self.window_length:
            raise UsageError(f"hop_length must be at most window_length; got {self.hop_length}")
        if self.clip_length < 1 or (self.clip_length % (_FACTOR * self.hop_length) and not in_bands):
            raise UsageError(
                f"clip_length must be a multiple of {_FACTOR} hops, {_FACTOR * self.hop_length}; got {self.clip_length}"
            )
        if not 0 <= self.griffin_lim_momentum < 1:
            raise UsageError(
                f"griffin_lim_momentum must be at least 0 and less than 1; got {self.griffin_lim_momentum}"
            )
        require_at_most(self, _MOST)
        shortest = self.grid[1] * 2
        if self.phase_shuffle >= shortest:
            raise UsageError(f"phase_shuffle must be less than {shortest}; got {self.phase_shuffle}")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and frames of the image before the generator's first layer and after the critic's last."""
        if self.spectrogram == "bins":
            return self.window_length // 2 // _FACTOR, self.clip_length // self.hop_length // _FACTOR
        with_lead = self.clip_length + self.window_length - self.hop_length
        return self.window_length // 4 // _FACTOR, -(-with_lead // (self.hop_length * _FACTOR))

    @property
    def widths(self) -> tuple[int, ...]:
        """Output channels of each of the critic's layers; reversed, input channels of each of the generator's."""
        return tuple(self.dim * 2**layer for layer in range(_LAYERS))

    @property
    def mixes_examples(self) -> bool:
        return self.batch_norm

    @property
    def pyramid(self) -> Pyramid:
        pixels, factors = math.prod(self.grid) * _FACTOR**2, (4,) * _LAYERS
        sizes = pixels, self.channels, self.kernel_length**2, self.widths, factors
        return Pyramid(self.latent_size, *sizes, self.batch_norm, len(self.labels))

    def representation(self) -> LogSpectrogram:
        inverse = self.griffin_lim_iterations, self.griffin_lim_momentum
        if self.spectrogram == "bands":
            sizes = self.clip_length, self.grid[1] * _FACTOR, self.window_length, self.hop_length
            return BandSpectrogram(*sizes, *inverse, self.inversion())
        compensate = self.compensate_windows
        return LogSpectrogram(
            self.clip_length, self.window_length, self.hop_length, *inverse, compensate, self.inversion()
        )

    def inversion(self, draws: Draws | None = None) -> LearnedInversion | None:
        """A new network that estimates phases, or None if there is to be none.

        Args:
            draws: of the initial weights; None leaves them uninitialised, to be loaded.
        """
        if not self.inversion_dim:
            return None
        sizes = (self.window_length, self.hop_length, self.inversion_dim, self.inversion_layers)
        inversion = LearnedInversion(*sizes, self.inversion_iterations)
        return initialize_inversion(inversion, draws)

    def generator(self, draws: Draws | None = None) -> "SpecGANGenerator":
        return initialize(SpecGANGenerator(self), draws)

    def critic(self, draws: Draws | None = None) -> "SpecGANCritic":
        return initialize(SpecGANCritic(self), draws)

    def generator_cost(self) -> Cost:
        copies = 1 if self.upsampling == "zeros" else 4  # a resized image has 4 times the pixels to convolve
        return self.pyramid.generator_cost(lambda _: copies * self.kernel_length**2, copies, counters=1)

    def representation_cost(self) -> Cost:
        iterations = self.griffin_lim_iterations + self.inversion_iterations
        samples = self.grid[1] * _FACTOR * self.hop_length
        sizes = samples, self.channels, self.window_length, self.hop_length
        cost = inversion_cost(*sizes, iterations)
        if self.spectrogram == "bands":  # two matrices, and a product with one of them
            entries = (self.window_length // 4) * (self.window_length // 2)
            cost += Cost(0, self.channels * self.grid[1] * _FACTOR * entries, 1, cost.numbers + 2 * entries)
        if not self.inversion_dim:
            return cost
        return cost + learned_inversion_cost(*sizes, self.inversion_dim, self.inversion_layers)


class SpecGANGenerator(DenseStart):
    """Turns latents (B, latent_size), and labels (B, L) in a conditional model, into images (B, C, bins, frames)."""

    def __init__(self, architecture: SpecGAN) -> None:
        upsampling = _UPSAMPLING[architecture.upsampling]
        widths = (*reversed(architecture.widths), architecture.channels)
        # The dense layer's output is reshaped to (frames, bins, widths[0]): the channel is the fastest index.
        out_features = math.prod(architecture.grid) * widths[0]
        super().__init__(architecture.latent_size, out_features, len(architecture.labels))
        self.grid = architecture.grid
        self.layers: nn.ModuleList = nn.ModuleList(
            upsampling(before, after, architecture.kernel_length) for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(
            _batch_norm(width, track=True) if architecture.batch_norm else nn.Identity() for width in widths[:-1]
        )
        self.add_embedding()

    def places_in(self, other: DenseStart) -> Tensor:
        """As in `DenseStart`. If this generator's clips are longer, further frames repeat the last: mostly silence."""
        assert isinstance(other, SpecGANGenerator)
        (bins, frames), theirs = self.grid, other.grid[1]
        places = torch.arange(other.dense.out_features).view(theirs, bins, -1)
        return places[torch.arange(frames).clamp(max=theirs - 1)].flatten()

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        bins, frames = self.grid
        x = torch.unflatten(self.start(z, labels), 1, (frames, bins, -1)).transpose(1, 3)  # (B, 16 d, bins, frames)
        x = self._narrow(x)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(F.relu(norm(x)))
        return torch.tanh(self._widen(x))


class SpecGANCritic(ConvolutionalCritic):
    """Scores images (B, C, bins, frames), given labels (B, L) in a conditional model: (B,)."""

    def __init__(self, architecture: SpecGAN) -> None:
        (bins, frames), widths = architecture.grid, (architecture.channels, *architecture.widths)
        super().__init__(
            layers=[Downsampling2d(before, after, architecture.kernel_length) for before, after in pairwise(widths)],
            norms=[
                _batch_norm(width, track=False) if architecture.batch_norm and number > 0 else nn.Identity()
                for number, width in enumerate(architecture.widths)
            ],
            dense=Readout(bins * frames * widths[-1]),
            time_dim=3,
            shuffled_layers=_SHUFFLED_LAYERS,
            shuffle_radius=architecture.phase_shuffle,
            shuffle_per_example=architecture.phase_shuffle_per_example,
            mixes_examples=architecture.mixes_examples,
            num_labels=len(architecture.labels),
            channels=widths[-1],
        )

    def to_signal(self, features: Tensor) -> Tensor:
        return features.contiguous(memory_format=torch.channels_last)  # the fastest layout for convolutions

    def to_features(self, signal: Tensor) -> Tensor:
        return signal


def _batch_norm(width: int, track: bool) -> nn.BatchNorm2d:
    """Batch normalisation with the official code's constants. Both use the unbiased variance for the moving average."""
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01, track_running_stats=track)
