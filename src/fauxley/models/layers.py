"""The layers of WaveGAN and SpecGAN: resampling convolutions with TensorFlow's padding, and batch normalisation.

Sounds inside the networks are (B, L, C), channels last, and their weights (width, in, out), as TensorFlow has them.
Images are (B, C, bins, frames), and their weights PyTorch's. A layer holds a weight and a bias; what it computes with
them is the function of `fauxley.kernels` that it names.

TensorFlow's "same" padding is asymmetric: of the max(k - s, 0) zeros that a stride needs, half, rounded down, go in
front. With k = 25, s = 4 that is 10 and 11, which no symmetric `padding` argument expresses.

Letters: B batch, L samples, C channels, H × W size, k kernel length, s stride.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley import kernels


class ConvolutionLayer(nn.Module):
    """A convolution with a weight of its own, and a bias (out,)."""

    convolution: ClassVar[kernels.Convolution]
    """What it computes."""

    def __init__(self, weight_shape: tuple[int, ...], out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(weight_shape))
        self.bias = nn.Parameter(torch.empty(out_channels))

    @property
    def operands(self) -> tuple[kernels.Convolution, Tensor, Tensor, int]:
        """Convolution, weight, bias and stride."""
        return self.convolution, self.weight, self.bias, self.stride

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x, self.weight, self.bias, self.stride)


class ResamplingLayer(ConvolutionLayer):
    """A convolution of sounds that changes their rate by a factor of s."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int) -> None:
        super().__init__((kernel_length, in_channels, out_channels), out_channels, stride)


class Downsampling(ResamplingLayer):
    """Convolution of stride s: (B, L, in) to (B, L/s, out). s must divide L. The critic's layer (paper, Table 4)."""

    convolution = kernels.convolve_down


class TransposedUpsampling(ResamplingLayer):
    """Zeros between the samples, then a filter: (B, L, in) to (B, s·L, out) (the paper's generator, Table 3)."""

    convolution = kernels.convolve_up


class NearestUpsampling(ResamplingLayer):
    """Each sample s times over, then a filter: (B, L, in) to (B, s·L, out) (Appendix A: fewer artefacts)."""

    convolution = kernels.convolve_up_nearest


class Downsampling2d(ConvolutionLayer):
    """Convolution that halves an image: (B, in, H, W) to (B, out, H/2, W/2). SpecGAN's critic's layer."""

    convolution = kernels.convolve_images

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int) -> None:
        super().__init__((out_channels, in_channels, kernel_length, kernel_length), out_channels, stride=2)


class TransposedUpsampling2d(ConvolutionLayer):
    """Transposed convolution that doubles an image: (B, in, H, W) to (B, out, 2H, 2W) (the paper's generator)."""

    convolution = kernels.convolve_up_images

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int) -> None:
        super().__init__((in_channels, out_channels, kernel_length, kernel_length), out_channels, stride=2)


class ResizedUpsampling2d(ConvolutionLayer):
    """A resize by two, then a convolution of stride 1: (B, in, H, W) to (B, out, 2H, 2W)."""

    convolution = kernels.convolve_images
    neighbours: ClassVar[tuple[float, ...]]
    """Weights of the neighbours, an even number of them, that make up a new pixel between two old ones."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int) -> None:
        super().__init__((out_channels, in_channels, kernel_length, kernel_length), out_channels, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.resize(x))

    def resize(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2H, 2W) by TensorFlow 1's rule: old pixels stay, no shift by half a pixel."""
        return self._double(self._double(x, 2), 3)

    def _double(self, x: Tensor, dim: int) -> Tensor:
        size, reach = x.shape[dim], len(self.neighbours) // 2
        new = torch.zeros_like(x)
        for offset, weight in enumerate(self.neighbours, start=1 - reach):
            if weight:
                places = torch.arange(size, device=x.device).add(offset).clamp(0, size - 1)
                new = new + weight * x.index_select(dim, places)
        return torch.stack([x, new], dim=dim + 1).flatten(dim, dim + 1)


class NearestUpsampling2d(ResizedUpsampling2d):
    """Each pixel four times."""

    neighbours = (1.0, 0.0)


class LinearUpsampling2d(ResizedUpsampling2d):
    """Bilinear: the mean of both neighbours."""

    neighbours = (0.5, 0.5)


class CubicUpsampling2d(ResizedUpsampling2d):
    """Bicubic (Keys 1981 with a = -3/4)."""

    neighbours = (-0.09375, 0.59375, 0.59375, -0.09375)


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


class PostFilter(nn.Module):
    """A learned linear filter per channel, "same" length, no bias: (B, C, T) to (B, C, T), not clipped.

    To remove the noise of upsampling (paper, Appendix A). The official code maps all channels to one, which breaks
    stereo; one filter a channel is the same thing for mono.
    """

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(taps, 1, channels))

    def forward(self, audio: Tensor) -> Tensor:
        taps, _, channels = self.weight.shape
        padded = F.pad(audio, ((taps - 1) // 2, taps // 2))
        return F.conv1d(padded, self.weight.permute(2, 1, 0), groups=channels)
