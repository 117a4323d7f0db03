"""Algorithms for the folded convolutions of audio: stride 1, "same" length, channels last.

    y[b, l, o] = sum over t, i of  x[b, l + t - R, i] · w[t, i, o]        taps T = 2R + 1, zeros outside x

Which algorithm is fastest depends on the shape (`benchmarks/convolution.py`). `choose_1d` holds what was measured on
CPUs. With many channels it takes a transform that saves two thirds of the products. With few frames and many weights it
takes one matrix product over all windows, because then copying or reordering the weights would cost most. Otherwise it
takes PyTorch's own convolution.

Letters: B batch, L frames, I and O channels in and out, T taps.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.kernels.algorithm import Algorithm
from fauxley.kernels.torch_private import correlate_images

# Numbers found by `benchmarks/convolution.py`.
_TILE = 16
_MANY_WEIGHTS = 2**20
_FEW_FRAMES = 384  # too few to pay for transforming that many weights
_VERY_FEW_FRAMES = 256  # too few to pay for transforming fewer weights
_LEAST_CHANNELS = 64


def choose_1d(shape: tuple[int, ...], taps: int, outputs: int, on_gpu: bool) -> Algorithm:
    """Choose the fastest algorithm to convolve x (B, L, I) of this shape with w (T, I, O), T odd."""
    batch, length, inputs = shape
    frames = batch * length
    if on_gpu or taps == 1:
        return DirectConvolution(taps)
    many_weights = taps * inputs * outputs >= _MANY_WEIGHTS
    tiles = length % _TILE == 0 and taps // 2 <= _TILE
    enough = frames >= (_FEW_FRAMES if many_weights else _VERY_FEW_FRAMES)
    if tiles and enough and min(inputs, outputs) >= _LEAST_CHANNELS:
        return BilinearConvolution(taps, _TILE)
    if many_weights and frames < _FEW_FRAMES:
        return WindowsConvolution(taps)
    return DirectConvolution(taps)


@dataclass(frozen=True)
class DirectConvolution(Algorithm):
    """PyTorch's own convolution of (B, L, I), viewed without a copy as an image of height 1 with channels last."""

    taps: int
    batch_dim = 0
    channel_dim = 2

    def prepare(self, weight: Tensor) -> Tensor:
        """Turn (T, I, O) into (O, I, 1, T), channels last."""
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
class WindowsConvolution(Algorithm):
    """One matrix product of all windows of x with the weights, which stay as they lie in memory."""

    taps: int
    batch_dim = 0
    channel_dim = 2

    def prepare(self, weight: Tensor) -> Tensor:
        """Leave (T, I, O) as it is."""
        return weight

    def prepare_input(self, x: Tensor) -> Tensor:
        """Collect all windows of T frames: (B, L, T·I)."""
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
    """View (B, L, C) as (B, C, 1, L)."""
    return x.transpose(1, 2).unsqueeze(2)


def _signal(image: Tensor) -> Tensor:
    """View (B, C, 1, L) as (B, L, C)."""
    return image.squeeze(2).transpose(1, 2)


