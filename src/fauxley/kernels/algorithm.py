"""Building blocks of a fast convolution: an algorithm for its three products, and a plan that applies it to one shape.

A convolution y = x * w, of any stride and dimension, defines <y, g>, for any g of y's shape, which is linear in each of
x, w and g. So its value and its derivatives are three products:

    convolve   x, w → y
    transpose  y, w → x      the derivative of <y', y> by x', for y' = x' * w
    correlate  x, y → w      the derivative of <y', y> by w, for y' = x * w

An `Algorithm` computes these. `accelerate` makes a function for autograd of them, with its first derivative. Second
derivatives are needed rarely (for critics that `sweeps` cannot compute); PyTorch derives them from the plain
implementation in `functions`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Plain = Callable[[Tensor, Tensor, Tensor, int], Tensor]


class Algorithm(ABC):
    """A way to compute the three products, without derivatives.

    Each operand is first converted to the layout in which this algorithm works with it. A caller that needs an operand
    twice keeps it in that layout. `correlate` returns a weight in that layout, the others return signals.
    """

    batch_dim: int
    """The dimension of a prepared signal that is the batch."""
    channel_dim: int
    """The dimension of a signal that is the channels."""

    @abstractmethod
    def prepare(self, weight: Tensor) -> Tensor:
        """Convert w to this algorithm's layout: a linear function, differentiable."""

    @abstractmethod
    def prepare_input(self, x: Tensor) -> Tensor:
        """Convert x (B, ...) to this algorithm's layout."""

    @abstractmethod
    def prepare_output(self, y: Tensor) -> Tensor:
        """Convert y (B, ...) to this algorithm's layout."""

    @abstractmethod
    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Compute y from x and w, and add a bias (O,)."""

    @abstractmethod
    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        """Compute x from y and w."""

    @abstractmethod
    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        """Compute w from x and y."""


@dataclass(frozen=True)
class Transposed(Algorithm):
    """The transposed convolution, computed by the algorithm of a convolution with x and y exchanged."""

    algorithm: Algorithm

    @property
    def batch_dim(self) -> int:  # type: ignore[override]
        return self.algorithm.batch_dim

    @property
    def channel_dim(self) -> int:  # type: ignore[override]
        return self.algorithm.channel_dim

    def prepare(self, weight: Tensor) -> Tensor:
        return self.algorithm.prepare(weight)

    def prepare_input(self, x: Tensor) -> Tensor:
        return self.algorithm.prepare_output(x)

    def prepare_output(self, y: Tensor) -> Tensor:
        return self.algorithm.prepare_input(y)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = self.algorithm.transpose(x, weight)
        return y if bias is None else y + bias.view(-1, *[1] * (y.dim() - 1 - self.channel_dim))

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        return self.algorithm.convolve(y, weight)

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        return self.algorithm.correlate(y, x)


@dataclass(frozen=True)
class Plan:
    """How to compute a convolution for inputs of one shape.

    Args:
        algorithm: computes it.
        fold_weight: converts the layer's weight to the algorithm's, in the input's precision.
        input_shape, output_shape: of x and y as the algorithm sees them: the layer's, or those of a polyphase view.
        shape: of y as the layer returns it.
        phases: how many times the bias is repeated for the algorithm.
    """

    algorithm: Algorithm
    fold_weight: Callable[[Tensor], Tensor]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    shape: tuple[int, ...]
    phases: int = 1

    def prepare(self, weight: Tensor) -> Tensor:
        """Fold a weight and convert it to the algorithm's layout: a linear function, differentiable."""
        return self.algorithm.prepare(self.fold_weight(weight))


def accelerate(plain: Plain, plan: Plan, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Compute plain(x, weight, bias, stride) by a plan: fast up to first derivatives, differentiable to any order."""
    y: Tensor = _Accelerated.apply(  # type: ignore[no-untyped-call]
        x, plan.prepare(weight), bias.to(x.dtype), weight, plan, plain, stride
    )
    return y


class _Accelerated(torch.autograd.Function):
    """Autograd's function. First derivatives reach the weight by way of `prepared`, second ones by way of `weight`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, prepared: Tensor, bias: Tensor, weight: Tensor, plan: Plan, plain: Plain, stride: int
    ) -> Tensor:
        ctx.save_for_backward(x, prepared, bias, weight)
        ctx.plan, ctx.plain, ctx.stride = plan, plain, stride
        if plan.phases > 1:
            bias = bias.repeat(plan.phases)
        folded = plan.algorithm.prepare_input(x.reshape(plan.input_shape))
        return plan.algorithm.convolve(folded, prepared, bias).reshape(plan.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, prepared, bias, weight = ctx.saved_tensors
        if torch.is_grad_enabled():  # these derivatives will themselves be differentiated
            of_x, of_bias, of_weight = _plain_derivatives(ctx, grad, x, bias, weight)
            return of_x, None, of_bias, of_weight, None, None, None
        plan: Plan = ctx.plan
        algorithm, y = plan.algorithm, grad.reshape(plan.output_shape)
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            y = algorithm.prepare_output(y)
        if ctx.needs_input_grad[0]:
            of_x = algorithm.transpose(y, prepared).reshape(x.shape)
        if ctx.needs_input_grad[1]:
            of_weight = algorithm.correlate(algorithm.prepare_input(x.reshape(plan.input_shape)), y)
        if ctx.needs_input_grad[2]:
            of_bias = grad.sum([dim for dim in range(grad.dim()) if dim != algorithm.channel_dim])
        return of_x, of_weight, of_bias, None, None, None, None


def _plain_derivatives(ctx: Any, grad: Tensor, x: Tensor, bias: Tensor, weight: Tensor) -> list[Tensor | None]:
    """The derivatives by x, bias and weight that are needed, computed plainly, so that they are differentiable."""
    operands, needed = (x, bias, weight), [ctx.needs_input_grad[place] for place in (0, 2, 3)]
    y = ctx.plain(x, weight, bias, ctx.stride)
    wanted = [operand for operand, need in zip(operands, needed, strict=True) if need]
    found = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
    return [next(found) if need else None for need in needed]


def same_padding(kernel_length: int, stride: int) -> tuple[int, int]:
    """The zeros in front and behind by TensorFlow's rule "same".

    There are max(k - s, 0) zeros; half of them, rounded down, go in front. The number behind is negative where windows
    do not reach the end.
    """
    total = kernel_length - stride
    front = max(total, 0) // 2
    return front, total - front


def folded_radius(kernel_length: int, stride: int, front: int) -> int:
    """The radius, in strides, of a folded (polyphase) kernel whose first tap stands after `front` zeros."""
    return max(math.ceil(front / stride), (kernel_length - 1 - front) // stride)
