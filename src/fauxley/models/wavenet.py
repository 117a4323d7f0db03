"""WaveNet: draws one sample after another, each from a distribution given those before (van den Oord et al. 2016).

It is the baseline that the paper's models are compared with. It is trained by likelihood, without a critic and on all
samples in parallel, but generating takes as many steps as a clip has samples. With d = 32 and 20 layers in two cycles:

    levels of the samples before    (B, T)            μ-law, 8 bits (section 2.2)
    table                           (B, 32, T)        a causal convolution of one-hot vectors
    20 × gated unit                 (B, 32, T)        2 taps, 1, 2, 4 ... 512 samples apart (sections 2.1, 2.3)
    sum of their skip outputs       (B, 64, T)        (section 2.4)
    ReLU, 1 × 1, ReLU, 1 × 1        (B, 256, T)       logits of each sample's level

Silence precedes every clip. A layer's response to silence is constant in time, so convolutions are padded by repeating
the first position, whose input is silence.

Generation is cached, so that a sample takes O(layers) of work (Paine et al. 2016, "Fast Wavenet Generation"). A layer's
older tap reaches back `dilation` samples, so each layer keeps that many of its inputs in a ring buffer. The
contributions of the older taps are known before a sample is begun and are computed for all layers at once; each layer
then needs only four small operations, which write to memory that is reused.

Sampling computes in float64. A rounding error, which depends on the batch size and the device, can move a draw across
the edge between two levels and so change all later samples. In float64 that hardly ever happens, and a latent gives the
same sound everywhere.

Letters: B clips, T samples, L layers, d channels, S places in all rings.
"""

import copy
import math
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.errors import FauxleyError, UsageError
from fauxley.models.architecture import AutoregressiveArchitecture, require_at_least, require_at_most
from fauxley.models.cost import Cost
from fauxley.models.draws import Draws
from fauxley.models.network import AutoregressiveGenerator, initialize
from fauxley.models.representations import Waveform
from fauxley.signal.mu_law import compress, expand

_BELOW_ONE = 1 - 2.0**-24
_LEAST = {"clip_length": 256, "dim": 1, "skip_dim": 1, "layers": 1, "cycle": 1, "levels": 2}
_MOST = {"clip_length": 2**20, "layers": 512, "cycle": 14, "levels": 2**16}  # so that a stranger's model cannot stall


