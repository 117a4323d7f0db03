"""The strided convolution of SpecGAN's images.

    y[b, o, m, n] = sum over i, j, k of  x[b, i, s·m + j - front, s·n + k - front] · w[o, i, j, k]

Unlike audio's 25 taps of stride 4, 5 × 5 taps of stride 2 gain nothing from a polyphase view (it would cost 1.44 times
the arithmetic), so they go to PyTorch's convolutions as they are.

Letters: B batch, I and O channels in and out, k kernel length, s stride.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.convolution import Convolution

_FEW_CHANNELS = 4  # up to which the transposed convolution leaves most of a vector register empty


@dataclass(frozen=True)
class StridedConvolution(Convolution):
    """x (B, I, s·m, s·n) with w (O, I, k, k) to y (B, O, m, n), padded as TensorFlow's "same".

    Of the max(k - s, 0) zeros that it needs, half, rounded down, go in front: 1 and 2 for k = 5, s = 2.
    """

    kernel_length: int
    stride: int
    batch_dim = 0
    channel_dim = 1

    def prepare(self, weight: Tensor) -> Tensor:
        """As it is."""
        return weight

    def prepare_input(self, x: Tensor) -> Tensor:
        """With zeros around it; fewer than none, where the windows do not reach the end."""
        front, back = self._padding
        return F.pad(x, (front, back, front, back))

    def prepare_output(self, y: Tensor) -> Tensor:
        return y

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, stride=self.stride)

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        if weight.shape[1] <= _FEW_CHANNELS and self.stride > 1:
            return self._transpose_by_phases(y, weight)
        front, back = self._padding
        return F.pad(F.conv_transpose2d(y, weight, stride=self.stride), (-front, -back, -front, -back))

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        size = (y.shape[1], x.shape[1], self.kernel_length, self.kernel_length)
        strides, none, ones = [self.stride] * 2, [0, 0], [1, 1]
        # Of the weight itself only the shape counts.
        gradients = torch.ops.aten.convolution_backward(
            y, x, x.new_empty(1).expand(size), None, strides, none, ones, False, none, 1, [False, True, False]
        )
        weight: Tensor = gradients[1]
        return weight

    def _transpose_by_phases(self, y: Tensor, weight: Tensor) -> Tensor:
        """s · s small images, a channel each of one convolution of stride 1: more arithmetic, better used."""
        front, stride = self._padding[0], self.stride
        radius = max(math.ceil(front / stride), (self.kernel_length - 1 - front) // stride)
        taps, before = 2 * radius + 1, stride * radius - front
        after = stride * taps - before - self.kernel_length
        # Phase r of pixel m is the sum over d of y[m - d] w[s·d + r + front], in both directions.
        outputs, inputs = weight.shape[:2]
        phases = F.pad(weight, (before, after, before, after)).view(outputs, inputs, taps, stride, taps, stride)
        kernel = phases.flip(2, 4).permute(3, 5, 1, 0, 2, 4).reshape(-1, outputs, taps, taps)
        small = F.conv2d(y, kernel.contiguous(memory_format=torch.channels_last), padding=radius)
        batch, _, height, width = small.shape
        interleaved = small.view(batch, stride, stride, inputs, height, width).permute(0, 3, 4, 1, 5, 2)
        return interleaved.reshape(batch, inputs, height * stride, width * stride)

    @property
    def _padding(self) -> tuple[int, int]:
        total = self.kernel_length - self.stride
        front = max(total, 0) // 2
        return front, total - front
