"""The critics' leaky ReLU, whose second derivative is none."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SLOPE = 0.2
"""Below zero."""


def leaky_relu(x: Tensor) -> Tensor:
    """max(0.2 x, x).

    PyTorch's own second derivative, although zero, is a tensor of zeros, which the gradient penalty would then carry
    back through the whole critic. Here it is no tensor at all.
    """
    result: Tensor = _LeakyReLU.apply(x)  # type: ignore[no-untyped-call]
    return result


class _LeakyReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.leaky_relu(x, SLOPE)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        result: Tensor = _Slope.apply(grads[0], x)  # type: ignore[no-untyped-call]
        return result


class _Slope(torch.autograd.Function):
    """g times the slope of the leaky ReLU at x: linear in g, constant in x wherever it has a derivative."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return slopes(grad, x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        result: Tensor = _Slope.apply(grads[0], x)  # type: ignore[no-untyped-call]
        return result, None


def slopes(signal: Tensor, output: Tensor) -> Tensor:
    """A signal times the slopes of the leaky ReLU whose output, or input, which has the same sign, is given."""
    product: Tensor = torch.ops.aten.leaky_relu_backward(signal, output, SLOPE, True)
    return product
