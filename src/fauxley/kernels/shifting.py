"""The shift of phase shuffle, and its transposed map.

    y[b, l] = x[b, mirror(l - s_b)],    mirror(m) = -m before the start, 2 (L - 1) - m after the end, else m

The sample at the edge is not repeated. The map and its transposed map are each other's derivatives. A CPU copies
slices. A GPU, where only the device knows the shifts, gathers, so that a CUDA graph can hold it. The transposed map
gathers, too, because it is known where each sample went; nothing is summed in an order left to chance.

Letters: B batch, L samples or frames, s shifts (B,), r radius, the largest shift.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


def shift(x: Tensor, shifts: Tensor, radius: int, dim: int = 1) -> Tensor:
    """Shift each example of x (B, ...) along `dim`; differentiable to any order.

    Args:
        shifts: s, int64, one for each example; positive delays.
        radius: r < L.
    """
    y: Tensor = _Shift.apply(x, shifts, radius, dim, False)  # type: ignore[no-untyped-call]
    return y


def shift_transposed(y: Tensor, shifts: Tensor, radius: int, dim: int = 1) -> Tensor:
    """Apply the transposed map: a sample that went to two places gets the sum of both. Differentiable to any order."""
    x: Tensor = _Shift.apply(y, shifts, radius, dim, True)  # type: ignore[no-untyped-call]
    return x


class _Shift(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shifts: Tensor, radius: int, dim: int, transposed: bool) -> Tensor:
        ctx.arguments = shifts, radius, dim
        ctx.transposed = transposed
        if x.is_cuda:
            return (shift_transposed_by_gathering if transposed else shift_by_gathering)(x, shifts, radius, dim)
        return (shift_transposed_by_slices if transposed else shift_by_slices)(x, shifts, radius, dim)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        result: Tensor = _Shift.apply(grads[0], *ctx.arguments, not ctx.transposed)  # type: ignore[no-untyped-call]
        return result, None, None, None, None


def shift_by_slices(x: Tensor, shifts: Tensor, radius: int, dim: int) -> Tensor:
    """The map, for shifts on the CPU; successive examples with equal shifts are moved together."""
    result = torch.empty_like(x)
    for source, y, shift in _runs(x, result, shifts):
        moved, gap = x.shape[dim] - abs(shift), abs(shift)
        if shift >= 0:
            y.narrow(dim, gap, moved).copy_(source.narrow(dim, 0, moved))
            y.narrow(dim, 0, gap).copy_(source.narrow(dim, 1, gap).flip(dim))
        else:
            y.narrow(dim, 0, moved).copy_(source.narrow(dim, gap, moved))
            y.narrow(dim, moved, gap).copy_(source.narrow(dim, moved - 1, gap).flip(dim))
    return result


def shift_transposed_by_slices(y: Tensor, shifts: Tensor, radius: int, dim: int) -> Tensor:
    """The transposed map, for shifts on the CPU."""
    result = torch.empty_like(y)
    for source, x, shift in _runs(y, result, shifts):
        moved, gap = y.shape[dim] - abs(shift), abs(shift)
        if shift >= 0:
            x.narrow(dim, 0, moved).copy_(source.narrow(dim, gap, moved))
            x.narrow(dim, moved, gap).zero_()
            x.narrow(dim, 1, gap).add_(source.narrow(dim, 0, gap).flip(dim))
        else:
            x.narrow(dim, gap, moved).copy_(source.narrow(dim, 0, moved))
            x.narrow(dim, 0, gap).zero_()
            x.narrow(dim, moved - 1, gap).add_(source.narrow(dim, moved, gap).flip(dim))
    return result


def _runs(source: Tensor, target: Tensor, shifts: Tensor) -> Iterator[tuple[Tensor, Tensor, int]]:
    known, start = shifts.tolist(), 0
    for end in range(1, len(known) + 1):
        if end == len(known) or known[end] != known[start]:
            yield source[start:end], target[start:end], known[start]
            start = end


def shift_by_gathering(x: Tensor, shifts: Tensor, radius: int, dim: int) -> Tensor:
    """The map, for shifts on the device of x."""
    last = x.shape[dim] - 1
    wanted = torch.arange(last + 1, device=x.device) - shifts[:, None]  # (B, L)
    return _take(x.movedim(dim, 1), last - (last - wanted.abs()).abs()).movedim(1, dim)


def shift_transposed_by_gathering(y: Tensor, shifts: Tensor, radius: int, dim: int) -> Tensor:
    """The transposed map, for shifts on the device of y."""
    y, length = y.movedim(dim, 1), y.shape[dim]
    places = torch.arange(length, device=y.device)
    x = _take(y, (places + shifts[:, None]).clamp(0, length - 1))
    for end in (slice(0, radius + 1), slice(length - 1 - radius, length)):  # reflection reaches only the ends
        x[:, end] = _sources(y, places[end], shifts[:, None])
    return x.movedim(1, dim)


def _sources(y: Tensor, places: Tensor, shifts: Tensor) -> Tensor:
    """The sum of all values of y (B, L, ...) that came from `places`: (B, places, ...)."""
    last = y.shape[1] - 1
    moved = places + shifts  # (B, places)
    # A positive shift reflects at the start, a negative one at the end.
    mirrored = torch.where(shifts > 0, shifts - places, 2 * last + shifts - places)
    reflected = torch.where(shifts > 0, (places > 0) & (mirrored >= 0), (places < last) & (mirrored <= last))
    direct = _take(y, moved.clamp(0, last)) * _like((moved >= 0) & (moved <= last), y)
    return direct + _take(y, mirrored.clamp(0, last)) * _like(reflected & (shifts != 0), y)


def _take(x: Tensor, places: Tensor) -> Tensor:
    """The values of x (B, L, ...) at places (B, P): (B, P, ...)."""
    return x[torch.arange(len(x), device=x.device)[:, None], places]


def _like(mask: Tensor, y: Tensor) -> Tensor:
    """A mask (B, P), shaped to be multiplied with (B, P, ...)."""
    return mask.to(y.dtype).view(*mask.shape, *[1] * (y.dim() - 2))
