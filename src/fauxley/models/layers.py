"""The layers of WaveGAN: resampling convolutions with TensorFlow's padding, phase shuffle, batch normalisation.

Signals inside the networks are (B, L, C), channels last. Then the s samples of a stride lie side by side in memory,
and (B, L, C) *is* (B, L/s, s·C) without moving anything. In this polyphase view a convolution of stride s becomes
one of stride 1 with ceil-ed taps and s times the channels, and so do a transposed convolution and a convolution
after nearest-neighbour upsampling. Weights are kept in one layout, TensorFlow's (width, in, out), in which the
strided layer's polyphase kernel is a free view too, save for a few taps of zeros at the ends. They are folded on use,
and autograd sees to it that those taps stay zero.

TensorFlow's "same" padding is asymmetric: of the max(k - s, 0) zeros a stride needs, half, rounded down, go in
front. With k = 25, s = 4 that is 10 and 11, which no symmetric `padding` argument expresses.

Letters: B batch, L samples, C channels, k kernel length, s stride, M radius and T = 2M + 1 taps of the folded kernel.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.models.convolution import convolve
from fauxley.models.convolution_1d import choose_convolution
from fauxley.models.convolution_packed import KeepingModule, Kept, PackedConvolution, choose_packed


class Downsampling(nn.Module):
    """Convolution of stride s with "same" padding: (B, L, in) to (B, L/s, out). s must divide L.

    The critic's layer (paper, Table 4).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(kernel_length, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))
        # y[m] = sum over j of w[j] x[s·m + j - front]; with j - front = s·d + r, tap d of phase r.
        self.front = max(kernel_length - stride, 0) // 2
        self.radius = max(math.ceil(self.front / stride), (kernel_length - 1 - self.front) // stride)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, channels = x.shape
        phases = x.reshape(batch, length // self.stride, self.stride * channels)
        weight = _polyphase(self.weight.to(x.dtype), self.front, self.radius, self.stride).flatten(
            1, 2
        )  # (T, s·in, out)
        by = choose_convolution(phases, *weight.shape[::2])
        return convolve(phases, by.prepare(weight), by) + self.bias.to(x.dtype)


class Upsampling(KeepingModule, ABC):
    """A convolution that makes a signal s times as long: (B, L, in) to (B, s·L, out)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int, radius: int) -> None:
        super().__init__()
        self.stride = stride
        self.radius = radius
        self.weight = nn.Parameter(torch.empty(kernel_length, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        if self.training or torch.is_grad_enabled():
            by = choose_convolution(x, 2 * self.radius + 1, self.stride * len(self.bias))
            y = convolve(x, by.prepare(self.folded_weight(self.weight.to(x.dtype))), by)  # (B, L, s·out)
            return y.reshape(batch, length * self.stride, -1) + self.bias.to(x.dtype)
        return self._generate(x).reshape(batch, length * self.stride, -1)

    def _generate(self, x: Tensor) -> Tensor:
        """The phases, by weights that are kept: for a single clip, preparing them takes longer than everything else."""
        by = choose_packed(x, 2 * self.radius + 1, self.stride * len(self.bias))
        return by.convolve(x, self._keep((by, x.dtype), lambda: self._prepare(by, x.dtype)))

    def _prepare(self, by: PackedConvolution, dtype: torch.dtype) -> Kept:
        return by.prepare(self.folded_weight(self.weight.to(dtype)), self.bias.to(dtype).repeat(self.stride))

    @abstractmethod
    def folded_weight(self, weight: Tensor) -> Tensor:
        """The kernel of the equivalent convolution of stride 1: (T, in, s·out), phases slow, channels fast."""


class TransposedUpsampling(Upsampling):
    """Transposed convolution, "same": zeros between the samples, then a filter (the paper's generator, Table 3)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int) -> None:
        # y[s·i + j - front] += x[i] w[j]; the first `front` samples of the full result are dropped.
        self.front = max(kernel_length - stride, 0) // 2
        radius = max(math.ceil(self.front / stride), (kernel_length - 1 - self.front) // stride)
        super().__init__(in_channels, out_channels, kernel_length, stride, radius)

    def folded_weight(self, weight: Tensor) -> Tensor:
        # Phase r of output frame m is the sum over d of x[m - d] w[s·d + r + front]: taps in reverse order.
        phases = _polyphase(weight, self.front, self.radius, self.stride)  # (T, s, in, out)
        return phases.flip(0).transpose(1, 2).flatten(2, 3)


class NearestUpsampling(Upsampling):
    """Each sample s times over, then a convolution of stride 1, "same" (paper, Appendix A: fewer artefacts).

    Samples that are equal are added before they are multiplied, not after, which makes it s times cheaper than
    convolving the long signal: the kernel is folded by summing its taps in groups, a different grouping per phase.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int) -> None:
        self.front = (kernel_length - 1) // 2
        last = stride - 1 + kernel_length - 1 - self.front
        radius = max(math.ceil(self.front / stride), last // stride)
        super().__init__(in_channels, out_channels, kernel_length, stride, radius)

    def folded_weight(self, weight: Tensor) -> Tensor:
        # Phase r reads input frame floor((r + j - front) / s) with tap j.
        phases = [
            _polyphase(weight, self.front - phase, self.radius, self.stride).sum(1)  # (T, in, out)
            for phase in range(self.stride)
        ]
        return torch.stack(phases, dim=2).flatten(2, 3)


def _polyphase(weight: Tensor, front: int, radius: int, stride: int) -> Tensor:
    """Split the taps of `weight` (k, in, out) into frames of one stride each: (T, s, in, out).

    Tap j stands for the displacement j - front, from -s·M on; what has no tap is zero.
    """
    before = stride * radius - front
    after = stride * (2 * radius + 1) - before - len(weight)
    return F.pad(weight, (0, 0, 0, 0, before, after)).view(-1, stride, *weight.shape[1:])


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
        return F.leaky_relu(x, 0.2)

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
        product: Tensor = torch.ops.aten.leaky_relu_backward(grad, x, 0.2, False)
        return product

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        result: Tensor = _Slope.apply(grads[0], x)  # type: ignore[no-untyped-call]
        return result, None


def phase_shuffle(x: Tensor, shifts: list[int], dim: int = 1) -> Tensor:
    """Shift each example of `x` (B, ...) in time, filling the gap by reflection (paper, section 3.3).

    Args:
        shifts: samples, one per example; positive is later. Runs of equal shifts are moved as one.
        dim: which dimension is time.
    """
    pieces = []
    start = 0
    for end in range(1, len(shifts) + 1):
        if end == len(shifts) or shifts[end] != shifts[start]:
            pieces.append(_shift(x[start:end], shifts[start], dim))
            start = end
    return torch.cat(pieces) if len(pieces) > 1 else pieces[0]


def _shift(x: Tensor, shift: int, dim: int) -> Tensor:
    size, gap = x.shape[dim], abs(shift)
    # The edge sample itself is not repeated.
    if shift > 0:
        return torch.cat([x.narrow(dim, 1, gap).flip(dim), x.narrow(dim, 0, size - gap)], dim)
    if shift < 0:
        return torch.cat([x.narrow(dim, gap, size - gap), x.narrow(dim, size - 1 - gap, gap).flip(dim)], dim)
    return x


class BatchNorm(nn.Module):
    """Batch normalisation per channel of (B, L, C), with the official code's constants and update rule.

    TensorFlow 1's derivative treats the mean inside the variance as a constant. First derivatives are the same;
    those of the gradient penalty are not, and matching the official numbers needs the same choice.

    Args:
        track: keep moving statistics and use them in `eval` mode. The official critic has none.
    """

    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(self, channels: int, track: bool) -> None:
        super().__init__()
        self.track = track
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        if track:
            self.register_buffer("moving_mean", torch.zeros(channels))
            self.register_buffer("moving_variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.track and not self.training:
            mean, variance = self.moving_mean, self.moving_variance
        else:
            mean = x.mean((0, 1))
            variance = (x - mean.detach()).square().mean((0, 1))
            if self.track:
                self.moving_mean.lerp_(mean.detach(), 0.01)
                self.moving_variance.lerp_(variance.detach(), 0.01)
        return (x - mean) * (self.weight / (variance + 1e-3).sqrt()) + self.bias
