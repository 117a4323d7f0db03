"""Algorithms for the strided convolutions of images.

    y[b, o, m, n] = sum over i, j, k of  x[b, i, s·m + j - front, s·n + k - front] · w[o, i, j, k]

A polyphase view gains nothing for 5 × 5 taps of stride 2 (it would cost 1.44 times the arithmetic), so these go to
PyTorch's convolutions as they are, which run near the peak of a CPU. There are two exceptions. At the ends of both
networks images have hardly any channels, and most of a vector register would be empty; there a polyphase view pays. In
the deepest layers there are many weights for few pixels, and one matrix product reads them best.

Letters: B batch, I and O channels in and out, k kernel length, s stride.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.kernels.algorithm import Algorithm, Plan, Transposed, folded_radius, same_padding
from fauxley.kernels.torch_private import correlate_images

# Found by measuring on a CPU.
_FEW_CHANNELS = 4  # of x
_MANY_WEIGHTS = 2**15  # for each pixel of an example's y


def plan_2d(x: Tensor, weight: Tensor, stride: int) -> Plan:
    """Plan a convolution of stride s for x (B, I, H, W) and a weight (O, I, k, k)."""
    batch, inputs, height, width = x.shape
    shape = batch, len(weight), height // stride, width // stride
    algorithm = choose_2d(weight.shape[-1], stride, shape, inputs, x.is_cuda)
    return Plan(algorithm, lambda weight: weight.to(x.dtype), tuple(x.shape), shape, shape)


def plan_up_2d(x: Tensor, weight: Tensor, stride: int) -> Plan:
    """Plan a transposed convolution of stride s for x (B, I, H, W) and a weight (I, O, k, k)."""
    batch, _, height, width = x.shape
    outputs = weight.shape[1]
    algorithm = choose_2d(weight.shape[-1], stride, tuple(x.shape), outputs, x.is_cuda)
    shape = batch, outputs, stride * height, stride * width
    return Plan(Transposed(algorithm), lambda weight: weight.to(x.dtype), tuple(x.shape), shape, shape)


def choose_2d(kernel_length: int, stride: int, y: tuple[int, ...], inputs: int, on_gpu: bool) -> Algorithm:
    """Choose the fastest algorithm to convolve images of `inputs` channels to images of y's shape (B, O, m, n)."""
    if inputs <= _FEW_CHANNELS and stride > 1:
        return FewChannelsConvolution(kernel_length, stride)
    _, outputs, *size = y
    if not on_gpu and kernel_length**2 * inputs * outputs >= _MANY_WEIGHTS * math.prod(size):
        return WindowsConvolution2d(kernel_length, stride)
    return StridedConvolution(kernel_length, stride)


@dataclass(frozen=True)
class StridedConvolution(Algorithm):
    """PyTorch's convolution of x (B, I, s·m, s·n) with w (O, I, k, k) to y (B, O, m, n), padded by TensorFlow's "same".

    There are max(k - s, 0) zeros; half of them, rounded down, go in front: for k = 5 and s = 2, 1 in front, 2 behind.
    """

    kernel_length: int
    stride: int
    batch_dim = 0
    channel_dim = 1

    def prepare(self, weight: Tensor) -> Tensor:
        """Leave (O, I, k, k) as it is."""
        return weight

    def prepare_input(self, x: Tensor) -> Tensor:
        """Pad x with zeros; where the windows do not reach its end, cut that off."""
        front, back = same_padding(self.kernel_length, self.stride)
        return F.pad(x, (front, back, front, back))

    def prepare_output(self, y: Tensor) -> Tensor:
        return y

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, stride=self.stride)

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        front, back = same_padding(self.kernel_length, self.stride)
        return F.pad(F.conv_transpose2d(y, weight, stride=self.stride), (-front, -back, -front, -back))

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        return correlate_images(x, y, (self.kernel_length,) * 2, (self.stride,) * 2)


