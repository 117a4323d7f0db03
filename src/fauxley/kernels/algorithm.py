"""What a fast convolution is made of: an algorithm for its three products, and a plan that applies it to one shape.

Whatever its stride and dimensions, a convolution y = x * w makes <y, g>, for any g of the shape of y, linear in each
of x, w and g. So its value and its derivatives are three products:

    convolve   x, w → y
    transpose  y, w → x      the derivative of <y', y> by x', for y' = x' * w
    correlate  x, y → w      the derivative of <y', y> by w, for y' = x * w

An `Algorithm` computes these. `accelerate` gives them to autograd as a function and its first derivative. A derivative
of that derivative is rare (critics that the sweeps of `sweeps` cannot compute), so it is left to PyTorch, by way of the
plain implementation in `functions`.
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

    Each operand is first brought into the form in which this algorithm works with it. Who needs an operand twice keeps
    that form. `correlate` gives a weight in its form; the other results are signals.
    """

    batch_dim: int
    """The dimension of a prepared signal that counts the examples."""
    channel_dim: int
    """The dimension of a signal that counts the channels."""

    @abstractmethod
    def prepare(self, weight: Tensor) -> Tensor:
        """Bring w into this algorithm's form: a linear function, differentiable."""

    @abstractmethod
    def prepare_input(self, x: Tensor) -> Tensor:
        """Bring x (B, ...) into this algorithm's form."""

    @abstractmethod
    def prepare_output(self, y: Tensor) -> Tensor:
        """Bring y (B, ...) into this algorithm's form."""

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
    """The transposed convolution, computed by an algorithm for the convolution: x and y change places."""

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
    """How a convolution is computed for inputs of one shape.

    Args:
        algorithm: computes it.
        fold_weight: turns the layer's weight into the algorithm's, in the precision of the input.
        input_shape, output_shape: x and y as the algorithm sees them: views of the layer's (polyphase), or the same.
        shape: of y.
        phases: how often the bias is repeated for the algorithm.
    """

    algorithm: Algorithm
    fold_weight: Callable[[Tensor], Tensor]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    shape: tuple[int, ...]
    phases: int = 1

    def prepare(self, weight: Tensor) -> Tensor:
        """Fold a weight and bring it into the algorithm's form: a linear function, differentiable."""
        return self.algorithm.prepare(self.fold_weight(weight))


def accelerate(plain: Plain, plan: Plan, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Compute plain(x, weight, bias, stride) as planned, differentiable to any order, fast to the first."""
    y: Tensor = _Accelerated.apply(  # type: ignore[no-untyped-call]
        x, plan.prepare(weight), bias.to(x.dtype), weight, plan, plain, stride
    )
    return y


class _Accelerated(torch.autograd.Function):
    """Gradients reach the weight through its prepared form; where they are differentiated again, directly."""

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
    """The derivatives by x, bias and weight, as far as they are needed, which PyTorch can differentiate again."""
    operands, needed = (x, bias, weight), [ctx.needs_input_grad[place] for place in (0, 2, 3)]
    y = ctx.plain(x, weight, bias, ctx.stride)
    wanted = [operand for operand, need in zip(operands, needed, strict=True) if need]
    found = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
    return [next(found) if need else None for need in needed]


def same_padding(kernel_length: int, stride: int) -> tuple[int, int]:
    """Zeros in front and behind by TensorFlow's rule "same".

    Of the max(k - s, 0) zeros that a stride needs, the smaller half goes in front. The number behind is negative where
    windows do not reach the end.
    """
    total = kernel_length - stride
    front = max(total, 0) // 2
    return front, total - front


def folded_radius(kernel_length: int, stride: int, front: int) -> int:
    """Strides that taps reach to either side of the first one's, after `front` zeros: those of a polyphase kernel."""
    return max(math.ceil(front / stride), (kernel_length - 1 - front) // stride)
