"""Phase shuffle where shifts are known to the device alone: no slice depends on them, so a CUDA graph can hold it.

    y[b, l] = x[b, mirror(l - s_b)],    mirror(m) = -m before the start, 2 (L - 1) - m after the end, else m

Where a sample went is as plain: x[b, i] to i + s_b, and near an end to the place that mirrors it as well. So the
derivative gathers, too, in a fixed order, without atomic sums. Each is the other's derivative, to any order.

Letters: B batch, L samples or frames, s shifts, r radius.
"""

from typing import Any

import torch
from torch import Tensor


def gathered_shuffle(x: Tensor, shifts: Tensor, radius: int, dim: int) -> Tensor:
    """Shift each example of x (B, ...) along `dim`, of length L > radius, by shifts (B,) on its device, at most r."""
    shuffled: Tensor = _Shuffle.apply(x.movedim(dim, 1), shifts, radius)  # type: ignore[no-untyped-call]
    return shuffled.movedim(1, dim)


class _Shuffle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shifts: Tensor, radius: int) -> Tensor:
        ctx.save_for_backward(shifts)
        ctx.radius = radius
        last = x.shape[1] - 1
        wanted = torch.arange(last + 1, device=x.device) - shifts[:, None]  # (B, L)
        return _take(x, last - (last - wanted.abs()).abs())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        gathered: Tensor = _Adjoint.apply(grads[0], *ctx.saved_tensors, ctx.radius)  # type: ignore[no-untyped-call]
        return gathered, None, None


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, shifts: Tensor, radius: int) -> Tensor:
        ctx.save_for_backward(shifts)
        ctx.radius = radius
        length = y.shape[1]
        places = torch.arange(length, device=y.device)
        x = _take(y, (places + shifts[:, None]).clamp(0, length - 1))
        for end in (slice(0, radius + 1), slice(length - 1 - radius, length)):  # only there it is not that alone
            x[:, end] = _sources(y, places[end], shifts[:, None])
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        shuffled: Tensor = _Shuffle.apply(grads[0], *ctx.saved_tensors, ctx.radius)  # type: ignore[no-untyped-call]
        return shuffled, None, None


def _sources(y: Tensor, places: Tensor, shifts: Tensor) -> Tensor:
    """The sum of all of y (B, L, ...) that came from `places`: (B, places, ...)."""
    last = y.shape[1] - 1
    moved = places + shifts  # (B, places)
    # A shift to later mirrors at the start, one to earlier at the end; the edge sample is not repeated.
    mirrored = torch.where(shifts > 0, shifts - places, 2 * last + shifts - places)
    reflected = torch.where(shifts > 0, (places > 0) & (mirrored >= 0), (places < last) & (mirrored <= last))
    direct = _take(y, moved.clamp(0, last)) * _like(((moved >= 0) & (moved <= last)), y)
    return direct + _take(y, mirrored.clamp(0, last)) * _like(reflected & (shifts != 0), y)


def _take(x: Tensor, places: Tensor) -> Tensor:
    """x (B, L, ...) at places (B, P): (B, P, ...)."""
    return x[torch.arange(len(x), device=x.device)[:, None], places]


def _like(mask: Tensor, y: Tensor) -> Tensor:
    """A mask (B, P), to be multiplied with (B, P, ...)."""
    return mask.to(y.dtype).view(*mask.shape, *[1] * (y.dim() - 2))
