"""The strided convolution of SpecGAN's images.

    y[b, o, m, n] = sum over i, j, k of  x[b, i, s·m + j, s·n + k] · w[o, i, j, k]

Unlike audio's 25 taps of stride 4, 5 × 5 taps of stride 2 gain nothing from a polyphase view (it would cost 1.44 times
the arithmetic), so they go to PyTorch's convolutions as they are.

Letters: B batch, I and O channels in and out, H × W size, k kernel length, s stride.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.convolution import Convolution


@dataclass(frozen=True)
class StridedConvolution(Convolution):
    """x (B, I, H, W), H = (m - 1) s + k, with w (O, I, k, k) to y (B, O, m, n)."""

    kernel_length: int
    stride: int

    def prepare(self, weight: Tensor) -> Tensor:
        """As it is."""
        return weight

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, stride=self.stride)

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        return F.conv_transpose2d(y, weight, stride=self.stride)

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        size = (y.shape[1], x.shape[1], self.kernel_length, self.kernel_length)
        strides, none, ones = [self.stride] * 2, [0, 0], [1, 1]
        # Of the weight itself only the shape counts.
        gradients = torch.ops.aten.convolution_backward(
            y, x, x.new_empty(1).expand(size), None, strides, none, ones, False, none, 1, [False, True, False]
        )
        weight: Tensor = gradients[1]
        return weight