@dataclass(frozen=True)
class BilinearConvolution(Algorithm):
    """A convolution with a third of the products: transforms, then matrix products, then an inverse transform.

    Any h successive outputs of a convolution of T taps are part of a cyclic convolution of length N = T + h - 1, so
    discrete Fourier transforms turn it into products of spectra. In real numbers, with Gauss's three products for a
    complex one, this is a bilinear algorithm

        y = C [(B x) · (A w)]        A: M × T,  B: M × N,  C: h × M

    with M products for each tile and pair of channels: M = 32 for T = 7 and h = 16, where the direct way takes T h =
    112. With I inputs and O outputs, each of the M products is a matrix product (tiles × I) (I × O). So large matrix
    products do nearly all the work, and the transforms are small matrices, too. The derivatives use the same three
    matrices, transposed:

        x' = Bᵀ [(Cᵀ y) · (A w)]     A w' = (B x) · (Cᵀ y)

    Unlike Winograd's points (Lavin and Gray 2016), those of the Fourier transform are nearly as exact as a direct
    convolution, to a factor of two, for any h. Overlapping tiles: "overlap-save" (Oppenheim and Schafer, section
    8.7.3).

    Letters: h tile, K = L / h tiles, N = T + h - 1, M products.

    Args:
        taps: T.
        tile: h, at least (T - 1) / 2; must divide L.
    """

    taps: int
    tile: int
    batch_dim = 1
    channel_dim = 2

    def prepare(self, weight: Tensor) -> Tensor:
        """Transform a weight: A w, (M, I, O)."""
        of_weight = self._matrices(weight)[0]
        return (of_weight @ weight.flatten(1)).view(-1, *weight.shape[1:])

    def prepare_input(self, x: Tensor) -> Tensor:
        """Transform the windows of N frames, one for each tile: B x, (M, B, K, I)."""
        batch, frames, channels = x.shape
        of_input = self._matrices(x)[1]
        padded = F.pad(x, (0, 0, self.taps // 2, self.taps // 2)).contiguous()
        shape = (of_input.shape[1], batch, frames // self.tile, channels)
        windows = padded.as_strided(shape, (channels, padded.stride(0), self.tile * channels, 1))
        return (of_input @ windows.reshape(len(windows), -1)).view(len(of_input), *shape[1:])

    def prepare_output(self, y: Tensor) -> Tensor:
        """Transform all tiles of y: Cᵀ y, (M, B, K, O)."""
        of_output = self._matrices(y)[2]
        tiles = y.reshape(len(y), -1, self.tile, y.shape[2]).permute(2, 0, 1, 3)
        return (of_output.t() @ tiles.reshape(self.tile, -1)).view(-1, *tiles.shape[1:])

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        products = torch.bmm(x.flatten(1, 2), weight)  # (M, B·K, O)
        tiles = self._matrices(x)[2] @ products.flatten(1)  # (h, B·K·O)
        signal = tiles.view(self.tile, *products.shape[1:]).transpose(0, 1).reshape(x.shape[1], -1, weight.shape[2])
        return signal if bias is None else signal.add_(bias)

    def transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        products = torch.bmm(y.flatten(1, 2), weight.transpose(1, 2))  # (M, B·K, I)
        windows = self._matrices(y)[1].t() @ products.flatten(1)  # (N, B·K·I)
        return self._overlap_add(windows.view(-1, *y.shape[1:3], weight.shape[1]).permute(1, 2, 0, 3))

    def correlate(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.bmm(x.flatten(1, 2).transpose(1, 2), y.flatten(1, 2))

    def _overlap_add(self, windows: Tensor) -> Tensor:
        """Add overlapping windows (B, K, N, I), one tile apart, and cut off both ends: (B, L, I)."""
        batch, tiles, length, channels = windows.shape
        reach = self.taps // 2  # frames of a window beyond its tile, on either side
        x = windows.new_empty(batch, tiles, self.tile, channels)
        x.copy_(windows[:, :, reach : reach + self.tile])
        # The end of a window overlaps the next tile, its beginning the tile before.
        x[:, 1:, :reach] += windows[:, :-1, length - reach :]
        x[:, :-1, self.tile - reach :] += windows[:, 1:, :reach]
        return x.view(batch, tiles * self.tile, channels)

    def _matrices(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return bilinear_matrices(self.taps, self.tile, like.device, like.dtype)


@cache
@torch.inference_mode(False)
def bilinear_matrices(taps: int, tile: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """The matrices A (M, T), B (M, N) and C (h, M).

    They are cached, so they are made outside inference mode: training cannot use tensors that were made in it.
    """
    size = taps + tile - 1
    time = torch.arange(size, dtype=torch.float64)
    of_weight, of_input, of_output = [], [], []
    for frequency in range(size // 2 + 1):
        cos, sin = (wave(2 * math.pi * frequency / size * time) for wave in (torch.cos, torch.sin))
        if frequency == 0 or 2 * frequency == size:  # real
            of_weight.append(cos[:taps])
            of_input.append(cos)
            of_output.append(cos[:tile] / size)
        else:  # X = Σ x (cos - i sin), W̄ = Σ w (cos + i sin), and the real part of X W̄ (cos + i sin) counts twice
            of_weight += [cos[:taps], (sin - cos)[:taps], (cos + sin)[:taps]]
            of_input += [cos - sin, cos, -sin]
            of_output += [row[:tile] * 2 / size for row in (cos - sin, -sin, -cos)]
    matrices = torch.stack(of_weight), torch.stack(of_input), torch.stack(of_output, dim=1)
    a, b, c = (matrix.to(device, dtype) for matrix in matrices)
    return a, b, c
