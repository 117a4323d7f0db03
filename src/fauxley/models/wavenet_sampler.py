"""Cached generation from a WaveNet: O(layers) of work for a sample (Paine et al. 2016, "Fast Wavenet Generation").

A layer's other tap reaches back `dilation` samples, so each layer keeps that many of its inputs in a ring. What the old
inputs contribute is known before a sample begins, and is computed for all layers at once; what remains in the sequence
of layers is four small operations each, into memory that is reused.

A sample that falls just on the other side of a level's edge changes all that follow. Hence float64: rounding, which
differs with the size of a batch and the device, then hardly ever decides, and a latent is the same sound everywhere.

Letters: B clips, T samples, L layers, d channels, S places in all rings.
"""

import math
from itertools import accumulate
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from fauxley.audio.mu_law import compress

if TYPE_CHECKING:
    from fauxley.models.wavenet import GatedUnit, WaveNetGenerator

_BELOW_ONE = 1 - 2.0**-24


def draw_levels(logits: Tensor, z: Tensor) -> Tensor:
    """The level at which the cumulative distribution of logits (B, levels) exceeds u = (z + 1) / 2: (B,).

    With z uniform in [-1, 1], a level's chance is its softmax (inverse transform sampling). What lies outside counts
    as the nearest end.
    """
    u = ((z.double() + 1) / 2).clamp(0, _BELOW_ONE)
    cumulative = torch.softmax(logits.double(), 1).cumsum(1)
    return torch.searchsorted(cumulative, u[:, None], right=True)[:, 0].clamp(max=logits.shape[1] - 1)


class CachedSampler:
    """Draws a batch of clips, sample after sample.

    With σ(g) = (1 + tanh(g / 2)) / 2, one tanh serves filter and gate: gates' weights are halved beforehand, and so are
    those that follow the product.
    """

    def __init__(self, generator: "WaveNetGenerator", count: int) -> None:
        layers = [cast("GatedUnit", layer) for layer in generator.layers]
        dim = generator.table.embedding_dim
        like = generator.table.weight.double()
        self._table = like  # (levels, d)
        halved = torch.cat([like.new_ones(dim), like.new_full((dim,), 0.5)])
        taps = torch.stack([layer.weight for layer in layers], 1).double() * halved
        self._before, self._now = taps[0].contiguous(), taps[1].contiguous()  # (L, d, 2d)
        bias = torch.stack([layer.bias for layer in layers]).double() * halved
        self._bias = bias[:, None]  # (L, 1, 2d)
        self._residual = [each.residual.weight.double().T / 2 for each in layers if each.residual is not None]
        self._skip = torch.cat([layer.skip.weight.T for layer in layers]).double() / 2  # (L·d, skip_dim)
        self._skip_bias = generator.skip_bias.double()
        self._outputs = [(each.bias.double(), each.weight.double().T) for each in (generator.hidden, generator.logits)]
        self._level = compress(torch.zeros(count, device=like.device), generator.levels)

        self._dilations = [layer.dilation for layer in layers]
        self._starts = [0, *accumulate(self._dilations)]
        self._ring = like.new_empty(self._starts[-1], count, dim)  # (S, B, d)
        self._places = list(self._ring.unbind())
        period = torch.arange(math.lcm(*self._dilations), device=like.device)[:, None]
        dilations = torch.tensor(self._dilations, device=like.device)
        starts = torch.tensor(self._starts[:-1], device=like.device)
        self._due = list((starts + period % dilations).unbind())  # at each time, the oldest place of each ring: (L,)
        self._past = like.new_empty(len(layers), count, dim)
        self._gates = like.new_empty(len(layers), count, 2 * dim)
        self._halves = [(gates, *gates.chunk(2, 1)) for gates in self._gates]
        self._products = like.new_empty(count, len(layers) * dim)
        self._product = list(self._products.chunk(len(layers), 1))
        self._fill()

    def run(self, z: Tensor) -> Tensor:
        """Levels (B, T) drawn by latents (B, T)."""
        drawn = []
        for time, column in enumerate(z.unbind(1)):
            self._level = draw_levels(self._step(time), column)
            drawn.append(self._level)
        return torch.stack(drawn, 1)

    def _step(self, time: int) -> Tensor:
        """Logits (B, levels) of the sample after the last one drawn."""
        torch.index_select(self._ring, 0, self._due[time % len(self._due)], out=self._past)
        torch.baddbmm(self._bias, self._past, self._before, out=self._gates)
        x = torch.index_select(self._table, 0, self._level, out=self._place(0, time))
        for layer, (now, product) in enumerate(zip(self._now, self._product, strict=True)):
            self._gate(layer, x, now, product)
            if layer < len(self._residual):
                x = torch.addmm(x, product, self._residual[layer], out=self._place(layer + 1, time))
        return self._logits()

    def _gate(self, layer: int, x: Tensor, now: Tensor, product: Tensor) -> None:
        gates, filtered, gate = self._halves[layer]
        gates.addmm_(x, now).tanh_()
        torch.addcmul(filtered, filtered, gate, out=product)

    def _logits(self) -> Tensor:
        x = torch.addmm(self._skip_bias, self._products, self._skip)
        for bias, weight in self._outputs:
            x = torch.addmm(bias, x.relu_(), weight)
        return x

    def _place(self, layer: int, time: int) -> Tensor:
        """Where the layer's input at a time is kept: (B, d)."""
        return self._places[self._starts[layer] + time % self._dilations[layer]]

    def _fill(self) -> None:
        """Silence so far: every ring holds its layer's response to it."""
        x = self._table[self._level]
        for layer, (start, end) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            self._ring[start:end] = x
            torch.addmm(self._bias[layer], x, self._before[layer], out=self._gates[layer])
            self._gate(layer, x, self._now[layer], self._product[layer])
            if layer < len(self._residual):
                x = torch.addmm(x, self._product[layer], self._residual[layer])
