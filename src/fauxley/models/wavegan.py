"""WaveGAN: a DCGAN flattened to one dimension (paper, section 3.1 and Tables 3 and 4).

DCGAN's filters of 5 × 5 pixels with stride 2 × 2 become filters of 25 taps with stride 4. Each layer thus keeps its
number of weights and its resampling factor. For a clip of 16384 samples and d = 64:

    generator                              critic
    z                    (B, 100)          x                    (B, 16384, C)
    dense, ReLU          (B, 16, 1024)     25 taps / 4, LReLU   (B, 4096, 64)    phase shuffle
    25 taps × 4, ReLU    (B, 64, 512)      25 taps / 4, LReLU   (B, 1024, 128)   phase shuffle
    25 taps × 4, ReLU    (B, 256, 256)     25 taps / 4, LReLU   (B, 256, 256)    phase shuffle
    25 taps × 4, ReLU    (B, 1024, 128)    25 taps / 4, LReLU   (B, 64, 512)     phase shuffle
    25 taps × 4, ReLU    (B, 4096, 64)     25 taps / 4, LReLU   (B, 16, 1024)
    25 taps × 4, tanh    (B, 16384, C)     dense                (B,)

Other clip lengths follow the same rule: the generator starts from 16 samples, each layer multiplies the length by 4
(the last one by 2, if needed) and halves the channels.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.models.architecture import AdversarialArchitecture, require_at_least
from fauxley.models.conditioning import check_labels
from fauxley.models.cost import Cost, Pyramid
from fauxley.models.critic import ConvolutionalCritic, Readout
from fauxley.models.draws import Draws
from fauxley.models.layers import BatchNorm, Downsampling, NearestUpsampling, PostFilter, TransposedUpsampling
from fauxley.models.network import DenseStart, initialize
from fauxley.models.representations import Waveform

_FRAMES = 16  # length before the generator's first layer and after the critic's last
_CLIP_LENGTHS = tuple(2**power for power in range(12, 19))
_LEAST = {
    "channels": 1,
    "dim": 1,
    "kernel_length": 1,
    "latent_size": 1,
    "post_filter_length": 0,
    "phase_shuffle": 0,
}
_UPSAMPLING = {"zeros": TransposedUpsampling, "nearest": NearestUpsampling}


@dataclass(frozen=True)
class WaveGAN(AdversarialArchitecture):
    """Sizes and options of a WaveGAN. Defaults are the paper's."""

    clip_length: int = 16384
    """Samples in a clip: a power of two from 4096 to 262144."""
    channels: int = 1
    """Audio channels."""
    dim: int = 64
    """Model size d: channels of the generator's last and the critic's first hidden layer."""
    kernel_length: int = 25
    """Taps of every convolution."""
    latent_size: int = 100
    """Numbers in a latent vector."""
    upsampling: Literal["zeros", "nearest"] = "zeros"
    """How the generator upsamples: insert zeros between samples (the paper), or repeat each sample."""
    batch_norm: bool = False
    """Use batch normalisation in both networks. The paper's WGAN-GP models do not."""
    post_filter_length: int = 0
    """Taps of a learned filter after the generator's output. 0: no filter. The paper tried 512."""
    phase_shuffle: int = 2
    """Largest shift, in samples, of the critic's phase shuffle. 0: no phase shuffle."""
    phase_shuffle_per_example: bool = False
    """Draw one shift for each example. The official code draws one for the whole batch."""
    labels: tuple[str, ...] = ()
    """Labels that the model learns. Empty: an unconditional model."""

    def __post_init__(self) -> None:
        if self.clip_length not in _CLIP_LENGTHS:
            choices = ", ".join(map(str, _CLIP_LENGTHS[:-1]))
            raise UsageError(f"clip_length must be {choices} or {_CLIP_LENGTHS[-1]}; got {self.clip_length}")
        require_at_least(self, _LEAST)
        check_labels(self.labels)
        # Phase shuffle fills by reflection, so a shift must be shorter than the shortest signal that is shuffled.
        shortest = self.clip_length // math.prod(self.strides[: self.shuffled_layers])
        if self.phase_shuffle >= shortest:
            raise UsageError(f"phase_shuffle must be less than {shortest}; got {self.phase_shuffle}")
        if self.upsampling not in _UPSAMPLING:
            raise UsageError(f"upsampling must be {' or '.join(_UPSAMPLING)}; got {self.upsampling!r}")

    @property
    def strides(self) -> tuple[int, ...]:
        """The resampling factor of each layer, first to last: the same list for both networks."""
        quarterings, rest = divmod((self.clip_length // _FRAMES).bit_length() - 1, 2)
        return (4,) * quarterings + (2,) * rest

    @property
    def widths(self) -> tuple[int, ...]:
        """Output channels of each of the critic's layers; reversed, input channels of each of the generator's."""
        return tuple(self.dim * 2**layer for layer in range(len(self.strides)))

    @property
    def shuffled_layers(self) -> int:
        """The number of critic layers followed by phase shuffle: the first four, but never the last."""
        return min(4, len(self.strides) - 1)

    @property
    def mixes_examples(self) -> bool:
        return self.batch_norm

    @property
    def pyramid(self) -> Pyramid:
        sizes = self.clip_length, self.channels, self.kernel_length, self.widths, self.strides
        return Pyramid(self.latent_size, *sizes, self.batch_norm, len(self.labels))

    def representation(self) -> Waveform:
        return Waveform()

    def generator(self, draws: Draws | None = None) -> "WaveGANGenerator":
        return initialize(WaveGANGenerator(self), draws)

    def critic(self, draws: Draws | None = None) -> "WaveGANCritic":
        return initialize(WaveGANCritic(self), draws)

    def generator_cost(self) -> Cost:
        nearest = self.upsampling == "nearest"  # its folded kernel has up to stride - 1 more taps
        cost = self.pyramid.generator_cost(lambda stride: self.kernel_length + (stride - 1) * nearest)
        filtered = self.post_filter_length * self.channels
        products = filtered * self.clip_length
        # A filter of one channel is slow: 4e8 to 3e9 products a second were measured.
        numbers = 2 * self.channels * self.clip_length
        return cost + Cost(filtered, products, numbers=numbers, surplus=24 * products)


class WaveGANGenerator(DenseStart):
    """Turns latents (B, latent_size), and labels (B, L) in a conditional model, into audio (B, C, T) in [-1, 1]."""

    def __init__(self, architecture: WaveGAN) -> None:
        upsampling = _UPSAMPLING[architecture.upsampling]
        widths = (*reversed(architecture.widths), architecture.channels)
        # The dense layer's output is reshaped to (16, widths[0]): the channel is the fastest index.
        super().__init__(architecture.latent_size, _FRAMES * widths[0], len(architecture.labels))
        self.layers = nn.ModuleList(
            upsampling(before, after, architecture.kernel_length, stride)
            for (before, after), stride in zip(pairwise(widths), architecture.strides, strict=True)
        )
        self.norms = nn.ModuleList(
            BatchNorm(width, track=True) if architecture.batch_norm else nn.Identity() for width in widths[:-1]
        )
        taps = architecture.post_filter_length
        self.post_filter = PostFilter(architecture.channels, taps) if taps else nn.Identity()
        self.add_embedding()

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self._narrow(torch.unflatten(self.start(z, labels), 1, (_FRAMES, -1)))  # (B, 16, C)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(F.relu(norm(x)))  # (B, s·L, C/2)
        audio: Tensor = self.post_filter(torch.tanh(self._widen(x)).transpose(1, 2))
        return audio


class WaveGANCritic(ConvolutionalCritic):
    """Scores audio (B, C, T), given labels (B, L) in a conditional model: (B,)."""

    def __init__(self, architecture: WaveGAN) -> None:
        widths, kernel_length = (architecture.channels, *architecture.widths), architecture.kernel_length
        super().__init__(
            layers=[
                Downsampling(before, after, kernel_length, stride)
                for (before, after), stride in zip(pairwise(widths), architecture.strides, strict=True)
            ],
            norms=[
                BatchNorm(width, track=False) if architecture.batch_norm and number > 0 else nn.Identity()
                for number, width in enumerate(architecture.widths)
            ],
            dense=Readout(_FRAMES * widths[-1]),
            time_dim=1,
            shuffled_layers=architecture.shuffled_layers,
            shuffle_radius=architecture.phase_shuffle,
            shuffle_per_example=architecture.phase_shuffle_per_example,
            mixes_examples=architecture.mixes_examples,
            num_labels=len(architecture.labels),
            channels=widths[-1],
        )

    def to_signal(self, features: Tensor) -> Tensor:
        return features.transpose(1, 2)  # (B, T, C)

    def to_features(self, signal: Tensor) -> Tensor:
        return signal.transpose(1, 2)
