"""Scores of a piecewise linear critic, their gradients by the examples, and the derivatives of both by its weights.

With leaky ReLUs and phase shuffle between its convolutions, a critic D is linear around each example x: wherever it has
derivatives, they are sums of products of what four sweeps through the layers find, each of which makes every layer do
one product for the whole batch.

    forward   h ← S σ(A h + b)       from x;  D(x) = <r, h> + o at the end
    back      δ ← σ' Sᵀ δ, Aᵀ δ      from r;  the gradient g = ∂D/∂x at the end
    along     u ← S σ' A u           from v, a direction: <v, g> = <r, u> at the end
    weights   ∂/∂A = (c h + u) δᵀ    of c D(x) + <v, g>, with h and u those before the layer

A a layer's convolution, b its bias, σ the leaky ReLU, σ' its slopes at this example, S the shuffle, r and o the dense
layer at the end. A loss of scores and gradients, such as one with a gradient penalty (paper, section 2.1), is known
here by its own derivatives c, by the score, and v, by the gradient. This is what automatic differentiation, twice,
would come to (`forward` is the definition, and tests compare), but with one large product where it makes three,
fewer copies, and no second derivatives that are zero.

The sweeps do not call `forward`. So they are taken only while it is the one that they were written for: where someone
has overridden the critic's or a layer's, replaced a layer or hung hooks on one, automatic differentiation of what
`forward` does takes over.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fauxley.kernels.convolution import Convolution
from fauxley.kernels.leaky_relu import SLOPE, slopes
from fauxley.kernels.phase_shuffle import phase_shuffle, phase_shuffle_transposed
from fauxley.models.architecture import Critic
from fauxley.models.shortcut import is_open, runs


@dataclass(frozen=True)
class Layer:
    """A convolution, its bias, leaky ReLU, and perhaps phase shuffle.

    Args:
        by: the algorithm.
        weight: A, prepared for it.
        bias: b, (O,).
        fold: what the convolution's input is as a view of the signal before: polyphase, or nothing.
        shifts: of phase shuffle, (B,), up to `radius` either way.
        time: which dimension of the signals it is.
    """

    by: Convolution
    weight: Tensor
    bias: Tensor
    fold: Callable[[Tensor], Tensor]
    shifts: Tensor | None
    radius: int
    time: int


class LinearizableLayer(nn.Module, ABC):
    """A layer of a critic with a shortcut of its `forward`: `linearize`."""

    @abstractmethod
    def linearize(self, x: Tensor, shifts: Tensor | None, radius: int) -> Layer:
        """This layer as part of a piecewise linear critic, for signals of the shape of `x`."""

    @abstractmethod
    def shape_behind(self, x: Tensor) -> tuple[int, ...]:
        """The shape of the signal that this layer makes of x."""


@dataclass(frozen=True)
class Pieces:
    """A critic around a batch of examples.

    Args:
        x: the examples, in the precision in which to compute.
        layers: for signals of its shape.
        readout: r, in the shape of one example's last signal; its precision is that of the scores.
        offset: o, (1,).
    """

    x: Tensor
    layers: Sequence[Layer]
    readout: Tensor
    offset: Tensor

    def score(self, sloped: int) -> tuple[Tensor, Tensor]:
        """Scores (B,), and their gradients by the last `sloped` of x; differentiable once."""
        tensors = [tensor for layer in self.layers for tensor in (layer.weight, layer.bias)]
        result: tuple[Tensor, Tensor] = _Score.apply(  # type: ignore[no-untyped-call]
            self.x, self.layers, sloped, self.readout, self.offset, *tensors
        )
        return result


class Readout(nn.Linear):
    """A dense layer from signals (B, in) to scores (B,).

    It sums in pairs, not as a matrix product, for scores are small differences of large sums.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum(1) + self.bias


