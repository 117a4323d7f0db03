"""The one convolution all of WaveGAN is made of: stride 1, "same" length, channels last.

    y[b, l, o] = sum over t, i of  x[b, l + t - R, i] · w[t, i, o]        taps T = 2R + 1, zeros outside x

Every strided, transposed or upsampled convolution of these networks can be written as this one on a free view of its
input or output (`fauxley.models.layers` does that), so nearly all arithmetic happens here.

Which algorithm computes it fastest depends on its shape (`benchmarks/convolution.py`). `choose_convolution` holds what
was measured on CPUs: a transform that spares two thirds of the products where channels are many; one matrix product
over all windows where there are few frames for many weights, which then nothing may copy or reorder; else PyTorch's own
convolution.

Letters: B batch, L frames, I and O channels in and out, T taps.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.kernels.bilinear import BilinearConvolution
from fauxley.kernels.convolution import Convolution, correlate_images

# Numbers found by `benchmarks/convolution.py`.
_TILE = 16
_FEW_FRAMES = 384
_MANY_WEIGHTS = 2**20
_LEAST_CHANNELS = 64


def choose_convolution(x: Tensor, taps: int, outputs: int) -> Convolution:
    """The fastest way to convolve x (B, L, I) with w (T, I, O), T odd."""
    batch, length, inputs = x.shape
    frames = batch * length
    if x.is_cuda or taps == 1:
        return DirectConvolution(taps)
    tiles = length % _TILE == 0 and taps // 2 <= _TILE
    if tiles and min(inputs, outputs) >= _LEAST_CHANNELS and frames >= _FEW_FRAMES:
        return BilinearConvolution(taps, _TILE)
    if taps * inputs * outputs >= _MANY_WEIGHTS and frames < _FEW_FRAMES:
        return WindowsConvolution(taps)
    return DirectConvolution(taps)


@dataclass(frozen=True)
class DirectConvolution(Convolution):
    """PyTorch's own; a height of 1 lets (B, L, I) pass, without a copy, as an image with channels last."""

    taps: int
    batch_dim = 0
    channel_dim = 2

    def prepare(self, weight: Tensor) -> Tensor:
        """(T, I, O) to (O, I, 1, T), channels last."""
        return weight.permute(2, 1, 0).unsqueeze(2).contiguous(memory_format=torch.channels_last)

    def prepare_input(self, x: Tensor) -> Tensor:
        return _image(x)

    def prepare_output(self, y: Tensor) -> Tensor:
        return _image(y)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return _signal(F.conv2d(x, weight, bias, padding=(0, self.taps // 2)))

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        return _signal(F.conv_transpose2d(y, weight, padding=(0, self.taps // 2)))

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        return correlate_images(x, y, (1, self.taps), padding=(0, self.taps // 2))


@dataclass(frozen=True)
class WindowsConvolution(Convolution):
    """One matrix product of all windows of x with the weights as they lie."""

    taps: int
    batch_dim = 0
    channel_dim = 2

    def prepare(self, weight: Tensor) -> Tensor:
        """(T, I, O) as it is."""
        return weight

    def prepare_input(self, x: Tensor) -> Tensor:
        """All windows of T frames: (B, L, T·I)."""
        batch, frames, channels = x.shape
        padded = F.pad(x, (0, 0, self.taps // 2, self.taps // 2)).contiguous()
        windows = padded.as_strided((batch, frames, self.taps * channels), (padded.stride(0), channels, 1))
        return windows.contiguous()

    def prepare_output(self, y: Tensor) -> Tensor:
        return y

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.linear(x, weight.flatten(0, 1).t(), bias)

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        batch, frames, channels = y.shape
        windows = (y.reshape(-1, channels) @ weight.flatten(0, 1).t()).view(batch, frames, self.taps, -1)
        x = y.new_zeros(batch, frames + self.taps - 1, windows.shape[3])
        for tap in range(self.taps):
            x[:, tap : tap + frames] += windows[:, :, tap]
        return x[:, self.taps // 2 : self.taps // 2 + frames]

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        outputs = y.shape[2]
        return (x.flatten(0, 1).t() @ y.reshape(-1, outputs)).view(self.taps, -1, outputs)


def _image(x: Tensor) -> Tensor:
    """(B, L, C) as (B, C, 1, L)."""
    return x.transpose(1, 2).unsqueeze(2)


def _signal(image: Tensor) -> Tensor:
    """(B, C, 1, L) as (B, L, C)."""
    return image.squeeze(2).transpose(1, 2)
