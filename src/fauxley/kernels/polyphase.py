"""Polyphase views: WaveGAN's resampling convolutions as convolutions of stride 1 with more channels.

Signals are (B, L, C), channels last, so the s samples of a stride lie side by side in memory, and (B, L, C) *is*
(B, L/s, s·C) without a copy. In this polyphase view a convolution of stride s becomes one of stride 1 with fewer taps
and s times the channels; so do a transposed convolution and a convolution after nearest-neighbour upsampling. Weights
are (width, in, out), TensorFlow's layout, in which the strided layer's polyphase kernel is a view, too, except for a
few taps of zeros at the ends. Weights are folded when they are used.

Letters: B batch, L samples, I and O channels, k kernel length, s stride, M radius and T = 2M + 1 taps of the folded
kernel.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from fauxley.kernels.algorithm import Plan, folded_radius, same_padding
from fauxley.kernels.algorithms_1d import choose_1d


def plan_down(x: Tensor, weight: Tensor, stride: int) -> Plan:
    """Plan a convolution of stride s for x (B, L, I) and a weight (k, I, O)."""
    # y[m] = sum over j of w[j] x[s·m + j - front]. With j - front = s·d + r, j is tap d of phase r.
    front, _ = same_padding(len(weight), stride)
    radius = folded_radius(len(weight), stride, front)

    def fold(weight: Tensor) -> Tensor:  # (T, s·I, O)
        return fold_taps(weight, front, radius, stride, x.dtype).flatten(1, 2)

    batch, length, inputs = x.shape
    folded, output = (batch, length // stride, stride * inputs), (batch, length // stride, weight.shape[2])
    algorithm = choose_1d(folded, 2 * radius + 1, weight.shape[2], x.is_cuda)
    return Plan(algorithm, fold, folded, output, output)


def plan_up(x: Tensor, weight: Tensor, stride: int) -> Plan:
    """Plan a transposed convolution of stride s for x (B, L, I) and a weight (k, I, O)."""
    return _plan_up(x, weight, stride, *fold_transposed(len(weight), stride, x.dtype))


def plan_up_nearest(x: Tensor, weight: Tensor, stride: int) -> Plan:
    """Plan a convolution of x (B, L, I), each sample repeated s times, with a weight (k, I, O)."""
    return _plan_up(x, weight, stride, *fold_nearest(len(weight), stride, x.dtype))


def _plan_up(x: Tensor, weight: Tensor, stride: int, taps: int, fold: Callable[[Tensor], Tensor]) -> Plan:
    batch, length, _ = x.shape
    outputs = weight.shape[2]
    algorithm = choose_1d(tuple(x.shape), taps, stride * outputs, x.is_cuda)
    folded, shape = (batch, length, stride * outputs), (batch, stride * length, outputs)
    return Plan(algorithm, fold, tuple(x.shape), folded, shape, phases=stride)


def fold_transposed(kernel_length: int, stride: int, dtype: torch.dtype) -> tuple[int, Callable[[Tensor], Tensor]]:
    """T, and a function that folds a transposed convolution's weight to (T, I, s·O), phases slow, channels fast."""
    # y[s·i + j - front] += x[i] w[j]; the first `front` samples of the full result are dropped. So phase r of output
    # frame m is the sum over d of x[m - d] w[s·d + r + front]: taps in reverse order.
    front, _ = same_padding(kernel_length, stride)
    radius = folded_radius(kernel_length, stride, front)

    def fold(weight: Tensor) -> Tensor:
        return fold_taps(weight, front, radius, stride, dtype, upsampling=True).flatten(2, 3)

    return 2 * radius + 1, fold


def fold_nearest(kernel_length: int, stride: int, dtype: torch.dtype) -> tuple[int, Callable[[Tensor], Tensor]]:
    """T, and a function that folds the weight of a convolution after nearest-neighbour upsampling to (T, I, s·O).

    Equal samples are multiplied once: the kernel is folded by summing its taps in groups, a different grouping for each
    phase. That is s times cheaper than convolving the upsampled signal.
    """
    front = (kernel_length - 1) // 2
    last = stride - 1 + kernel_length - 1 - front
    radius = max(math.ceil(front / stride), last // stride)

    def fold(weight: Tensor) -> Tensor:
        # Phase r reads input frame floor((r + j - front) / s) with tap j.
        phases = [
            fold_taps(weight, front - phase, radius, stride, dtype).sum(1)  # (T, I, O)
            for phase in range(stride)
        ]
        return torch.stack(phases, dim=2).flatten(2, 3)

    return 2 * radius + 1, fold


def fold_taps(
    weight: Tensor, front: int, radius: int, stride: int, dtype: torch.dtype, upsampling: bool = False
) -> Tensor:
    """Split the taps of `weight` (k, I, O) into frames of one stride each: (T, s, I, O), differentiable once.

    Tap j stands for the displacement j - front. Displacements start at -s·M; those without a tap are zero.

    Args:
        dtype: of the result.
        upsampling: whether to return the frames in reverse order, as (T, I, s, O).
    """
    frames: Tensor = _FoldTaps.apply(weight, front, radius, stride, dtype, upsampling)  # type: ignore[no-untyped-call]
    return frames


class _FoldTaps(torch.autograd.Function):
    """Both directions take one pass over tens of megabytes; padding, converting, flipping and transposing take four."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, front: int, radius: int, stride: int, dtype: torch.dtype, upsampling: bool
    ) -> Tensor:
        ctx.shape, ctx.dtype = weight.shape, weight.dtype
        ctx.geometry = len(weight), front, radius, stride, upsampling
        count, (inputs, outputs) = 2 * radius + 1, weight.shape[1:]
        shape = (count, inputs, stride, outputs) if upsampling else (count, stride, inputs, outputs)
        frames = weight.new_empty(shape, dtype=dtype)
        for frame, taps, missing in _frames(frames, *ctx.geometry):
            frame.copy_(weight[taps])
            for each in missing:
                each.zero_()
        return frames

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight = grads[0].new_empty(ctx.shape, dtype=ctx.dtype)
        for frame, taps, _ in _frames(grads[0], *ctx.geometry):
            weight[taps] = frame
        return weight, None, None, None, None, None


def _frames(
    frames: Tensor, count: int, front: int, radius: int, stride: int, upsampling: bool
) -> Iterator[tuple[Tensor, slice, tuple[Tensor, Tensor]]]:
    """For each frame: its part with taps (., I, O), the slice of these taps, and its two parts without."""
    for number in range(2 * radius + 1):
        frame = frames[2 * radius - number].transpose(0, 1) if upsampling else frames[number]  # (s, I, O)
        start = stride * (number - radius) + front  # tap of its first phase
        first, end = (min(max(tap - start, 0), stride) for tap in (0, count))
        yield frame[first:end], slice(start + first, start + end), (frame[:first], frame[end:])
