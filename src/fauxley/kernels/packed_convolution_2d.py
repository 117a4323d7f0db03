"""The transposed convolution of SpecGAN's images with weights that are kept: one matrix product for each phase.

    y[2m + r] = sum over d of  x[m - d] · w[2d + r + front]

along both axes, so that each of the four phases of an output is a convolution of stride 1, of 3 × 3, 3 × 2, 2 × 3 and
2 × 2 taps for k = 5: together the 25 that there are. No zeros are put between pixels, to be multiplied.
As with sounds (see `convolution_packed`), weights are laid out once for as many rows as one clip has.

Letters: B batch, I and O channels in and out, H × W size, k kernel length, r phase.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.kernels.convolution import same_padding
from fauxley.kernels.packed_convolution_1d import has_packing

# Measured for d = 16 and 64: with fewer channels, gathering windows takes longer than zeros between pixels.
_MANY_CHANNELS = 256
_MANY_CLIPS = 8


@dataclass(frozen=True)
class PackedPhases:
    """x (B, I, H, W) with a weight (I, O, k, k) and a bias (O,), both prepared, to y (B, O, 2H, 2W), "same".

    Args:
        kernel_length: k, at least 2.
        size: H, W.
    """

    kernel_length: int
    size: tuple[int, int]

    @staticmethod
    def suits(x: Tensor, kernel_length: int) -> bool:
        """Whether weights can be packed for x, and if so, whether that is faster."""
        least = _MANY_CHANNELS if len(x) < _MANY_CLIPS else 2 * _MANY_CHANNELS
        return x.device.type == "cpu" and kernel_length >= 2 and x.shape[1] >= least and has_packing(x.dtype)

    def prepare(self, weight: Tensor, bias: Tensor) -> tuple[list[Tensor], Tensor]:
        """The weights of the four phases, rows before columns."""
        rows = self.size[0] * self.size[1]
        packed = []
        for down, across in self._phases():
            taps = weight[:, :, down][:, :, :, across]  # (I, O, taps down, taps across)
            packed.append(torch.ops.mkldnn._reorder_linear_weight(taps.permute(1, 2, 3, 0).flatten(1), rows))
        return packed, bias

    def convolve(self, x: Tensor, kept: tuple[list[Tensor], Tensor]) -> Tensor:
        weights, bias = kept
        height, width = self.size
        reach = max(self._taps(0)[1], self._taps(1)[1]), max(-self._taps(0)[0], -self._taps(1)[0])
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, *reach, *reach)).contiguous()  # (B, H + ., W + ., I)
        y = x.new_empty(len(x), height, 2, width, 2, len(bias))
        for number, (weight, (down, across)) in enumerate(zip(weights, self._phases(), strict=True)):
            # The first pixel of a window is where its last tap lies.
            row, column = (reach[0] - self._taps(phase)[1] for phase in divmod(number, 2))
            shape = (len(x), height, width, len(down), len(across), x.shape[1])
            strides = (*padded.stride()[:3], *padded.stride()[1:])
            start = row * padded.stride(1) + column * padded.stride(2)
            windows = padded.as_strided(shape, strides, start).reshape(len(x), height * width, -1)
            for clip, into in zip(windows, y[:, :, number // 2, :, number % 2], strict=True):
                product = torch.ops.mkldnn._linear_pointwise(clip, weight, bias, "none", [], "")
                into.copy_(product.view(height, width, -1))
        return y.view(len(x), 2 * height, 2 * width, -1).permute(0, 3, 1, 2)

    def _phases(self) -> Iterator[tuple[list[int], list[int]]]:
        """The taps of each phase along both axes, in the order of the pixels that they meet."""
        front, _ = same_padding(self.kernel_length, 2)
        taps = []
        for phase in (0, 1):
            first, last = self._taps(phase)
            taps.append([2 * d + phase + front for d in range(last, first - 1, -1)])
        for down in taps:
            for across in taps:
                yield down, across

    def _taps(self, phase: int) -> tuple[int, int]:
        """The least and the greatest d of a phase."""
        front, _ = same_padding(self.kernel_length, 2)
        return -((phase + front) // 2), (self.kernel_length - 1 - phase - front) // 2
