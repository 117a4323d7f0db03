"""WaveNet: sample after sample, each from a distribution given the samples before (van den Oord et al. 2016).

The baseline that the paper's models are measured against: trained by likelihood instead of a critic, in parallel, but
generating in as many steps as a clip has samples. With d = 32, of 20 layers in two cycles:

    levels of the samples before    (B, T)            μ-law, 8 bits (section 2.2)
    table                           (B, 32, T)        a causal convolution of one-hot vectors
    20 × gated unit                 (B, 32, T)        2 taps, 1, 2, 4 ... 512 samples apart (sections 2.1, 2.3)
    sum of their skip outputs       (B, 64, T)        (section 2.4)
    ReLU, 1 × 1, ReLU, 1 × 1        (B, 256, T)       logits of each sample's level

Silence precedes every clip. A layer's response to it is the same at any time, so the first position, whose input is
silence, stands for all before it: convolutions are padded by repeating it.

Letters: B clips, T samples, L layers, d channels.
"""

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.models.architecture import AutoregressiveArchitecture, require_at_least, require_at_most
from fauxley.models.cost import Cost, Work
from fauxley.models.draws import Draws
from fauxley.models.network import AutoregressiveGenerator, initialize
from fauxley.models.representations import Waveform
from fauxley.models.wavenet_sampler import CachedSampler, draw_levels
from fauxley.signal.mu_law import compress, expand

_LEAST = {"clip_length": 256, "dim": 1, "skip_dim": 1, "layers": 1, "cycle": 1, "levels": 2}
_MOST = {"clip_length": 2**20, "layers": 512, "cycle": 14, "levels": 2**16}  # so that a stranger's model cannot stall


