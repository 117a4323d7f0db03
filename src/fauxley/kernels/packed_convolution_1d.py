"""Convolutions for generating: weights that no longer change are laid out once, as the processor likes them best.

A matrix product on a CPU begins by reordering its operands. For a large batch that is little; for a single clip, whose
16 frames meet 15 million weights, it takes as long as the product. oneDNN, with which PyTorch computes, can keep
weights in its own order, for one number of rows (for another it would reorder them on every call). So a batch is
computed in groups of as many clips as the weights were laid out for: one by one if there are few. Rows and weights are

    few frames                  all windows of T frames        weights as they are        one product
    more frames, many channels  tiles, transformed (bilinear)  weights, transformed       M products, as M groups of
                                                                                          a convolution of one tap
    few outputs                 q frames side by side          banded: T taps to fewer    a convolution

The last is for the layer that makes audio: 4 outputs a frame leave most of a vector register empty, q · 4 do not.

There are no derivatives here; `convolution_1d` has them. Where PyTorch has no oneDNN, its algorithms take over.

Letters: B batch, L frames, I and O channels, T taps, R = T // 2, h tile, K = L / h tiles, N = T + h - 1, M products,
G clips in a group.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.kernels.bilinear import BilinearConvolution, bilinear_matrices
from fauxley.kernels.convolution import Convolution, convolve
from fauxley.kernels.convolution_1d import DirectConvolution, WindowsConvolution, choose_convolution

Kept = tuple[Tensor, Tensor]  # a weight in an order of its own, and a bias

# Numbers found by timing each layer for d from 2 to 64, one clip and many; see docs/experiments.md.
_MANY_CLIPS = 8  # from which on groups are faster, though the last may be filled up with silence
_MOST_CLIPS = 16  # in a group
_ENOUGH_TILES = 64  # in a group
_LEAST_TILES = 8  # in a clip by itself
_MANY_WEIGHTS = 2**13  # for each frame, from which on reading them takes longer than computing with them
_LEAST_BYTES = 256  # of a frame, in and out
_VECTOR = 16  # numbers in a vector register


class PackedConvolution(ABC):
    """A way to convolve x (B, L, I) with a weight (T, I, O) and add a bias (O,), both prepared: (B, L, O)."""

    @abstractmethod
    def prepare(self, weight: Tensor, bias: Tensor) -> Kept:
        """Lay out what is to be kept."""

    @abstractmethod
    def convolve(self, x: Tensor, kept: Kept) -> Tensor:
        """y = x * w + b, new in memory."""


def choose_packed(x: Tensor, taps: int, outputs: int) -> PackedConvolution:
    """The fastest way to convolve x (B, L, I) with weights (T, I, O), T odd, that are kept."""
    batch, length, inputs = x.shape
    if x.device.type != "cpu" or taps == 1 or not has_packing(x.dtype):
        return Unpacked(choose_convolution(x, taps, outputs))
    if outputs <= _VECTOR // 2 and length % (wider := _VECTOR // outputs) == 0:
        return PackedFrames(taps, wider)
    if min(inputs, outputs) * x.element_size() >= _LEAST_BYTES:
        for tile in (16, 8):
            tiles = length // tile
            clips = min(max(_ENOUGH_TILES // max(tiles, 1), 1), _MOST_CLIPS) if batch >= _MANY_CLIPS else 1
            if tiles * tile == length and clips * tiles >= _LEAST_TILES and taps // 2 <= tile:
                return PackedBilinear(taps, tile, clips, tiles)
    if batch < _MANY_CLIPS and taps * inputs * outputs >= _MANY_WEIGHTS * length:
        return PackedWindows(taps, length)
    return Unpacked(choose_convolution(x, taps, outputs))


@dataclass(frozen=True)
class Unpacked(PackedConvolution):
    """Any other algorithm, its weights prepared once."""

    by: Convolution

    def prepare(self, weight: Tensor, bias: Tensor) -> Kept:
        return self.by.prepare(weight).contiguous(), bias

    def convolve(self, x: Tensor, kept: Kept) -> Tensor:
        weight, bias = kept
        return convolve(x, weight, self.by, bias)


@dataclass(frozen=True)
class PackedWindows(PackedConvolution):
    """One matrix product a clip, of all its windows.

    Args:
        taps: T.
        frames: L.
    """

    taps: int
    frames: int

    def prepare(self, weight: Tensor, bias: Tensor) -> Kept:
        rows = weight.flatten(0, 1).t().contiguous()  # (O, T·I)
        return torch.ops.mkldnn._reorder_linear_weight(rows, self.frames), bias

    def convolve(self, x: Tensor, kept: Kept) -> Tensor:
        windows = WindowsConvolution(self.taps).prepare_input(x)  # (B, L, T·I)
        return torch.stack([torch.ops.mkldnn._linear_pointwise(clip, *kept, "none", [], "") for clip in windows])


@dataclass(frozen=True)
class PackedBilinear(PackedConvolution):
    """A third of the products, or a half for small tiles (see `bilinear`), some clips at a time.

    Args:
        taps: T.
        tile: h.
        clips: G, in a group; if the last lacks some, they are computed from zeros.
        tiles: K, in a clip.
    """

    taps: int
    tile: int
    clips: int
    tiles: int

    def prepare(self, weight: Tensor, bias: Tensor) -> Kept:
        transformed = BilinearConvolution(self.taps, self.tile).prepare(weight)  # (M, I, O)
        # Frequency 0 of the output is its sum over N frames.
        first = torch.zeros_like(transformed[:, 0])
        first[0] = bias * (self.taps + self.tile - 1)
        return pack_products(transformed, self.clips * self.tiles), first.flatten()

    def convolve(self, x: Tensor, kept: Kept) -> Tensor:
        _, forth, back = bilinear_matrices(self.taps, self.tile, x.device, x.dtype)
        batch, length, channels = x.shape
        reach = self.taps // 2
        padded = F.pad(x, (0, 0, reach, reach, 0, -batch % self.clips))
        shape = len(padded), self.tiles, len(forth[0]), channels
        windows = padded.as_strided(shape, (padded.stride(0), self.tile * channels, channels, 1))
        groups = [
            back @ multiply(forth @ group.flatten(0, 1), kept)  # (G·K, h, O)
            for group in torch.split(windows, self.clips)
        ]
        return (torch.cat(groups) if len(groups) > 1 else groups[0]).view(len(padded), length, -1)[:batch]


@dataclass(frozen=True)
class PackedFrames(PackedConvolution):
    """A convolution of q frames at a time: q times the channels in and out, fewer taps, which cover T and some zeros.

    Args:
        taps: T.
        wider: q; must divide L.
    """

    taps: int
    wider: int

    def prepare(self, weight: Tensor, bias: Tensor) -> Kept:
        wider, reach = self.wider, self.taps // 2
        radius = -(-reach // wider)
        # Frame p of a group sees frame p + t - R by tap t; frames are counted from the first group in reach.
        bands = [
            F.pad(weight, (0, 0, 0, 0, radius * wider + p - reach, (radius + 1) * wider - 1 - p - reach))
            for p in range(wider)
        ]
        banded = torch.stack(bands, 2).view(2 * radius + 1, wider * weight.shape[1], -1)  # (T', q·I, q·O)
        return DirectConvolution(len(banded)).prepare(banded), bias.repeat(wider)

    def convolve(self, x: Tensor, kept: Kept) -> Tensor:
        weight, bias = kept
        groups = x.reshape(len(x), x.shape[1] // self.wider, -1)  # (B, L/q, q·I)
        by = DirectConvolution(weight.shape[3])
        return by.convolve(by.prepare_input(groups), weight, bias).reshape(*x.shape[:2], -1)


def pack_products(weights: Tensor, rows: int) -> Tensor:
    """M weights (M, I, O), laid out for products with as many matrices (rows, I)."""
    products, inputs, outputs = weights.shape
    images = weights.transpose(1, 2).reshape(products * outputs, inputs, 1, 1)
    shape = (1, products * inputs, 1, rows)
    reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
    return reorder(images.to_mkldnn(), *_ONE_TAP, products, shape)


def multiply(matrices: Tensor, kept: Kept) -> Tensor:
    """Product m of each row with weight m, and a bias (M·O,) added: (rows, M, I) to (rows, M, O)."""
    rows, products, _ = matrices.shape
    image = matrices.view(1, 1, rows, -1).permute(0, 3, 1, 2)  # a row of pixels, channels last
    y: Tensor = torch.ops.mkldnn._convolution_pointwise(image, *kept, *_ONE_TAP, products, "none", [], "")
    return y.permute(0, 2, 3, 1).reshape(rows, products, -1)


_ONE_TAP = (0, 0), (1, 1), (1, 1)  # padding, stride, dilation


@cache
def has_packing(dtype: torch.dtype) -> bool:
    """Whether this PyTorch packs weights of this type on this processor: found by trying, and looking at the outcome.

    The functions are those that PyTorch's own compiler uses; they are no promise of any version.
    """
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    clip, weight, bias = (
        torch.ones(1, 8, 16, dtype=dtype),
        torch.ones(3, 16, 32, dtype=dtype),
        torch.zeros(32, dtype=dtype),
    )
    inner = [16 * min(3, reach) for reach in (2, *[3] * 6, 2)]  # products with a window's frames inside the clip
    try:
        for way in (PackedWindows(3, 8), PackedBilinear(3, 8, 1, 1)):
            y = way.convolve(clip, way.prepare(weight, bias))
            if not torch.allclose(y[0, :, 0].float(), torch.tensor(inner, dtype=torch.float32), rtol=0.02):
                return False
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return True
