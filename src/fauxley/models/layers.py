"""The layers of WaveGAN and SpecGAN: resampling convolutions with TensorFlow's padding, and batch normalisation.

Audio inside the networks is (B, L, C), channels last, and its weights are (width, in, out), as in TensorFlow. Images
are (B, C, bins, frames), and their weights are in PyTorch's layout. A layer holds a weight and a bias; the function of
`fauxley.kernels` named in its class computes its output from them.

TensorFlow's "same" padding is asymmetric: it adds max(k - s, 0) zeros, half of them, rounded down, in front. For k = 25
and s = 4 that is 10 in front and 11 behind, which no symmetric `padding` argument can express.

Letters: B batch, L samples, C channels, H × W size, k kernel length, s stride.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley import kernels


class ConvolutionLayer(nn.Module):
    """A convolution with a learned weight and a learned bias (out,)."""

    convolution: ClassVar[kernels.Convolution]
    """The function that computes the layer's output."""

    def __init__(self, weight_shape: tuple[int, ...], out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(weight_shape))
        self.bias = nn.Parameter(torch.empty(out_channels))

    @property
    def operands(self) -> tuple[kernels.Convolution, Tensor, Tensor, int]:
        """The convolution and its weight, bias and stride."""
        return self.convolution, self.weight, self.bias, self.stride

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x, self.weight, self.bias, self.stride)


class ResamplingLayer(ConvolutionLayer):
    """A convolution of audio that changes its rate by a factor of s."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int, stride: int) -> None:
        super().__init__((kernel_length, in_channels, out_channels), out_channels, stride)


class Downsampling(ResamplingLayer):
    """Convolution of stride s: (B, L, in) to (B, L/s, out). s must divide L. Layer of the critic (paper, Table 4)."""

    convolution = kernels.convolve_down


class TransposedUpsampling(ResamplingLayer):
    """Transposed convolution of stride s: (B, L, in) to (B, s·L, out). Layer of the generator (paper, Table 3)."""

    convolution = kernels.convolve_up


class NearestUpsampling(ResamplingLayer):
    """Repeats each sample s times, then filters: (B, L, in) to (B, s·L, out). Fewer artefacts (paper, Appendix A)."""

    convolution = kernels.convolve_up_nearest


class Downsampling2d(ConvolutionLayer):
    """Convolution of stride 2: (B, in, H, W) to (B, out, H/2, W/2). Layer of SpecGAN's critic."""

    convolution = kernels.convolve_images

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int) -> None:
        super().__init__((out_channels, in_channels, kernel_length, kernel_length), out_channels, stride=2)


class TransposedUpsampling2d(ConvolutionLayer):
    """Transposed convolution of stride 2: (B, in, H, W) to (B, out, 2H, 2W). Layer of the paper's generator."""

    convolution = kernels.convolve_up_images

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int) -> None:
        super().__init__((in_channels, out_channels, kernel_length, kernel_length), out_channels, stride=2)


class ResizedUpsampling2d(ConvolutionLayer):
    """Doubles an image's size by interpolation, then convolves: (B, in, H, W) to (B, out, 2H, 2W)."""

    convolution = kernels.convolve_images
    neighbours: ClassVar[tuple[float, ...]]
    """Weights of the old pixels around a new one, an even number of them, from left to right."""

    def __init__(self, in_channels: int, out_channels: int, kernel_length: int) -> None:
        super().__init__((out_channels, in_channels, kernel_length, kernel_length), out_channels, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.resize(x))

    def resize(self, x: Tensor) -> Tensor:
        """Double the size by TensorFlow 1's rule, without a shift by half a pixel: (B, C, H, W) to (B, C, 2H, 2W)."""
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
    """Nearest neighbour: repeats each pixel twice along both axes."""

    neighbours = (1.0, 0.0)


class LinearUpsampling2d(ResizedUpsampling2d):
    """Bilinear: a new pixel is the mean of its two neighbours."""

    neighbours = (0.5, 0.5)


class CubicUpsampling2d(ResizedUpsampling2d):
    """Bicubic (Keys 1981 with a = -3/4)."""

    neighbours = (-0.09375, 0.59375, 0.59375, -0.09375)


class BatchNorm(nn.Module):
    """Batch normalisation per channel of (B, L, C), with the official code's constants and update rule.

    TensorFlow 1 treats the mean inside the variance as a constant when it differentiates. That leaves first derivatives
    as they are but changes second ones, which the gradient penalty needs; so we do the same.

    Args:
        track: whether to keep moving statistics and use them in `eval` mode. The official critic does not.
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
    """A learned linear filter per channel, without bias or clipping: (B, C, T) to (B, C, T).

    It removes noise that upsampling makes (paper, Appendix A). The official code maps all channels to one, which breaks
    stereo; one filter per channel is the same for mono.
    """

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(taps, 1, channels))

    def forward(self, audio: Tensor) -> Tensor:
        taps, _, channels = self.weight.shape
        padded = F.pad(audio, ((taps - 1) // 2, taps // 2))
        return F.conv1d(padded, self.weight.permute(2, 1, 0), groups=channels)