@dataclass(frozen=True)
class WaveNet(AutoregressiveArchitecture):
    """Sizes of a WaveNet. Defaults are about the paper's: it looks back a quarter of a second at 16 kHz."""

    clip_length: int = 16384
    """Samples in a clip, from 256 to 1048576."""
    channels: int = 1
    """Audio channels: 1."""
    dim: int = 64
    """Model size d: channels between the layers."""
    skip_dim: int = 256
    """Channels of the layers' sum, from which the distribution is computed."""
    layers: int = 40
    """Dilated convolutions."""
    cycle: int = 10
    """Layers after which the distance between taps, doubled by each, begins at 1 again."""
    levels: int = 256
    """Levels of a sample, spaced by the μ-law."""

    def __post_init__(self) -> None:
        require_at_least(self, _LEAST)
        if self.channels != 1:
            raise UsageError(f"channels must be 1: a WaveNet makes mono sounds; got {self.channels}")
        require_at_most(self, _MOST)

    @property
    def latent_size(self) -> int:
        """A number for each sample, by which it is drawn from its distribution."""
        return self.clip_length

    @property
    def dilations(self) -> tuple[int, ...]:
        """Samples between the taps of each layer."""
        return tuple(2 ** (layer % self.cycle) for layer in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """Samples before it that a sample depends on."""
        return 1 + sum(self.dilations)

    @property
    def work(self) -> Work:
        layers = self.layers * self.dim * (5 * self.dim + self.skip_dim)
        products = layers + self.skip_dim * (self.skip_dim + self.levels)
        signals = self.layers * self.dim + self.skip_dim + self.levels
        return Work(products + self.levels * self.dim, products * self.clip_length, signals * self.clip_length)

    def representation(self) -> Waveform:
        return Waveform()

    def generator(self, draws: Draws | None = None) -> "WaveNetGenerator":
        generator = initialize(WaveNetGenerator(self), draws)
        if draws is not None:
            generator.order_levels(draws)
        return generator

    def generator_cost(self) -> Cost:
        """Of drawing all samples, one after another; judging all of a clip at once takes as many multiplications."""
        d, skips, layers, places = self.dim, self.skip_dim, self.layers, self.receptive_field - 1
        matrices = layers * (5 * d**2 + d * skips) - d**2 + skips**2 + skips * self.levels
        weights = matrices + self.levels * d + layers * 2 * d + 2 * skips + self.levels
        # Float64 takes two places, and each entry of a ring is an object of its own.
        kept = 4 * weights + places * (2 * d + 100) + 2 * layers * max(self.dilations) + 2 * self.clip_length
        operations = places + self.clip_length * (4 * layers + 10)
        return Cost(weights, self.clip_length * (matrices + 10 * self.levels), operations, kept)


class WaveNetGenerator(AutoregressiveGenerator):
    """Latents (B, T) to audio (B, 1, T) in [-1, 1], by T passes through the network."""

    def __init__(self, architecture: WaveNet) -> None:
        super().__init__(architecture.latent_size)
        dim, skip_dim = architecture.dim, architecture.skip_dim
        self.levels = architecture.levels
        self.receptive_field = architecture.receptive_field
        self.table = nn.Embedding(architecture.levels, dim)
        self.layers = nn.ModuleList(
            GatedUnit(dim, skip_dim, dilation, last=number == architecture.layers)
            for number, dilation in enumerate(architecture.dilations, start=1)
        )
        self.skip_bias = nn.Parameter(torch.zeros(skip_dim))
        self.hidden = Pointwise(skip_dim, skip_dim)
        self.logits = Pointwise(skip_dim, architecture.levels)

    @torch.no_grad()
    def forward(self, z: Tensor) -> Tensor:
        return self._audio(CachedSampler(self, len(z)).run(z))

    @torch.no_grad()
    def naive(self, z: Tensor) -> Tensor:
        precise = copy.deepcopy(self).double()  # as the sampler computes
        past = self._silence(len(z)).repeat(1, self.receptive_field)
        drawn = []
        for column in z.unbind(1):
            drawn.append(draw_levels(precise.predict(past)[:, :, -1], column))
            past = torch.cat([past[:, 1:], drawn[-1][:, None]], 1)
        return self._audio(torch.stack(drawn, 1))

    def bits_per_sample(self, features: Tensor) -> Tensor:
        levels = compress(features[:, 0], self.levels)
        before = torch.cat([self._silence(len(levels)), levels[:, :-1]], 1)
        return F.cross_entropy(self.predict(before), levels, reduction="none").mean(1) / math.log(2)

    @torch.no_grad()
    def order_levels(self, draws: Draws) -> None:
        """Add to the new table a slope along the levels: what neighbours have in common need not be learnt."""
        slope = draws.uniform(self.table.weight[0].shape, 1.0)
        self.table.weight.add_(torch.linspace(-1, 1, self.levels)[:, None] * slope)

    def predict(self, levels: Tensor) -> Tensor:
        """Logits (B, levels, T) of the sample that follows each of `levels` (B, T)."""
        x = self.table(levels).transpose(1, 2)  # (B, d, T)
        skips = self.skip_bias[:, None]
        for layer in self.layers:
            x, skip = layer(x)
            skips = skips + skip  # (B, skip_dim, T)
        logits: Tensor = self.logits(F.relu(self.hidden(F.relu(skips))))
        return logits

    def _silence(self, count: int) -> Tensor:
        device = self.table.weight.device
        return compress(torch.zeros(count, 1, device=device), self.levels)

    def _audio(self, levels: Tensor) -> Tensor:
        return expand(levels, self.levels)[:, None]


class GatedUnit(nn.Module):
    """A dilated causal convolution through a gate, into the next layer and into the sum (equation 2, figure 4).

        z = tanh(f) · σ(g),  (f, g) = W₀ x[t - dilation] + W₁ x[t] + b;  x + V z goes on, U z into the sum.

    V and U go without biases: a constant in `x` is one in the next layer's b, and the sum has its own.
    """

    def __init__(self, dim: int, skip_dim: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.zeros(2, dim, 2 * dim))
        self.bias = nn.Parameter(torch.zeros(2 * dim))
        self.residual = None if last else Pointwise(dim, dim, bias=False)  # nobody hears what follows the last
        self.skip = Pointwise(dim, skip_dim, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        padded = F.pad(x, (self.dilation, 0), mode="replicate")
        gates = F.conv1d(padded, self.weight.permute(2, 1, 0), self.bias, dilation=self.dilation)
        filtered, gate = gates.chunk(2, 1)
        z = torch.tanh(filtered) * torch.sigmoid(gate)  # (B, d, T)
        return x if self.residual is None else x + self.residual(z), self.skip(z)


class Pointwise(nn.Linear):
    """A linear map of the channels of (B, channels, T)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight[:, :, None], self.bias)
