"""Networks of `recipe_trials.py`: of residual blocks, and frozen ones with what can be learnt from them."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fauxley.models.conditioning import LabelProjection
from fauxley.models.critic import Critic, Readout
from fauxley.models.draws import Draws, Purpose
from fauxley.models.layers import Downsampling2d
from fauxley.models.network import DenseStart, initialize
from fauxley.models.specgan import SpecGAN

_SLOPE = 0.2


class FrozenNetwork(nn.Module):
    """The critic's convolutions, trained to tell labels apart, and then left alone."""

    def __init__(self, architecture: SpecGAN) -> None:
        super().__init__()
        widths = (architecture.channels, *architecture.widths)
        self.layers = nn.ModuleList(Downsampling2d(*pair, architecture.kernel_length) for pair in pairwise(widths))
        self.dense = nn.Linear(widths[-1], max(1, len(architecture.labels)))

    def signals(self, features: Tensor) -> list[Tensor]:
        """The signals after each layer but the first."""
        x, found = features.contiguous(memory_format=torch.channels_last), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            found.append(x)
        return found[1:]

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.dense(self.signals(features)[-1].mean((2, 3)))
        return scores


class ProjectedCritic(Critic):
    """Small critics of a frozen network's signals; their scores are added. Spectral norms stand in for penalties."""

    def __init__(self, network: FrozenNetwork, architecture: SpecGAN, seed: int) -> None:
        super().__init__(0, 0, False, False)
        self._seen = [network]  # in a list: its weights are not this critic's
        widths, labels = architecture.widths[1:], len(architecture.labels)
        self.heads = nn.ModuleList(spectral_norm(nn.Conv2d(width, 32, 3, 2, 1)) for width in widths)
        places = [math.prod(architecture.grid) * 4**level // 4 for level in reversed(range(len(widths)))]
        self.readouts = nn.ModuleList(spectral_norm(nn.Linear(32 * place, 1)) for place in places)
        self.projections = nn.ModuleList(LabelProjection(labels, 32) for _ in widths if labels)
        initialize(self.projections, Draws(Purpose.CRITIC_WEIGHTS, seed, 2))

    def forward(self, features: Tensor, shifts: Tensor, labels: Tensor | None = None) -> Tensor:
        scores = torch.zeros(len(features))
        for place, signal in enumerate(self._seen[0].signals(features)):
            x = F.leaky_relu(self.heads[place](signal), 0.2).permute(0, 2, 3, 1).flatten(1)
            scores = scores + self.readouts[place](x)[:, 0]
            if labels is not None:
                scores = scores + self.projections[place](x, labels)
        return scores


class Block(nn.Module):
    """x + two 3 × 3 convolutions, which begin at 0; the identity is a 1 × 1 convolution where channels change."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(before, after, 3, 1, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.skip = nn.Conv2d(before, after, 1)

    def begin(self) -> None:
        """Make the block the identity, or its nearest."""
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.leaky_relu(convolve(self.first, F.leaky_relu(x, 0.2)), 0.2)
        return convolve(self.skip, x) + convolve(self.second, inner)


def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution in the precision of x."""
    bias = None if layer.bias is None else layer.bias.to(x.dtype)
    return F.conv2d(x, layer.weight.to(x.dtype), bias, layer.stride, layer.padding)


def halved(x: Tensor) -> Tensor:
    """Half the size: means of 4 × 4 pixels, which overlap."""
    return F.avg_pool2d(x, 4, 2, 1)


def doubled(x: Tensor) -> Tensor:
    """Twice the size, by linear interpolation."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def residual_widths(architecture: SpecGAN) -> tuple[int, ...]:
    """Channels from fine to coarse; fewer where pixels are many, for the cost of the default's networks."""
    return tuple(max(1, architecture.dim * 2**level // 2) for level in range(len(architecture.widths)))


class ResidualGenerator(DenseStart):
    """Blocks between resized images."""

    def __init__(self, architecture: SpecGAN) -> None:
        widths = tuple(reversed(residual_widths(architecture)))
        out_features = math.prod(architecture.grid) * widths[0]
        super().__init__(architecture.latent_size, out_features, len(architecture.labels))
        self.grid = architecture.grid
        self.blocks: nn.ModuleList = nn.ModuleList(Block(*pair) for pair in pairwise((widths[0], *widths)))
        self.last = nn.Conv2d(widths[-1], architecture.channels, 3, 1, 1)
        self.add_embedding()

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        bins, frames = self.grid
        x = torch.unflatten(self.start(z, labels), 1, (frames, bins, -1)).permute(0, 3, 2, 1)
        x = self._narrow(x).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = doubled(block(x))
        return torch.tanh(self._widen(convolve(self.last, F.leaky_relu(x, 0.2))))


class ResidualCritic(Critic):
    """Blocks between images that are filtered and halved."""

    def __init__(self, architecture: SpecGAN) -> None:
        super().__init__(0, 0, False, False)
        widths, (bins, frames) = residual_widths(architecture), architecture.grid
        self.first = nn.Conv2d(architecture.channels, widths[0], 3, 1, 1)
        self.blocks = nn.ModuleList(Block(*pair) for pair in pairwise((*widths, widths[-1])))
        self.dense = Readout(bins * frames * widths[-1])
        self.projection = LabelProjection(len(architecture.labels), widths[-1]) if architecture.labels else None

    def forward(self, features: Tensor, shifts: Tensor, labels: Tensor | None = None) -> Tensor:
        x = convolve(self.first, self._narrow(features).contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            x = block(halved(x))
        signal = self._widen(F.leaky_relu(x, 0.2).permute(0, 3, 2, 1).flatten(1))
        scores: Tensor = self.dense(signal)
        return scores if self.projection is None or labels is None else scores + self.projection(signal, labels)