class PiecewiseLinearCritic(Critic):
    """A critic that is piecewise linear unless it has batch normalisation.

    Attributes:
        layers: its convolutions, each followed by a leaky ReLU.
        norms: what stands between a convolution and its leaky ReLU; nothing (`nn.Identity`) in a piecewise linear one.
        dense: reads the score out.
    """

    layers: nn.ModuleList
    norms: nn.ModuleList
    dense: Readout

    @abstractmethod
    def pieces(self, features: Tensor, shifts: Tensor) -> Pieces:
        """A shortcut of `forward`: what it is made of."""

    @abstractmethod
    def as_features(self, signals: Tensor) -> Tensor:
        """Signals in the layout of the first layer's input as features."""

    def linearize(self, x: Tensor, shifts: Tensor) -> list[Layer]:
        """Layers for the signals that become of x, (layers, B) shifts behind the first of them."""
        signal, found = x, []
        layers = cast(Iterable[LinearizableLayer], self.layers)
        for layer, shift in zip(layers, chain(shifts, repeat(None)), strict=False):
            found.append(layer.linearize(signal, shift, self.shuffle_radius))
            signal = x.new_empty(1).expand(layer.shape_behind(signal))  # no numbers, but its shape
        return found

    @property
    def is_swept(self) -> bool:
        """Whether the sweeps compute what `forward` does: the critic is as it was defined, and piecewise linear."""
        return (
            is_open(self, self.pieces)
            and all(isinstance(layer, LinearizableLayer) and is_open(layer, layer.linearize) for layer in self.layers)
            and all(runs(norm, nn.Identity.forward) for norm in self.norms)
            and runs(self.dense, Readout.forward)
        )

    def differentiate(self, features: Tensor, shifts: Tensor, sloped: int) -> tuple[Tensor, Tensor]:
        if not self.is_swept:
            return super().differentiate(features, shifts, sloped)
        scores, gradients = self.pieces(features, shifts).score(sloped)
        return scores, self.as_features(gradients)


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, layers: Sequence[Layer], sloped: int, readout: Tensor, offset: Tensor, *_: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(True)
        ctx.sweeps = sweeps = _Sweeps(x, layers, readout, sloped)
        if not sloped:
            return sweeps.scores + offset, readout.new_empty(0, *x.shape[1:])
        # The others' seeds are known only once the loss is: they are multiplied in later.
        sweeps.back(torch.ones_like(sweeps.scores))
        return sweeps.scores + offset, sweeps.gradients(sweeps.plain).to(readout.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        by_score, by_gradient = grads
        sweeps, ctx.sweeps = ctx.sweeps, None
        if sweeps.sloped:
            sweeps.weigh(by_score)
        else:
            sweeps.back(by_score)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = sweeps.gradients(0)
            of_x[sweeps.plain :] *= _rows(by_score[sweeps.plain :], of_x, 0)
        if not any(ctx.needs_input_grad[3:]):
            return of_x, *[None] * (len(ctx.needs_input_grad) - 1)
        of_readout, *of_layers = sweeps.weights(by_score, by_gradient)
        return of_x, None, None, of_readout, by_score.sum().view(1), *of_layers


class _Sweeps:
    """A batch on its way through the layers, with what the later sweeps need of the earlier.

    The first `plain` examples count by their scores alone, the others by their gradients, too.
    """

    def __init__(self, x: Tensor, layers: Sequence[Layer], readout: Tensor, sloped: int) -> None:
        self.sloped, self.plain = sloped, len(x) - sloped
        self._layers, self._readout = layers, readout
        self._inputs, self._outputs = [], []  # h before each layer, prepared; σ(A h + b)
        self._shape = x.shape
        if sloped:  # `weights` writes into the prepared inputs; the examples are not ours
            x = x.clone()
        for layer in layers:
            self._inputs.append(layer.by.prepare_input(layer.fold(x)))
            h = F.leaky_relu_(layer.by.convolve(self._inputs[-1], layer.weight, layer.bias), SLOPE)
            self._outputs.append(h)
            x = h if layer.shifts is None else phase_shuffle(h, layer.shifts, layer.radius, layer.time)
        self._last = x
        # Summed in pairs, not as a matrix product: scores are small differences of large sums.
        self.scores = (x * readout).flatten(1).sum(1)

    def back(self, seeds: Tensor) -> None:
        """From seeds (B,), factors of each example's gradient."""
        signal = _rows(seeds, self._last, 0) * self._readout.to(self._last.dtype)
        self._deltas: list[Tensor] = [signal] * len(self._layers)  # prepared
        self._of_bias: list[Tensor] = [signal] * len(self._layers)  # per example: (B, O)
        for number in reversed(range(len(self._layers))):
            layer, h = self._layers[number], self._outputs[number]
            if layer.shifts is not None:
                signal = phase_shuffle_transposed(signal, layer.shifts, layer.radius, layer.time)
            delta = slopes(signal, h)
            places = [dim for dim in range(1, h.dim()) if dim != layer.by.channel_dim]
            self._of_bias[number] = delta.sum(places).to(self._readout.dtype)
            self._deltas[number] = layer.by.prepare_output(delta)
            if number:
                below = self._outputs[number - 1]
                signal = layer.by.transpose(self._deltas[number], layer.weight).reshape(below.shape)

    def gradients(self, first: int) -> Tensor:
        """By the examples from `first` on: (., ...)."""
        layer = self._layers[0]
        delta = self._deltas[0].narrow(layer.by.batch_dim, first, self._shape[0] - first)
        return layer.by.transpose(delta, layer.weight).reshape(-1, *self._shape[1:])

    def weigh(self, by_score: Tensor) -> None:
        """Multiply the seeds of the plain examples in."""
        for layer, delta in zip(self._layers, self._deltas, strict=True):
            part = delta.narrow(layer.by.batch_dim, 0, self.plain)
            part *= _rows(by_score[: self.plain], part, layer.by.batch_dim)
        for sums in self._of_bias:
            sums *= by_score[:, None]

    def weights(self, by_score: Tensor, direction: Tensor) -> list[Tensor]:
        """Derivatives by r, and by weight and bias of each layer, by way of `direction` (sloped, ...)."""
        seeds = by_score[self.plain :]
        found = []
        u = direction.to(self._last.dtype)
        for number, layer in enumerate(self._layers):
            x = self._inputs[number]
            if self.sloped:
                ahead = layer.by.prepare_input(layer.fold(u))
                part = x.narrow(layer.by.batch_dim, self.plain, self.sloped)
                torch.addcmul(ahead, part, _rows(seeds, part, layer.by.batch_dim), out=part)  # c h + u
                h = self._outputs[number][self.plain :]
                u = slopes(layer.by.convolve(ahead, layer.weight), h)
                if layer.shifts is not None:
                    u = phase_shuffle(u, layer.shifts[self.plain :], layer.radius, layer.time)
            found += [layer.by.correlate(x, self._deltas[number]), self._of_bias[number].sum(0)]
        of_readout = (_rows(by_score, self._readout.expand_as(self._last), 0) * self._last).sum(0)
        return [of_readout + u.sum(0, dtype=self._readout.dtype) if self.sloped else of_readout, *found]


def _rows(values: Tensor, signal: Tensor, batch_dim: int) -> Tensor:
    """A value for each example, as a factor of a signal, in its precision: mixed ones are slow."""
    shape = [1] * signal.dim()
    shape[batch_dim] = -1
    return values.to(signal.dtype).view(shape)
