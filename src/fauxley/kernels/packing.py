"""Convolutions for generating, with weights that no longer change and are laid out once as the processor likes best.

A matrix product on a CPU begins by reordering its operands. In a large batch that hardly matters; for a single clip,
whose 16 frames meet 15 million weights, it takes as long as the product. oneDNN, with which PyTorch computes, can keep
weights in its own order, but for one number of rows only: for another it reorders them on every call. So a batch is
computed in groups of as many clips as the weights were laid out for; if there are few clips, one by one. Rows and
weights are

    few frames                  all windows of T frames        weights as they are        one product
    more frames, many channels  tiles, transformed (bilinear)  weights, transformed       M products, as M groups of
                                                                                          a convolution of one tap
    few outputs                 q frames side by side          banded: T taps to fewer    a convolution
    images                      all windows of each phase      weights of each phase      four products

The third is for the layer that makes audio: 4 outputs a frame leave most of a vector register empty, 4 q do not.

Nothing here has derivatives. Where PyTorch has no oneDNN, the algorithms that training uses take over.

Letters: B batch, L frames, I and O channels, T taps, R = T // 2, h tile, K = L / h tiles, N = T + h - 1, M products,
G clips in a group; for images, H × W size, k kernel length.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.kernels.algorithm import Algorithm, same_padding
from fauxley.kernels.algorithms_1d import (
    BilinearConvolution,
    DirectConvolution,
    WindowsConvolution,
    bilinear_matrices,
    choose_1d,
)
from fauxley.kernels.functions import Convolution, convolve_up, convolve_up_images, convolve_up_nearest
from fauxley.kernels.polyphase import fold_nearest, fold_transposed
from fauxley.kernels.torch_private import (
    multiply_packed_matrices,
    multiply_packed_matrix,
    pack_matrices,
    pack_matrix,
)

Packed = tuple[Any, Tensor]  # a weight in the algorithm's layout, and a bias

# Numbers found by timing each layer for d from 2 to 64, one clip and many; see docs/experiments.md.
_MANY_CLIPS = 8  # from here on groups are faster, even if the last one has to be filled up with silence
_MOST_CLIPS = 16  # in a group
_ENOUGH_TILES = 64  # in a group
_LEAST_TILES = 8  # in a group of one clip
_MANY_WEIGHTS = 2**13  # for each frame; with more, reading them takes longer than computing with them
_LEAST_BYTES = 256  # of a frame, in and out
_VECTOR = 16  # numbers in a vector register
_MANY_IMAGE_CHANNELS = 256  # with fewer, gathering windows takes longer than inserting zeros between pixels
_FOLDS = {convolve_up: fold_transposed, convolve_up_nearest: fold_nearest}
PACKABLE = (*_FOLDS, convolve_up_images)


class PackedConvolution(ABC):
    """A way to convolve x (B, L, I) with a prepared weight (T, I, O) and to add a prepared bias (O,): (B, L, O)."""

    @abstractmethod
    def prepare(self, weight: Tensor, bias: Tensor) -> Packed:
        """Lay out a weight and a bias, to be kept."""

    @abstractmethod
    def convolve(self, x: Tensor, packed: Packed) -> Tensor:
        """Compute y = x * w + b in new memory."""


@dataclass(frozen=True)
class PackedPlan:
    """How to compute a convolution with packed weights for inputs of one shape.

    Args:
        algorithm: computes it.
        fold_weight: converts the layer's weight to the algorithm's.
        phases: how many times the bias is repeated for the algorithm.
        shape: of the result.
    """

    algorithm: PackedConvolution
    fold_weight: Callable[[Tensor], Tensor]
    phases: int
    shape: tuple[int, ...]

    def prepare(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Packed:
        """Lay out a layer's weight and bias, to be kept."""
        return self.algorithm.prepare(self.fold_weight(weight), bias.to(dtype).repeat(self.phases))

    def convolve(self, x: Tensor, packed: Packed) -> Tensor:
        """Compute the result in new memory."""
        return self.algorithm.convolve(x, packed).reshape(self.shape)


def plan_packed(convolution: Convolution, x: Tensor, weight: Tensor, stride: int) -> PackedPlan | None:
    """Plan one of the PACKABLE convolutions of x with a kept weight; None where packing is no gain."""
    if convolution == convolve_up_images:
        kernel_length = weight.shape[-1]
        if stride != 2 or not PackedPhases.suits(x, kernel_length):
            return None
        batch, _, height, width = x.shape
        phases = PackedPhases(kernel_length, (height, width))
        return PackedPlan(phases, lambda weight: weight.to(x.dtype), 1, (batch, -1, 2 * height, 2 * width))
    taps, fold = _FOLDS[convolution](len(weight), stride, x.dtype)
    batch, length, _ = x.shape
    outputs = weight.shape[2]
    return PackedPlan(choose_packed(x, taps, stride * outputs), fold, stride, (batch, stride * length, outputs))


