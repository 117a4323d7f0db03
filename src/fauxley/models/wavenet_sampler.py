"""Cached generation from a WaveNet: O(layers) of work for a sample (Paine et al. 2016, "Fast Wavenet Generation").

A layer's other tap reaches back `dilation` samples, so each layer keeps that many of its inputs in a ring. What the old
inputs contribute is known before a sample begins, and is computed for all layers at once; what remains in the sequence
of layers is four small operations each, into memory that is reused.

A sample that falls just on the other side of a level's edge changes all that follow. Hence float64: rounding, which
differs with the size of a batch and the device, then hardly ever decides, and a latent is the same sound everywhere.

Letters: B clips, T samples, L layers, d channels, S places in all rings.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from fauxley.errors import FauxleyError
from fauxley.signal.mu_law import compress

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


@dataclass(slots=True)
class _Layer:
    """One layer's weights, and views of the memory that it works in."""

    now: Tensor  # (d, 2d), of the newer tap
    residual: Tensor | None  # (d, d)
    gates: Tensor  # (B, 2d), beginning as what the older tap contributes
    filtered: Tensor  # (B, d), their first half
    gate: Tensor  # (B, d), their second half
    product: Tensor  # (B, d)
    onward: list[Tensor]  # places of the next layer's inputs, (B, d) each

    def activate(self, x: Tensor) -> None:
        """Compute the product for inputs (B, d)."""
        self.gates.addmm_(x, self.now).tanh_()
        torch.addcmul(self.filtered, self.filtered, self.gate, out=self.product)


class CachedSampler:
    """Draws a batch of clips, sample after sample.

    With σ(g) = (1 + tanh(g / 2)) / 2, one tanh serves filter and gate: gates' weights are halved beforehand, and so are
    those that follow the product.
    """

    def __init__(self, generator: "WaveNetGenerator", count: int) -> None:
        units = [cast("GatedUnit", unit) for unit in generator.layers]
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
        self._due = list((starts + times % dilations).unbind())  # by time, the oldest place of each ring: (L,)
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
        """Levels (B, T) drawn by latents (B, T).

        Raises:
            FauxleyError: the weights, finite as they are, lead to distributions that are not.
        """
        drawn, total = [], self._table.new_zeros(())
        for time, column in enumerate(z.unbind(1)):
            logits = self._step(time)
            total = total + logits.sum()
            self._level = draw_levels(logits, column)
            drawn.append(self._level)
        if not torch.isfinite(total):  # of which the drawn levels would show nothing
            raise FauxleyError("this WaveNet's distributions are not finite numbers; its weights are of no use")
        return torch.stack(drawn, 1)

    def _step(self, time: int) -> Tensor:
        """Logits (B, levels) of the sample after the last one drawn."""
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
        """Silence so far: every ring holds its layer's response to it."""
        x, ring = self._table[self._level], self._first
        for layer, before, bias in zip(self._layers, self._before, self._bias, strict=True):
            for place in ring:
                place.copy_(x)
            torch.addmm(bias, x, before, out=layer.gates)
            layer.activate(x)
            if layer.residual is not None:
                x, ring = torch.addmm(x, layer.product, layer.residual), layer.onward
