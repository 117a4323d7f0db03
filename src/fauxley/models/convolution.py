"""One convolution for everything: stride 1, "same" length, channels last, differentiable any number of times.

Every strided, transposed or upsampled convolution of these networks can be written as this one on a free view of
its input or output (`fauxley.models.layers` does that), so this is where nearly all arithmetic happens.

    y[b, l, o] = sum over t, i of  x[b, l + t - M, i] · w[t, i, o]        taps T = 2M + 1, zeros outside x

With any g of the shape of y, the number <y, g> is linear in each of x, w and g. So every derivative, of whatever
order, is one of only two kinds of product: a convolution (of x with w, or of g with the adjoint of w), and the
correlation of x with g that has the shape of w. Two autograd functions whose derivatives are each other therefore
suffice, and the gradient penalty (a derivative of a derivative) costs no more products than it needs. PyTorch's own
second derivative of a convolution takes the detour of a convolution with kernels thousands of taps long.

Which algorithm computes a product depends on its shape. Measured on CPUs (`benchmarks/convolution.py`): oneDNN's
direct convolution is best while there are many frames; with few frames and many channels one matrix product over
explicit windows is up to six times faster; weight gradients are fastest as one matrix product per tap.

Letters: B batch, L frames, I and O channels in and out, T taps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# At or below this many frames, copying out all windows costs less than it gains.
_FEW_FRAMES = 64
# A matrix product per tap needs this many input channels to be worth its call.
_MANY_CHANNELS = 16


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve `x` (B, L, I) with `weight` (T, I, O), T odd, to (B, L, O); differentiable to any order."""
    result: Tensor = _Convolution.apply(x, weight)  # type: ignore[no-untyped-call]
    return result


def input_gradients(scores: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The gradient of the sum of `scores` by each of `inputs`, itself differentiable."""
    with _without_weight_gradients():
        return torch.autograd.grad(scores.sum(), inputs, create_graph=True)


# `autograd.grad` tells a custom function which of its inputs want a gradient at all, not which are wanted this time,
# so without this switch every weight gradient would be formed here and thrown away.
_weight_gradients = True


def weight_gradients_are_wanted() -> bool:
    """False while `input_gradients` differentiates; for other functions that are derivatives of each other."""
    return _weight_gradients


@contextmanager
def _without_weight_gradients() -> Iterator[None]:
    global _weight_gradients
    _weight_gradients = False
    try:
        yield
    finally:
        _weight_gradients = True


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolution(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (grad,) = grads
        return (
            convolve(grad, _adjoint(weight)) if ctx.needs_input_grad[0] else None,
            _correlate(x, grad, weight.shape[0]) if ctx.needs_input_grad[1] and _weight_gradients else None,
        )


class _Correlation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grad: Tensor, taps: int) -> Tensor:
        ctx.save_for_backward(x, grad)
        return _correlation(x, grad, taps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, grad = ctx.saved_tensors
        (weight,) = grads  # has the shape of a weight and, by linearity, plays the part of one
        return (
            convolve(grad, _adjoint(weight)) if ctx.needs_input_grad[0] else None,
            convolve(x, weight) if ctx.needs_input_grad[1] else None,
            None,
        )


def _correlate(x: Tensor, grad: Tensor, taps: int) -> Tensor:
    """sum over b, l of x[b, l + t - M, i] · grad[b, l, o], the derivative of <y, grad> by w: (T, I, O)."""
    result: Tensor = _Correlation.apply(x, grad, taps)  # type: ignore[no-untyped-call]
    return result


def _adjoint(weight: Tensor) -> Tensor:
    """The weight (T, O, I) that carries gradients back: time reversed, channels swapped."""
    return weight.flip(0).transpose(1, 2)


def _convolution(x: Tensor, weight: Tensor) -> Tensor:
    taps, _, channels = weight.shape
    batch, frames, _ = x.shape
    if x.is_cuda or frames > _FEW_FRAMES:
        # A height of 1 lets (B, L, I) pass, without a copy, as an image with channels last.
        image = x.transpose(1, 2).unsqueeze(2)
        kernel = weight.permute(2, 1, 0).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return F.conv2d(image, kernel, padding=(0, taps // 2)).squeeze(2).transpose(1, 2)
    return (_windows(x, taps) @ weight.reshape(-1, channels)).view(batch, frames, channels)


def _correlation(x: Tensor, grad: Tensor, taps: int) -> Tensor:
    batch, frames, inputs = x.shape
    outputs = grad.shape[2]
    if frames <= _FEW_FRAMES or inputs < _MANY_CHANNELS:
        return (_windows(x, taps).t() @ grad.reshape(-1, outputs)).view(taps, inputs, outputs)
    # The padded examples laid end to end are one long signal; where g is padded with zeros, the windows that
    # straddle two examples count for nothing. So each tap is one product of two shifted views, without copies.
    signal = _pad(x, taps).view(-1, inputs)
    masked = F.pad(grad, (0, 0, 0, taps - 1)).view(-1, outputs)
    length = batch * (frames + taps - 1) - (taps - 1)
    return torch.stack([signal[tap : tap + length].t() @ masked[:length] for tap in range(taps)])


def _windows(x: Tensor, taps: int) -> Tensor:
    """All windows of T frames, one a row: (B·L, T·I)."""
    batch, frames, channels = x.shape
    padded = _pad(x, taps)
    windows = padded.as_strided((batch, frames, taps * channels), (padded.stride(0), channels, 1))
    return windows.reshape(batch * frames, -1)


def _pad(x: Tensor, taps: int) -> Tensor:
    """M zero frames on either side: (B, L + T - 1, I), contiguous."""
    return F.pad(x, (0, 0, taps // 2, taps // 2)).contiguous()
