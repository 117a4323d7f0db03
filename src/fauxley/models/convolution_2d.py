"""The strided convolution of SpecGAN's images.

    y[b, o, m, n] = sum over i, j, k of  x[b, i, s·m + j - front, s·n + k - front] · w[o, i, j, k]

Unlike audio's 25 taps of stride 4, 5 × 5 taps of stride 2 gain nothing from a polyphase view (it would cost 1.44 times
the arithmetic), so they go to PyTorch's convolutions as they are.

Letters: B batch, I and O channels in and out, k kernel length, s stride.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.convolution import Convolution


@dataclass(frozen=True)
class StridedConvolution(Convolution):
    """x (B, I, s·m, s·n) with w (O, I, k, k) to y (B, O, m, n), padded as TensorFlow's "same".

    Of the max(k - s, 0) zeros that it needs, half, rounded down, go in front: 1 and 2 for k = 5, s = 2.
    """

    kernel_length: int
    stride: int
    batch_dim = 0

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

    @property
    def _padding(self) -> tuple[int, int]:
        total = self.kernel_length - self.stride
        front = max(total, 0) // 2
        return front, total - front
