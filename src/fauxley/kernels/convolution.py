"""Convolutions that can be differentiated any number of times, at no more cost than their own products.

Whatever its stride and dimensions, a convolution y = x * w makes <y, g>, for any g of the shape of y, linear in each
of x, w and g. So every derivative, of whatever order, is one of three products:

    convolve   x, w → y
    transpose  y, w → x      the derivative of <y', y> by x', for y' = x' * w
    correlate  x, y → w      the derivative of <y', y> by w, for y' = x * w

Three autograd functions whose derivatives are each other therefore suffice, and the gradient penalty (a derivative of a
derivative) costs no more products than it needs. PyTorch's own second derivative of a convolution takes the detour of
a convolution with kernels as long as the signal.

How the products are computed is the business of a `Convolution`: see `convolution_1d` and `convolution_2d`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Convolution(ABC):
    """A way to compute the three products, without derivatives.

    Each operand is first brought into the form in which this algorithm works with it. Who needs an operand twice keeps
    that form. `correlate` gives a weight in its form; the other results are signals.
    """

    batch_dim: int
    """Where the examples of a prepared signal lie."""
    channel_dim: int
    """Where the channels of a signal lie."""

    @abstractmethod
    def prepare(self, weight: Tensor) -> Tensor:
        """w: a linear function, differentiable."""

    @abstractmethod
    def prepare_input(self, x: Tensor) -> Tensor:
        """x, (B, ...)."""

    @abstractmethod
    def prepare_output(self, y: Tensor) -> Tensor:
        """y, (B, ...)."""

    @abstractmethod
    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """x, w → y, plus a bias (O,)."""

    @abstractmethod
    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        """y, w → x."""

    @abstractmethod
    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        """x, y → w."""


def convolve(x: Tensor, weight: Tensor, by: Convolution, bias: Tensor | None = None) -> Tensor:
    """y = x * w, w prepared, plus a bias (O,), differentiable to any order."""
    result: Tensor = _Convolve.apply(x, weight, by, bias)  # type: ignore[no-untyped-call]
    return result


def transpose(y: Tensor, weight: Tensor, by: Convolution) -> Tensor:
    """The transposed convolution of y with w, prepared, differentiable to any order."""
    result: Tensor = _Transpose.apply(y, weight, by)  # type: ignore[no-untyped-call]
    return result


def _correlate(x: Tensor, y: Tensor, by: Convolution) -> Tensor:
    result: Tensor = _Correlate.apply(x, y, by)  # type: ignore[no-untyped-call]
    return result


def same_padding(kernel_length: int, stride: int) -> tuple[int, int]:
    """Zeros in front and behind by TensorFlow's rule "same": the smaller half in front; fewer than none behind, where
    windows do not reach the end."""
    total = kernel_length - stride
    front = max(total, 0) // 2
    return front, total - front


def folded_radius(kernel_length: int, stride: int, front: int) -> int:
    """Strides that taps reach to either side of the first one's, after `front` zeros: those of a polyphase kernel."""
    return max(math.ceil(front / stride), (kernel_length - 1 - front) // stride)


def correlate_images(
    x: Tensor, y: Tensor, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """x (B, I, H, W), y (B, O, m, n) → w (O, I, *kernel) by PyTorch's own derivative, which it does not offer alone."""
    # Of the weight itself only the shape counts.
    shape = x.new_empty(1).expand(y.shape[1], x.shape[1], *kernel)
    gradients = torch.ops.aten.convolution_backward(
        y, x, shape, None, stride, padding, [1, 1], False, [0, 0], 1, [False, True, False]
    )
    weight: Tensor = gradients[1]
    return weight


def input_gradients(scores: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The gradient of the sum of `scores` by each of `inputs`, itself differentiable."""
    with _without_weight_gradients():
        return torch.autograd.grad(scores.sum(), inputs, create_graph=True)


# `autograd.grad` tells a custom function which of its inputs want a gradient at all, not which are wanted this time,
# so without this switch every weight gradient would be formed here and thrown away.
_weight_gradients = True


@contextmanager
def _without_weight_gradients() -> Iterator[None]:
    global _weight_gradients
    _weight_gradients = False
    try:
        yield
    finally:
        _weight_gradients = True


Gradients = tuple[Tensor | None, ...]


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, by: Convolution, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.by = by
        return by.convolve(by.prepare_input(x), weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        (y,) = grads
        places = [dim for dim in range(y.dim()) if dim != ctx.by.channel_dim]
        return (
            transpose(y, weight, ctx.by) if ctx.needs_input_grad[0] else None,
            _correlate(x, y, ctx.by) if ctx.needs_input_grad[1] and _weight_gradients else None,
            None,
            y.sum(places) if ctx.needs_input_grad[3] and _weight_gradients else None,
        )


class _Transpose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Tensor, by: Convolution) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.by = by
        return by.transpose(by.prepare_output(y), weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Gradients:
        y, weight = ctx.saved_tensors
        (x,) = grads
        return (
            convolve(x, weight, ctx.by) if ctx.needs_input_grad[0] else None,
            _correlate(x, y, ctx.by) if ctx.needs_input_grad[1] and _weight_gradients else None,
            None,
        )


class _Correlate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, by: Convolution) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.by = by
        return by.correlate(by.prepare_input(x), by.prepare_output(y))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Gradients:
        x, y = ctx.saved_tensors
        (weight,) = grads
        return (
            transpose(y, weight, ctx.by) if ctx.needs_input_grad[0] else None,
            convolve(x, weight, ctx.by) if ctx.needs_input_grad[1] else None,
            None,
        )
