"""Scores of a piecewise linear critic, their gradients by the examples, and the derivatives of both by its weights.

With leaky ReLUs and phase shuffle between its convolutions, a critic D is linear around each example x. So its scores,
their gradients and the derivatives of both are sums of products of what four sweeps through its layers find. In a sweep
every layer computes one product for the whole batch:

    forward   h ← S σ(A h + b)       from x;  at the end D(x) = <r, h> + o
    back      δ ← σ' Sᵀ δ, Aᵀ δ      from r;  at the end the gradient g = ∂D/∂x
    along     u ← S σ' A u           from v, a direction;  at the end <v, g> = <r, u>
    weights   ∂/∂A = (c h + u) δᵀ    of c D(x) + <v, g>, with h and u those before the layer

A is a layer's convolution, b its bias, σ the leaky ReLU, σ' its slopes at this example, S the shuffle, r and o the
readout. A loss of scores and gradients, such as one with a gradient penalty (paper, section 2.1), appears here only by
its derivatives: c, by the score, and v, by the gradient. Automatic differentiation, applied twice to the critic's
definition, finds the same (tests compare), but with three products for one larger one here, more copies, and second
derivatives that are zero.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from fauxley.kernels.algorithm import Algorithm, Plan
from fauxley.kernels.functions import SLOPE, Convolution, convolve_down, convolve_images
from fauxley.kernels.shifting import shift, shift_transposed
from fauxley.kernels.torch_private import leaky_relu_slopes

SWEPT = convolve_down, convolve_images
"""The convolutions that a stage may have."""


@dataclass(frozen=True)
class Stage:
    """A convolution, its bias, a leaky ReLU, and possibly phase shuffle.

    Args:
        convolution: one of SWEPT.
        weight, bias, stride: of the convolution.
        shifts: of phase shuffle, (B,); None for no shuffle.
        radius: the largest possible shift.
        time_dim: the dimension of a signal along which it is shifted.
    """

    convolution: Convolution
    weight: Tensor
    bias: Tensor
    stride: int
    shifts: Tensor | None
    radius: int
    time_dim: int


def sweep(
    x: Tensor, stages: Sequence[Stage], readout: Tensor, offset: Tensor, differentiated: int
) -> tuple[Tensor, Tensor]:
    """Score examples, and differentiate the scores of the last `differentiated` examples by these examples.

    Args:
        x: the examples (B, ...), in the precision in which to compute.
        stages: the critic.
        readout: r, weights for the n numbers of the last signal, time slowest and channels fastest: (1, n) for all
            examples, or (B, n) for each its own. Scores have the precision of r.
        offset: o, (1,) or (B,).

    Returns:
        Scores (B,) and gradients (differentiated, ...). Both can be differentiated once by the weights and readouts,
        and the scores by the examples, too.
    """
    plans, weights, shape = [], [], x
    for stage in stages:
        plan = stage.convolution.plan(shape, stage.weight, stage.stride)
        plans.append(plan)
        weights += [plan.prepare(stage.weight), stage.bias.to(x.dtype)]
        shape = x.new_empty(1).expand(plan.shape)  # a shape without storage
    rows = shape.transpose(1, stages[-1].time_dim)
    readout = readout.view(len(readout), *rows.shape[1:]).transpose(1, stages[-1].time_dim)
    result: tuple[Tensor, Tensor] = _Sweep.apply(  # type: ignore[no-untyped-call]
        x, stages, plans, differentiated, readout, offset, *weights
    )
    return result


class _Sweep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        stages: Sequence[Stage],
        plans: Sequence[Plan],
        differentiated: int,
        readout: Tensor,
        offset: Tensor,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(True)
        layers = [
            _Layer(plan.algorithm, plan, weight.detach(), bias.detach(), stage)
            for plan, stage, weight, bias in zip(plans, stages, weights[::2], weights[1::2], strict=True)
        ]
        ctx.sweeps = sweeps = _Sweeps(x, layers, readout, differentiated)
        ctx.offset_shape = offset.shape
        if not differentiated:
            return sweeps.scores + offset, readout.new_empty(0, *x.shape[1:])
        # The factors of the examples that are only scored depend on the loss: `multiply_scored` multiplies them in.
        sweeps.sweep_back(torch.ones_like(sweeps.scores))
        return sweeps.scores + offset, sweeps.gradients(sweeps.scored).to(readout.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        by_score, by_gradient = grads
        sweeps, ctx.sweeps = ctx.sweeps, None
        if sweeps.differentiated:
            sweeps.multiply_scored(by_score)
        else:
            sweeps.sweep_back(by_score)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = sweeps.gradients(0)
            of_x[sweeps.scored :] *= _factors(by_score[sweeps.scored :], of_x, 0)
        if not any(ctx.needs_input_grad[4:]):
            return of_x, *[None] * (len(ctx.needs_input_grad) - 1)
        of_readout, *of_layers = sweeps.weight_gradients(by_score, by_gradient)
        return of_x, None, None, None, of_readout, by_score.sum_to_size(ctx.offset_shape), *of_layers


@dataclass(frozen=True)
class _Layer:
    """A stage with its plan and its prepared weight and bias."""

    algorithm: Algorithm
    plan: Plan
    weight: Tensor
    bias: Tensor
    stage: Stage

    def prepare_input(self, x: Tensor) -> Tensor:
        return self.algorithm.prepare_input(x.reshape(len(x), *self.plan.input_shape[1:]))

    def shuffle(self, signal: Tensor, first: int = 0) -> Tensor:
        """Shuffle the signal of the examples from `first` on."""
        if self.stage.shifts is None:
            return signal
        return shift(signal, self.stage.shifts[first:], self.stage.radius, self.stage.time_dim)

    def shuffle_back(self, signal: Tensor) -> Tensor:
        if self.stage.shifts is None:
            return signal
        return shift_transposed(signal, self.stage.shifts, self.stage.radius, self.stage.time_dim)


class _Sweeps:
    """A batch on its way through the layers, with what later sweeps need of earlier ones.

    The first `scored` examples contribute only scores to the loss, the others gradients, too.
    """

    def __init__(self, x: Tensor, layers: Sequence[_Layer], readout: Tensor, differentiated: int) -> None:
        self.differentiated, self.scored = differentiated, len(x) - differentiated
        self._layers, self._readout = layers, readout
        self._inputs, self._outputs = [], []  # h before each layer, prepared; σ(A h + b)
        self._shape = x.shape
        if differentiated:  # `weight_gradients` writes into the prepared inputs, which must not be the caller's
            x = x.clone()
        for layer in layers:
            self._inputs.append(layer.prepare_input(x))
            h = F.leaky_relu_(layer.algorithm.convolve(self._inputs[-1], layer.weight, layer.bias), SLOPE)
            self._outputs.append(h)
            x = layer.shuffle(h)
        self._last = x
        # Multiplied and summed, not a matrix product: scores are small differences of large sums.
        self.scores = (x * readout).flatten(1).sum(1)

    def sweep_back(self, factors: Tensor) -> None:
        """Sweep back from the readout, multiplied by a factor for each example (B,)."""
        signal = _factors(factors, self._last, 0) * self._readout.to(self._last.dtype)
        self._deltas: list[Tensor] = [signal] * len(self._layers)  # prepared
        self._of_bias: list[Tensor] = [signal] * len(self._layers)  # gradients of the bias by example: (B, O)
        for number in reversed(range(len(self._layers))):
            layer, h = self._layers[number], self._outputs[number]
            delta = leaky_relu_slopes(layer.shuffle_back(signal), h, SLOPE)
            places = [dim for dim in range(1, h.dim()) if dim != layer.algorithm.channel_dim]
            self._of_bias[number] = delta.sum(places).to(self._readout.dtype)
            self._deltas[number] = layer.algorithm.prepare_output(delta)
            if number:
                below = self._outputs[number - 1]
                signal = layer.algorithm.transpose(self._deltas[number], layer.weight).reshape(below.shape)

    def gradients(self, first: int) -> Tensor:
        """The gradients by the examples from `first` on: (., ...)."""
        layer = self._layers[0]
        delta = self._deltas[0].narrow(layer.algorithm.batch_dim, first, self._shape[0] - first)
        return layer.algorithm.transpose(delta, layer.weight).reshape(-1, *self._shape[1:])

    def multiply_scored(self, by_score: Tensor) -> None:
        """Multiply the factors of the examples that are only scored into what `sweep_back` found."""
        for layer, delta in zip(self._layers, self._deltas, strict=True):
            part = delta.narrow(layer.algorithm.batch_dim, 0, self.scored)
            part *= _factors(by_score[: self.scored], part, layer.algorithm.batch_dim)
        for sums in self._of_bias:
            sums *= by_score[:, None]

    def weight_gradients(self, by_score: Tensor, direction: Tensor) -> Iterator[Tensor]:
        """The derivatives by r and by each layer's weight and bias; sweeps along `direction` (differentiated, ...)."""
        factors = by_score[self.scored :]
        found = []
        u = direction.to(self._last.dtype)
        for number, layer in enumerate(self._layers):
            algorithm, x = layer.algorithm, self._inputs[number]
            if self.differentiated:
                ahead = layer.prepare_input(u)
                part = x.narrow(algorithm.batch_dim, self.scored, self.differentiated)
                torch.addcmul(ahead, part, _factors(factors, part, algorithm.batch_dim), out=part)  # c h + u
                h = self._outputs[number][self.scored :]
                u = layer.shuffle(leaky_relu_slopes(algorithm.convolve(ahead, layer.weight), h, SLOPE), self.scored)
            found += [algorithm.correlate(x, self._deltas[number]), self._of_bias[number].sum(0)]
        of_readout = _factors(by_score, self._readout.expand_as(self._last), 0) * self._last
        if self.differentiated:
            of_readout[self.scored :] += u
        yield of_readout.sum_to_size(self._readout.shape)
        yield from found


def _factors(values: Tensor, signal: Tensor, batch_dim: int) -> Tensor:
    """A value for each example, shaped to multiply a signal, in its precision: mixed precisions are slow."""
    shape = [1] * signal.dim()
    shape[batch_dim] = -1
    return values.to(signal.dtype).view(shape)