def choose_packed(x: Tensor, taps: int, outputs: int) -> PackedConvolution:
    """Choose the fastest algorithm to convolve x (B, L, I) with kept weights (T, I, O), T odd."""
    batch, length, inputs = x.shape
    if x.device.type != "cpu" or taps == 1 or not has_packing(x.dtype):
        return Unpacked(choose_1d(tuple(x.shape), taps, outputs, x.is_cuda))
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
    return Unpacked(choose_1d(tuple(x.shape), taps, outputs, x.is_cuda))


@dataclass(frozen=True)
class Unpacked(PackedConvolution):
    """Another algorithm, with weights that are prepared once."""

    algorithm: Algorithm

    def prepare(self, weight: Tensor, bias: Tensor) -> Packed:
        return self.algorithm.prepare(weight).contiguous(), bias

    def convolve(self, x: Tensor, packed: Packed) -> Tensor:
        weight, bias = packed
        return self.algorithm.convolve(self.algorithm.prepare_input(x), weight, bias)


@dataclass(frozen=True)
class PackedWindows(PackedConvolution):
    """One matrix product for each clip, of all its windows.

    Args:
        taps: T.
        frames: L.
    """

    taps: int
    frames: int

    def prepare(self, weight: Tensor, bias: Tensor) -> Packed:
        rows = weight.flatten(0, 1).t().contiguous()  # (O, T·I)
        return pack_matrix(rows, self.frames), bias

    def convolve(self, x: Tensor, packed: Packed) -> Tensor:
        windows = WindowsConvolution(self.taps).prepare_input(x)  # (B, L, T·I)
        return torch.stack([multiply_packed_matrix(clip, *packed) for clip in windows])


@dataclass(frozen=True)
class PackedBilinear(PackedConvolution):
    """A third of the products, or half for small tiles (see `BilinearConvolution`), for groups of clips.

    Args:
        taps: T.
        tile: h.
        clips: G, in a group; a group that lacks some is filled up with zeros.
        tiles: K, in a clip.
    """

    taps: int
    tile: int
    clips: int
    tiles: int

    def prepare(self, weight: Tensor, bias: Tensor) -> Packed:
        transformed = BilinearConvolution(self.taps, self.tile).prepare(weight)  # (M, I, O)
        # Frequency 0 of the output is its sum over N frames, so that is where the bias goes.
        first = torch.zeros_like(transformed[:, 0])
        first[0] = bias * (self.taps + self.tile - 1)
        return pack_matrices(transformed, self.clips * self.tiles), first.flatten()

    def convolve(self, x: Tensor, packed: Packed) -> Tensor:
        _, of_input, of_output = bilinear_matrices(self.taps, self.tile, x.device, x.dtype)
        batch, length, channels = x.shape
        reach = self.taps // 2
        padded = F.pad(x, (0, 0, reach, reach, 0, -batch % self.clips))
        shape = len(padded), self.tiles, len(of_input[0]), channels
        windows = padded.as_strided(shape, (padded.stride(0), self.tile * channels, channels, 1))
        groups = [
            of_output @ multiply_packed_matrices(of_input @ group.flatten(0, 1), packed)  # (G·K, h, O)
            for group in torch.split(windows, self.clips)
        ]
        return (torch.cat(groups) if len(groups) > 1 else groups[0]).view(len(padded), length, -1)[:batch]


