"""The one convolution all of WaveGAN is made of: stride 1, "same" length, channels last.

    y[b, l, o] = sum over t, i of  x[b, l + t - M, i] · w[t, i, o]        taps T = 2M + 1, zeros outside x

Every strided, transposed or upsampled convolution of these networks can be written as this one on a free view of its
input or output (`fauxley.models.layers` does that), so nearly all arithmetic happens here.

Which algorithm computes a product fastest depends on its shape. Measured on CPUs (`benchmarks/convolution.py`): with
many frames a direct convolution; with few frames and many channels one matrix product over all windows; for weight
gradients one matrix product per tap. Where there are few frames, the weights are far larger than the signals, so
nothing there may copy or reorder them.

Letters: B batch, L frames, I and O channels in and out, T taps.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.models.convolution import Convolution

# At or below this many frames, copying out all windows costs less than it gains.
_FEW_FRAMES = 64
# A matrix product per tap needs this many input channels to be worth its call.
_MANY_CHANNELS = 16


@dataclass(frozen=True)
class SameConvolution(Convolution):
    """x (B, L, I) with w (T, I, O), T odd, to y (B, L, O)."""

    taps: int

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if _direct(x):
            return _direct_convolution(x, weight.permute(2, 1, 0))
        batch, frames, _ = x.shape
        return (self._windows(x) @ weight.flatten(0, 1)).view(batch, frames, -1)

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        if _direct(y):
            return _direct_convolution(y, weight.flip(0).permute(1, 2, 0))
        batch, frames, channels = y.shape
        windows = (y.reshape(-1, channels) @ weight.flatten(0, 1).t()).view(batch, frames, self.taps, -1)
        x = y.new_zeros(batch, frames + self.taps - 1, windows.shape[3])
        for tap in range(self.taps):
            x[:, tap : tap + frames] += windows[:, :, tap]
        return x[:, self.taps // 2 : self.taps // 2 + frames]

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        batch, frames, inputs = x.shape
        outputs = y.shape[2]
        if frames <= _FEW_FRAMES or inputs < _MANY_CHANNELS:
            return (self._windows(x).t() @ y.reshape(-1, outputs)).view(self.taps, inputs, outputs)
        # The padded examples laid end to end are one long signal; where y is padded with zeros, the windows that
        # straddle two examples count for nothing. So each tap is one product of two shifted views, without copies.
        signal = self._pad(x).view(-1, inputs)
        masked = F.pad(y, (0, 0, 0, self.taps - 1)).view(-1, outputs)
        length = batch * (frames + self.taps - 1) - (self.taps - 1)
        weight = x.new_empty(self.taps, inputs, outputs)
        for tap in range(self.taps):
            torch.mm(signal[tap : tap + length].t(), masked[:length], out=weight[tap])
        return weight

    def _windows(self, x: Tensor) -> Tensor:
        """All windows of T frames, one a row: (B·L, T·I)."""
        batch, frames, channels = x.shape
        padded = self._pad(x)
        windows = padded.as_strided((batch, frames, self.taps * channels), (padded.stride(0), channels, 1))
        return windows.reshape(batch * frames, -1)

    def _pad(self, x: Tensor) -> Tensor:
        """M zero frames on either side: (B, L + T - 1, I), contiguous."""
        return F.pad(x, (0, 0, self.taps // 2, self.taps // 2)).contiguous()


def _direct(x: Tensor) -> bool:
    return x.is_cuda or x.shape[1] > _FEW_FRAMES


def _direct_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """PyTorch's convolution of x (B, L, I) with a kernel (O, I, T): (B, L, O).

    A height of 1 lets (B, L, I) pass, without a copy, as an image with channels last.
    """
    image = x.transpose(1, 2).unsqueeze(2)
    flat = kernel.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    return F.conv2d(image, flat, padding=(0, kernel.shape[2] // 2)).squeeze(2).transpose(1, 2)