@dataclass(frozen=True)
class FewChannelsConvolution(StridedConvolution):
    """A convolution of few channels: s columns of x count as channels, as do the s · s phases of the transposed one.

    Letters: R radius and T = 2R + 1 taps of the folded kernel.
    """

    def prepare(self, weight: Tensor) -> Tensor:
        """Turn (O, I, k, k) into (O, s·I, k, T): polyphase along a row."""
        outputs, inputs, height, _ = weight.shape
        folded = F.pad(weight, self._zeros).view(outputs, inputs, height, -1, self.stride)
        return folded.permute(0, 4, 1, 2, 3).reshape(outputs, -1, height, folded.shape[3])

    def prepare_input(self, x: Tensor) -> Tensor:
        """Turn (B, I, H, W) into (B, s·I, H + k - s, W / s), channels last."""
        batch, channels, height, width = x.shape
        columns = x.permute(0, 2, 3, 1).reshape(batch, height, width // self.stride, self.stride * channels)
        return F.pad(columns.permute(0, 3, 1, 2), (0, 0, *same_padding(self.kernel_length, self.stride)))

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, stride=(self.stride, 1), padding=(0, weight.shape[3] // 2))

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        front, back = self._zeros
        outputs, _, height, taps = weight.shape
        # The kernel is folded along columns already; fold it along rows in the same way.
        columns = weight.view(outputs, self.stride, -1, height, taps)
        phases = F.pad(columns, (0, 0, front, back)).view(
            *columns.shape[:3], taps, self.stride, taps
        )  # (O, sc, I, T, sr, T)
        # Phase r of pixel m is the sum over d of y[m - d] w[s·d + r + front]: taps in reverse order.
        kernel = phases.flip(3, 5).permute(4, 1, 2, 0, 3, 5).reshape(-1, outputs, taps, taps)
        small = F.conv2d(y, kernel.contiguous(memory_format=torch.channels_last), padding=taps // 2)
        batch, _, rows, across = small.shape
        interleaved = small.reshape(batch, self.stride, self.stride, -1, rows, across).permute(0, 3, 4, 1, 5, 2)
        return interleaved.reshape(batch, -1, rows * self.stride, across * self.stride)

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        taps = (self.kernel_length + sum(self._zeros)) // self.stride
        return correlate_images(x, y, (self.kernel_length, taps), (self.stride, 1), (0, taps // 2))

    @property
    def _zeros(self) -> tuple[int, int]:
        """The zeros in front of and behind the taps of a row that make them fill an odd number of strides."""
        front, _ = same_padding(self.kernel_length, self.stride)
        radius = folded_radius(self.kernel_length, self.stride, front)
        before = self.stride * radius - front
        return before, self.stride * (2 * radius + 1) - before - self.kernel_length


@dataclass(frozen=True)
class WindowsConvolution2d(StridedConvolution):
    """One matrix product of all windows with all weights, for few pixels and many channels.

    Letters: m × n pixels of y.
    """

    def prepare(self, weight: Tensor) -> Tensor:
        """Turn (O, I, k, k) into (O, k · k · I)."""
        return weight.permute(0, 2, 3, 1).flatten(1)

    def prepare_input(self, x: Tensor) -> Tensor:
        """Collect the windows of (B, I, s·m, s·n): (B, m, n, k · k · I)."""
        padded = super().prepare_input(x).permute(0, 2, 3, 1).contiguous()
        size, stride = self.kernel_length, self.stride
        windows = padded.unfold(1, size, stride).unfold(2, size, stride)  # (B, m, n, I, k, k)
        # With a single column of windows `flatten` returns a view whose rows overlap in memory: copy it.
        return windows.permute(0, 1, 2, 4, 5, 3).flatten(3).contiguous()

    def prepare_output(self, y: Tensor) -> Tensor:
        """Turn (B, O, m, n) into (B, m, n, O)."""
        return y.permute(0, 2, 3, 1)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.linear(x, weight, bias).permute(0, 3, 1, 2)

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        batch, rows, across, outputs = y.shape
        size, stride = self.kernel_length, self.stride
        windows = (y.reshape(-1, outputs) @ weight).view(batch, rows, across, size, size, -1)
        x = y.new_zeros(batch, (rows - 1) * stride + size, (across - 1) * stride + size, windows.shape[5])
        for j in range(size):
            for k in range(size):
                x[:, j : j + rows * stride : stride, k : k + across * stride : stride] += windows[:, :, :, j, k]
        front, back = same_padding(self.kernel_length, self.stride)
        return F.pad(x.permute(0, 3, 1, 2), (-front, -back, -front, -back))

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        return y.reshape(-1, y.shape[3]).t() @ x.flatten(0, 2)