@dataclass(frozen=True)
class PackedFrames(PackedConvolution):
    """A convolution of q frames at a time: q times the channels, and fewer taps, which cover T taps and some zeros.

    Args:
        taps: T.
        wider: q; must divide L.
    """

    taps: int
    wider: int

    def prepare(self, weight: Tensor, bias: Tensor) -> Packed:
        wider, reach = self.wider, self.taps // 2
        radius = -(-reach // wider)
        # In frame p of a group, tap t reads frame p + t - R; frames are counted from the first group within reach.
        bands = [
            F.pad(weight, (0, 0, 0, 0, radius * wider + p - reach, (radius + 1) * wider - 1 - p - reach))
            for p in range(wider)
        ]
        banded = torch.stack(bands, 2).view(2 * radius + 1, wider * weight.shape[1], -1)  # (T', q·I, q·O)
        return DirectConvolution(len(banded)).prepare(banded), bias.repeat(wider)

    def convolve(self, x: Tensor, packed: Packed) -> Tensor:
        weight, bias = packed
        groups = x.reshape(len(x), x.shape[1] // self.wider, -1)  # (B, L/q, q·I)
        direct = DirectConvolution(weight.shape[3])
        return direct.convolve(direct.prepare_input(groups), weight, bias).reshape(*x.shape[:2], -1)


@cache
def has_packing(dtype: torch.dtype) -> bool:
    """Whether this PyTorch can pack weights of this type on this processor, found by trying and checking the result.

    PyTorch's compiler uses these functions, but no version promises to keep them.
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
        for algorithm in (PackedWindows(3, 8), PackedBilinear(3, 8, 1, 1)):
            y = algorithm.convolve(clip, algorithm.prepare(weight, bias))
            if not torch.allclose(y[0, :, 0].float(), torch.tensor(inner, dtype=torch.float32), rtol=0.02):
                return False
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return True


@dataclass(frozen=True)
class PackedPhases(PackedConvolution):
    """SpecGAN's transposed convolution: x (B, I, H, W) with a weight (I, O, k, k) to y (B, O, 2H, 2W), "same" padding.

        y[2m + r] = sum over d of  x[m - d] · w[2d + r + front]

    along both axes. So each of the four phases of the output is a convolution of stride 1, with 3 × 3, 3 × 2, 2 × 3 and
    2 × 2 of the 25 taps for k = 5, and no zeros between pixels are multiplied.

    Args:
        kernel_length: k, at least 2.
        size: H, W.
    """

    kernel_length: int
    size: tuple[int, int]

    @staticmethod
    def suits(x: Tensor, kernel_length: int) -> bool:
        """Whether weights can be packed for x and packing is faster."""
        least = _MANY_IMAGE_CHANNELS if len(x) < _MANY_CLIPS else 2 * _MANY_IMAGE_CHANNELS
        return x.device.type == "cpu" and kernel_length >= 2 and x.shape[1] >= least and has_packing(x.dtype)

    def prepare(self, weight: Tensor, bias: Tensor) -> Packed:
        """Pack the weights of the four phases, rows before columns."""
        rows = self.size[0] * self.size[1]
        packed = []
        for down, across in self._phases():
            taps = weight[:, :, down][:, :, :, across]  # (I, O, taps down, taps across)
            packed.append(pack_matrix(taps.permute(1, 2, 3, 0).flatten(1), rows))
        return packed, bias

    def convolve(self, x: Tensor, packed: Packed) -> Tensor:
        weights, bias = packed
        height, width = self.size
        reach = max(self._taps(0)[1], self._taps(1)[1]), max(-self._taps(0)[0], -self._taps(1)[0])
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, *reach, *reach)).contiguous()  # (B, H + ., W + ., I)
        y = x.new_empty(len(x), height, 2, width, 2, len(bias))
        for number, (weight, (down, across)) in enumerate(zip(weights, self._phases(), strict=True)):
            # The first pixel of a window is the one that its last tap meets.
            row, column = (reach[0] - self._taps(phase)[1] for phase in divmod(number, 2))
            shape = (len(x), height, width, len(down), len(across), x.shape[1])
            strides = (*padded.stride()[:3], *padded.stride()[1:])
            start = row * padded.stride(1) + column * padded.stride(2)
            windows = padded.as_strided(shape, strides, start).reshape(len(x), height * width, -1)
            for clip, into in zip(windows, y[:, :, number // 2, :, number % 2], strict=True):
                product = multiply_packed_matrix(clip, weight, bias)
                into.copy_(product.view(height, width, -1))
        return y.view(len(x), 2 * height, 2 * width, -1).permute(0, 3, 1, 2)

    def _phases(self) -> Iterator[tuple[list[int], list[int]]]:
        """The taps of each phase along both axes, in the order of the pixels that they are multiplied with."""
        front, _ = same_padding(self.kernel_length, 2)
        taps = []
        for phase in (0, 1):
            first, last = self._taps(phase)
            taps.append([2 * d + phase + front for d in range(last, first - 1, -1)])
        for down in taps:
            for across in taps:
                yield down, across

    def _taps(self, phase: int) -> tuple[int, int]:
        """The smallest and the largest d of a phase."""
        front, _ = same_padding(self.kernel_length, 2)
        return -((phase + front) // 2), (self.kernel_length - 1 - phase - front) // 2
