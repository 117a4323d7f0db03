"""The strided convolution of images and its relatives, differentiable any number of times at the least cost.

    y[b, o, m, n] = sum over i, j, k of  x[b, i, s·m + j, s·n + k] · w[o, i, j, k]

As in `fauxley.models.convolution`, <y, g> is linear in each of x, w and g; its derivatives by x, w and g are the
transposed convolution of g with w, the correlation of x with g, and the convolution itself, and derivatives of those
are again of these three kinds. Unlike audio's 25 taps of stride 4, 5 × 5 taps of stride 2 gain nothing from a polyphase
view (it would cost 1.44 times the arithmetic), so they go to PyTorch's convolutions as they are.

Letters: B batch, I and O channels in and out, H × W size, k kernel length, s stride.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.convolution import weight_gradients_are_wanted


def convolve_2d(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve `x` (B, I, H, W), H = (m - 1) s + k, with `weight` (O, I, k, k) to (B, O, m, n)."""
    result: Tensor = _Convolution.apply(x, weight, stride)  # type: ignore[no-untyped-call]
    return result


def transpose_2d(y: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Transposed convolution of `y` (B, O, m, n) with `weight` (O, I, k, k) to (B, I, (m - 1) s + k, (n - 1) s + k)."""
    result: Tensor = _Transposed.apply(y, weight, stride)  # type: ignore[no-untyped-call]
    return result


def _correlate(x: Tensor, y: Tensor, kernel_length: int, stride: int) -> Tensor:
    result: Tensor = _Correlation.apply(x, y, kernel_length, stride)  # type: ignore[no-untyped-call]
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, stride=stride)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        (grad,) = grads
        wanted = ctx.needs_input_grad[1] and weight_gradients_are_wanted()
        return (
            transpose_2d(grad, weight, ctx.stride) if ctx.needs_input_grad[0] else None,
            _correlate(x, grad, weight.shape[-1], ctx.stride) if wanted else None,
            None,
        )


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.stride = stride
        return F.conv_transpose2d(y, weight, stride=stride)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        y, weight = ctx.saved_tensors
        (grad,) = grads
        wanted = ctx.needs_input_grad[1] and weight_gradients_are_wanted()
        return (
            convolve_2d(grad, weight, ctx.stride) if ctx.needs_input_grad[0] else None,
            _correlate(grad, y, weight.shape[-1], ctx.stride) if wanted else None,
            None,
        )


class _Correlation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, kernel_length: int, stride: int) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.stride = stride
        weight = x.new_empty(1).expand(y.shape[1], x.shape[1], kernel_length, kernel_length)  # only its shape counts
        ones, zeros = [1, 1], [0, 0]
        wanted = [False, True, False]
        gradient: Tensor = torch.ops.aten.convolution_backward(
            y, x, weight, None, [stride, stride], zeros, ones, False, zeros, 1, wanted
        )[1]
        return gradient

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, y = ctx.saved_tensors
        (weight,) = grads  # has the shape of a weight and, by linearity, plays the part of one
        return (
            transpose_2d(y, weight, ctx.stride) if ctx.needs_input_grad[0] else None,
            convolve_2d(x, weight, ctx.stride) if ctx.needs_input_grad[1] else None,
            None,
            None,
        )