@dataclass(frozen=True)
class WaveNet(AutoregressiveArchitecture):
    """Sizes of a WaveNet. Defaults are about the paper's: a receptive field of a quarter of a second at 16 kHz."""

    clip_length: int = 16384
    """Samples in a clip, from 256 to 1048576."""
    channels: int = 1
    """Audio channels: 1."""
    dim: int = 64
    """Model size d: channels between the layers."""
    skip_dim: int = 256
    """Channels of the skip connections' sum, from which the distribution is computed."""
    layers: int = 40
    """Dilated convolutions."""
    cycle: int = 10
    """Layers in a cycle: each layer doubles the distance between taps, and every cycle starts again at 1."""
    levels: int = 256
    """Quantisation levels of a sample, spaced by the μ-law."""

    def __post_init__(self) -> None:
        require_at_least(self, _LEAST)
        if self.channels != 1:
            raise UsageError(f"channels must be 1: a WaveNet makes mono sounds; got {self.channels}")
        require_at_most(self, _MOST)

    @property
    def latent_size(self) -> int:
        """The latent has one number for each sample, by which the sample is drawn from its distribution."""
        return self.clip_length

    @property
    def dilations(self) -> tuple[int, ...]:
        """Samples between the taps of each layer."""
        return tuple(2 ** (layer % self.cycle) for layer in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """The number of earlier samples that a sample depends on."""
        return 1 + sum(self.dilations)

    def representation(self) -> Waveform:
        return Waveform()

    def generator(self, draws: Draws | None = None) -> "WaveNetGenerator":
        generator = initialize(WaveNetGenerator(self), draws)
        if draws is not None:
            generator.order_levels(draws)
        return generator

    def generator_cost(self) -> Cost:
        """The cost of drawing all samples in sequence. Scoring a clip in parallel takes as many multiplications."""
        d, skips, layers, places = self.dim, self.skip_dim, self.layers, self.receptive_field - 1
        matrices = layers * (5 * d**2 + d * skips) - d**2 + skips**2 + skips * self.levels
        weights = matrices + self.levels * d + layers * 2 * d + 2 * skips + self.levels
        # A float64 counts as two numbers, and each entry of a ring buffer is a Python object.
        kept = 4 * weights + places * (2 * d + 100) + 2 * layers * max(self.dilations) + 2 * self.clip_length
        operations = places + self.clip_length * (4 * layers + 10)
        return Cost(weights, self.clip_length * (matrices + 10 * self.levels), operations, kept)

    def training_cost(self) -> Cost:
        signals = self.layers * self.dim + self.skip_dim + self.levels  # of a sample
        return replace(self.generator_cost(), operations=self.layers, numbers=signals * self.clip_length)


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
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
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
        """Add a slope along the levels to the new table, so that neighbouring levels start with similar embeddings."""
        slope = draws.uniform(self.table.weight[0].shape, 1.0)
        self.table.weight.add_(torch.linspace(-1, 1, self.levels)[:, None] * slope)

    def predict(self, levels: Tensor) -> Tensor:
        """The logits (B, levels, T) of the sample after each of `levels` (B, T)."""
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
    """A gated dilated causal convolution with a residual and a skip output (equation 2, figure 4).

        z = tanh(f) · σ(g),  (f, g) = W₀ x[t - dilation] + W₁ x[t] + b;  next layer's input: x + V z;  skip output: U z

    V and U have no biases: the next layer's b and the bias of the sum of skip outputs serve for them.
    """

    def __init__(self, dim: int, skip_dim: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.zeros(2, dim, 2 * dim))
        self.bias = nn.Parameter(torch.zeros(2 * dim))
        self.residual = None if last else Pointwise(dim, dim, bias=False)  # nothing follows the last layer
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


def draw_levels(logits: Tensor, z: Tensor) -> Tensor:
    """Draw levels (B,) from the distributions of logits (B, levels), by inverse transform sampling.

    A level is the first at which the cumulative distribution exceeds u = (z + 1) / 2. With z uniform in [-1, 1], each
    level has the probability that softmax gives it. z outside of [-1, 1] is clamped.
    """
    u = ((z.double() + 1) / 2).clamp(0, _BELOW_ONE)
    cumulative = torch.softmax(logits.double(), 1).cumsum(1)
    return torch.searchsorted(cumulative, u[:, None], right=True)[:, 0].clamp(max=logits.shape[1] - 1)


@dataclass(slots=True)
class _Layer:
    """One layer's weights, and views of the memory that it writes to."""

    now: Tensor  # (d, 2d), of the newer tap
    residual: Tensor | None  # (d, d)
    gates: Tensor  # (B, 2d), initially the older tap's contribution
    filtered: Tensor  # (B, d), their first half
    gate: Tensor  # (B, d), their second half
    product: Tensor  # (B, d)
    onward: list[Tensor]  # the next layer's ring buffer, (B, d) each

    def activate(self, x: Tensor) -> None:
        """Compute `product` from inputs (B, d)."""
        self.gates.addmm_(x, self.now).tanh_()
        torch.addcmul(self.filtered, self.filtered, self.gate, out=self.product)


class CachedSampler:
    """Draws a batch of clips, sample after sample.

    Since σ(g) = (1 + tanh(g / 2)) / 2, one tanh serves filter and gate: the gates' weights are halved beforehand, and
    so are the weights that the product is multiplied with.
    """

    def __init__(self, generator: WaveNetGenerator, count: int) -> None:
        units = [cast(GatedUnit, unit) for unit in generator.layers]
        table = generator.table.weight.double()  # (levels, d)
        dim, device = table.shape[1], table.device
        halved = torch.cat([table.new_ones(dim), table.new_full((dim,), 0.5)])
        taps = torch.stack([unit.weight for unit in units], 1).double() * halved  # (2, L, d, 2d)
        self._table = table
        self._before = taps[0].contiguous()  # (L, d, 2d), of the older tap
        self._bias = (torch.stack([unit.bias for unit in units]).double() * halved)[:, None]  # (L, 1, 2d)
        self._skip = torch.cat([unit.skip.weight.T for unit in units]).double() / 2  # (L·d, skip_dim)
        self._skip_bias = generator.skip_bias.double()
        self._outputs = [(each.bias.double(), each.weight.double().T) for each in (generator.hidden, generator.logits)]

        dilations = torch.tensor([unit.dilation for unit in units], device=device)
        starts = dilations.cumsum(0) - dilations
        times = torch.arange(math.lcm(*dilations.tolist()), device=device)[:, None]
        self._due = list((starts + times % dilations).unbind())  # at each time, the oldest place in each ring: (L,)
        rings = table.new_empty(int(dilations.sum()), count, dim)
        self._rings = rings  # (S, B, d)
        self._past = table.new_empty(len(units), count, dim)
        self._gates = table.new_empty(len(units), count, 2 * dim)
        self._products = table.new_empty(count, len(units) * dim)
        places = [list(ring.unbind()) for ring in torch.split(rings, dilations.tolist())]
        self._first = places[0]
        self._layers = [
            _Layer(
                now,
                None if unit.residual is None else unit.residual.weight.double().T.contiguous() / 2,
                gates,
                gates[:, :dim],
                gates[:, dim:],
                product,
                onward,
            )
            for unit, now, gates, product, onward in zip(
                units, taps[1], self._gates, torch.split(self._products, dim, 1), [*places[1:], []], strict=True
            )
        ]
        self._level = compress(torch.zeros(count, device=device), generator.levels)
        self._fill()

    def run(self, z: Tensor) -> Tensor:
        """Draw levels (B, T) by latents (B, T).

        Raises:
            FauxleyError: logits are not finite, although the weights are.
        """
        drawn, total = [], self._table.new_zeros(())
        for time, column in enumerate(z.unbind(1)):
            logits = self._step(time)
            total = total + logits.sum()
            self._level = draw_levels(logits, column)
            drawn.append(self._level)
        if not torch.isfinite(total):  # the drawn levels would not show it
            raise FauxleyError("this WaveNet's distributions are not finite numbers; its weights are of no use")
        return torch.stack(drawn, 1)

    def _step(self, time: int) -> Tensor:
        """The logits (B, levels) of the sample after the last one drawn."""
        torch.index_select(self._rings, 0, self._due[time % len(self._due)], out=self._past)
        torch.baddbmm(self._bias, self._past, self._before, out=self._gates)
        x = torch.index_select(self._table, 0, self._level, out=self._first[time % len(self._first)])
        for layer in self._layers:
            layer.activate(x)
            if layer.residual is not None:
                place = layer.onward[time % len(layer.onward)]
                x = torch.addmm(x, layer.product, layer.residual, out=place)
        return self._logits()

    def _logits(self) -> Tensor:
        x = torch.addmm(self._skip_bias, self._products, self._skip)
        for bias, weight in self._outputs:
            x = torch.addmm(bias, x.relu_(), weight)
        return x

    def _fill(self) -> None:
        """Fill every ring with its layer's response to silence."""
        x, ring = self._table[self._level], self._first
        for layer, before, bias in zip(self._layers, self._before, self._bias, strict=True):
            for place in ring:
                place.copy_(x)
            torch.addmm(bias, x, before, out=layer.gates)
            layer.activate(x)
            if layer.residual is not None:
                x, ring = torch.addmm(x, layer.product, layer.residual), layer.onward
