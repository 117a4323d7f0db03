"""The layers of WaveGAN: resampling convolutions with TensorFlow's padding, and batch normalisation.

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
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fauxley.kernels.convolution import convolve, folded_radius, same_padding
from fauxley.kernels.convolution_1d import choose_convolution
from fauxley.kernels.linear_map import apply_linear
from fauxley.models.piecewise_linear import Layer, LinearizableLayer
from fauxley.models.shortcut import shortcut_of


class Downsampling(LinearizableLayer):
    """Convolution of stride s with "same" padding: (B, L, in) to (B, L/s, out). s must divide L.

    The critic's layer (paper, Table 4).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(kernel_length, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))
        # y[m] = sum over j of w[j] x[s·m + j - front]; with j - front = s·d + r, tap d of phase r.
        self.front, _ = same_padding(kernel_length, stride)
        self.radius = folded_radius(kernel_length, stride, self.front)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.linearize(x)
        return convolve(layer.fold(x), layer.weight, layer.by, layer.bias)

    @shortcut_of(forward)
    def linearize(self, x: Tensor, shifts: Tensor | None = None, radius: int = 0) -> Layer:
        """This layer as part of a piecewise linear critic, for signals of the shape of `x`."""
        weight = fold_taps(self.weight, self.front, self.radius, self.stride, x.dtype).flatten(1, 2)
        by = choose_convolution(self._phases(x), *weight.shape[::2])  # weight: (T, s·in, out)
        return Layer(by, by.prepare(weight), self.bias.to(x.dtype), self._phases, shifts, radius, time=1)

    def shape_behind(self, x: Tensor) -> tuple[int, ...]:
        return len(x), x.shape[1] // self.stride, len(self.bias)

    def _phases(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), x.shape[1] // self.stride, self.stride * x.shape[2])


class Upsampling(nn.Module, ABC):
    """A convolution that makes a signal s times as long: (B, L, in) to (B, s·L, out)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int, radius: int) -> None:
        super().__init__()
        self.stride = stride
        self.radius = radius
        self.taps = 2 * radius + 1
        self.folded_channels = stride * out_channels
        self.weight = nn.Parameter(torch.empty(kernel_length, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        by = choose_convolution(x, self.taps, self.folded_channels)
        weight, bias = self.folded(x.dtype)
        return self.unfold(convolve(x, by.prepare(weight), by, bias))

    def folded(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Weight and bias (s·out,) of the equivalent convolution of stride 1."""
        return self.folded_weight(dtype), self.bias.to(dtype).repeat(self.stride)

    def unfold(self, y: Tensor) -> Tensor:
        """The signal (B, s·L, out) that the equivalent convolution's outcome (B, L, s·out) is."""
        return y.reshape(len(y), y.shape[1] * self.stride, -1)

    @abstractmethod
    def folded_weight(self, dtype: torch.dtype) -> Tensor:
        """The kernel of the equivalent convolution of stride 1: (T, in, s·out), phases slow, channels fast."""


class TransposedUpsampling(Upsampling):
    """Transposed convolution, "same": zeros between the samples, then a filter (the paper's generator, Table 3)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int) -> None:
        # y[s·i + j - front] += x[i] w[j]; the first `front` samples of the full result are dropped.
        self.front, _ = same_padding(kernel_length, stride)
        radius = folded_radius(kernel_length, stride, self.front)
        super().__init__(in_channels, out_channels, kernel_length, stride, radius)

    def folded_weight(self, dtype: torch.dtype) -> Tensor:
        # Phase r of output frame m is the sum over d of x[m - d] w[s·d + r + front]: taps in reverse order.
        return fold_taps(self.weight, self.front, self.radius, self.stride, dtype, upsampling=True).flatten(2, 3)


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

    def folded_weight(self, dtype: torch.dtype) -> Tensor:
        # Phase r reads input frame floor((r + j - front) / s) with tap j.
        phases = [
            fold_taps(self.weight, self.front - phase, self.radius, self.stride, dtype).sum(1)  # (T, in, out)
            for phase in range(self.stride)
        ]
        return torch.stack(phases, dim=2).flatten(2, 3)


def fold_taps(
    weight: Tensor, front: int, radius: int, stride: int, dtype: torch.dtype, upsampling: bool = False
) -> Tensor:
    """Split the taps of `weight` (k, in, out) into frames of one stride each: (T, s, in, out), differentiable.

    Tap j stands for the displacement j - front, from -s·M on; what has no tap is zero.

    Args:
        dtype: of the result.
        upsampling: frames in reverse order, (T, in, s, out).
    """
    # Each way in one pass over what may be tens of megabytes; padding, converting, flipping and transposing would take
    # one each.
    count, (inputs, outputs) = 2 * radius + 1, weight.shape[1:]
    shape = (count, inputs, stride, outputs) if upsampling else (count, stride, inputs, outputs)
    geometry = len(weight), front, radius, stride, upsampling
    size, precision = weight.shape, weight.dtype

    def fold(weight: Tensor) -> Tensor:
        frames = weight.new_empty(shape, dtype=dtype)
        for frame, taps, missing in _frames(frames, *geometry):
            frame.copy_(weight[taps])
            for each in missing:
                each.zero_()
        return frames

    def gather(frames: Tensor) -> Tensor:
        weight = frames.new_empty(size, dtype=precision)
        for frame, taps, _ in _frames(frames, *geometry):
            weight[taps] = frame
        return weight

    return apply_linear(weight, fold, gather)


def _frames(
    frames: Tensor, count: int, front: int, radius: int, stride: int, upsampling: bool
) -> Iterator[tuple[Tensor, slice, tuple[Tensor, Tensor]]]:
    """For each frame: the part of it that has taps (., in, out), which taps these are, and the parts that have none."""
    for number in range(2 * radius + 1):
        frame = frames[2 * radius - number].transpose(0, 1) if upsampling else frames[number]  # (s, in, out)
        start = stride * (number - radius) + front  # tap of its first phase
        first, end = (min(max(tap - start, 0), stride) for tap in (0, count))
        yield frame[first:end], slice(start + first, start + end), (frame[:first], frame[end:])


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
