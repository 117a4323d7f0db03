"""Phase shuffle (paper, section 3.3): examples are shifted in time by a few samples, the gap filled by reflection."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


def phase_shuffle(x: Tensor, shifts: Sequence[int], dim: int = 1) -> Tensor:
    """Shift each example of `x` (B, ...), differentiable to any order.

    Args:
        shifts: samples, one per example; positive is later. Runs of equal shifts are moved as one.
        dim: which dimension is time.
    """
    result: Tensor = _PhaseShuffle.apply(x, shifts, dim)  # type: ignore[no-untyped-call]
    return result


def phase_shuffle_transposed(y: Tensor, shifts: Sequence[int], dim: int = 1) -> Tensor:
    """The transposed map: what went to several places comes back as their sum. Differentiable to any order."""
    result: Tensor = _Transposed.apply(y, shifts, dim)  # type: ignore[no-untyped-call]
    return result


class _PhaseShuffle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shifts: Sequence[int], dim: int) -> Tensor:
        ctx.arguments = shifts, dim
        y = torch.empty_like(x)
        for source, target, shift in _runs(x, y, shifts):
            _shift(source, target, shift, dim)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return phase_shuffle_transposed(grads[0], *ctx.arguments), None, None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, shifts: Sequence[int], dim: int) -> Tensor:
        ctx.arguments = shifts, dim
        x = torch.empty_like(y)
        for source, target, shift in _runs(y, x, shifts):
            _shift_back(source, target, shift, dim)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return phase_shuffle(grads[0], *ctx.arguments), None, None


def _runs(source: Tensor, target: Tensor, shifts: Sequence[int]) -> Iterator[tuple[Tensor, Tensor, int]]:
    start = 0
    for end in range(1, len(shifts) + 1):
        if end == len(shifts) or shifts[end] != shifts[start]:
            yield source[start:end], target[start:end], shifts[start]
            start = end


def _shift(x: Tensor, y: Tensor, shift: int, dim: int) -> None:
    kept, gap = x.shape[dim] - abs(shift), abs(shift)
    # The edge sample itself is not repeated.
    if shift >= 0:
        y.narrow(dim, gap, kept).copy_(x.narrow(dim, 0, kept))
        y.narrow(dim, 0, gap).copy_(x.narrow(dim, 1, gap).flip(dim))
    else:
        y.narrow(dim, 0, kept).copy_(x.narrow(dim, gap, kept))
        y.narrow(dim, kept, gap).copy_(x.narrow(dim, kept - 1, gap).flip(dim))


def _shift_back(y: Tensor, x: Tensor, shift: int, dim: int) -> None:
    kept, gap = y.shape[dim] - abs(shift), abs(shift)
    if shift >= 0:
        x.narrow(dim, 0, kept).copy_(y.narrow(dim, gap, kept))
        x.narrow(dim, kept, gap).zero_()
        x.narrow(dim, 1, gap).add_(y.narrow(dim, 0, gap).flip(dim))
    else:
        x.narrow(dim, gap, kept).copy_(y.narrow(dim, 0, kept))
        x.narrow(dim, 0, gap).zero_()
        x.narrow(dim, kept - 1, gap).add_(y.narrow(dim, kept, gap).flip(dim))
