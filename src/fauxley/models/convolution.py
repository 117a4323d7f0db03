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


def convolve(x: Tensor, weight: Tensor, by: Convolution) -> Tensor:
    """y = x * w, w prepared, differentiable to any order."""
    result: Tensor = _Convolve.apply(x, weight, by)  # type: ignore[no-untyped-call]
    return result


def transpose(y: Tensor, weight: Tensor, by: Convolution) -> Tensor:
    """The transposed convolution of y with w, prepared, differentiable to any order."""
    result: Tensor = _Transpose.apply(y, weight, by)  # type: ignore[no-untyped-call]
    return result


def _correlate(x: Tensor, y: Tensor, by: Convolution) -> Tensor:
    result: Tensor = _Correlate.apply(x, y, by)  # type: ignore[no-untyped-call]
    return result


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


Gradients = tuple[Tensor | None, Tensor | None, None]


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, by: Convolution) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.by = by
        return by.convolve(by.prepare_input(x), weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        (y,) = grads
        return (
            transpose(y, weight, ctx.by) if ctx.needs_input_grad[0] else None,
            _correlate(x, y, ctx.by) if ctx.needs_input_grad[1] and _weight_gradients else None,
            None,
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
