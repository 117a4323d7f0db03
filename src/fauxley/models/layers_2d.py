"""The layers of SpecGAN: 5 × 5 filters that halve or double an image, with TensorFlow's padding and resizing.

Images are (B, C, bins, frames).

Letters: B batch, C channels, H × W size, k kernel length, s stride.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fauxley.kernels.convolution import Convolution, convolve, transpose
from fauxley.kernels.convolution_2d import choose_convolution_2d
from fauxley.models.piecewise_linear import Layer, LinearizableLayer
from fauxley.models.shortcut import shortcut_of


class Convolution2d(nn.Module):
    """Convolution with "same" padding: (B, in, H, W) to (B, out, H/s, W/s). s must divide H and W."""

    stride: ClassVar[int]

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_length, kernel_length))
        self.bias = nn.Parameter(torch.empty(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        by = self._choose(x)
        return convolve(x, by.prepare(self.weight.to(x.dtype)), by, self.bias.to(x.dtype))

    def _choose(self, x: Tensor) -> Convolution:
        _, inputs, size, _ = self.weight.shape
        return choose_convolution_2d(size, self.stride, self.shape_behind(x), inputs, x.is_cuda)

    def shape_behind(self, x: Tensor) -> tuple[int, ...]:
        return len(x), len(self.bias), x.shape[2] // self.stride, x.shape[3] // self.stride


class Downsampling2d(Convolution2d, LinearizableLayer):
    """Halves an image: the critic's layer."""

    stride = 2

    @shortcut_of(Convolution2d.forward)
    def linearize(self, x: Tensor, shifts: Tensor | None, radius: int) -> Layer:
        """This layer as part of a piecewise linear critic, for signals of the shape of `x`."""
        by = self._choose(x)
        return Layer(
            by, by.prepare(self.weight.to(x.dtype)), self.bias.to(x.dtype), lambda x: x, shifts, radius, time=3
        )


class TransposedUpsampling2d(nn.Module):
    """Transposed convolution of stride 2, "same" (the paper's generator)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, kernel_length, kernel_length))
        self.bias = nn.Parameter(torch.empty(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        by = choose_convolution_2d(self.weight.shape[-1], 2, tuple(x.shape), self.weight.shape[1], x.is_cuda)
        y = transpose(x, by.prepare(self.weight.to(x.dtype)), by)
        return y + self.bias.to(x.dtype).view(-1, 1, 1)


class ResizedUpsampling2d(Convolution2d):
    """A resize by two, then a convolution of stride 1, "same"."""

    stride = 1
    between: ClassVar[tuple[float, ...]]
    """Weights of the neighbours, an even number of them, that make up a new sample between two old ones."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.resize(x))

    def resize(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2H, 2W) by TensorFlow 1's rule: old samples stay, no shift by half a pixel."""
        return self._double(self._double(x, 2), 3)

    def _double(self, x: Tensor, dim: int) -> Tensor:
        size, reach = x.shape[dim], len(self.between) // 2
        new = torch.zeros_like(x)
        for offset, weight in enumerate(self.between, start=1 - reach):
            if weight:
                places = torch.arange(size, device=x.device).add(offset).clamp(0, size - 1)
                new = new + weight * x.index_select(dim, places)
        return torch.stack([x, new], dim=dim + 1).flatten(dim, dim + 1)


class NearestUpsampling2d(ResizedUpsampling2d):
    """Each pixel four times."""

    between = (1.0, 0.0)


class LinearUpsampling2d(ResizedUpsampling2d):
    """Bilinear: the mean of both neighbours."""

    between = (0.5, 0.5)


class CubicUpsampling2d(ResizedUpsampling2d):
    """Bicubic (Keys 1981 with a = -3/4)."""

    between = (-0.09375, 0.59375, 0.59375, -0.09375)
