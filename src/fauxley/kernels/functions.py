"""The functions that networks are made of, defined in plain PyTorch, and the switch to fast implementations.

Networks call these like PyTorch's own functions. The definitions here say what is computed. The fast implementations in
the other modules of this package compute the same in another order; tests compare both.

    with use("plain"): ...          compute by these definitions inside the block
    FAUXLEY_KERNELS=plain           the same for a whole program; the default is fast

Letters: B batch, L samples, H × W size, I and O channels, k kernel length, s stride.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.errors import UsageError
from fauxley.kernels.algorithm import Plain, Plan, accelerate, same_padding
from fauxley.kernels.algorithms_2d import plan_2d, plan_up_2d
from fauxley.kernels.polyphase import plan_down, plan_up, plan_up_nearest
from fauxley.kernels.shifting import shift

SLOPE = 0.2
"""Slope of the critics' leaky ReLU below zero."""

Implementation = Literal["plain", "fast"]
_chosen: ContextVar[str | None] = ContextVar("kernels", default=None)


@contextmanager
def use(implementation: Implementation) -> Iterator[None]:
    """Compute all of these functions plainly, or fast, inside a `with` block.

    Raises:
        UsageError: there is no such implementation.
    """
    token = _chosen.set(_checked(implementation, "the implementation"))
    try:
        yield
    finally:
        _chosen.reset(token)


def is_fast() -> bool:
    """Whether the fast implementations are in use."""
    chosen = _chosen.get() or _checked(os.environ.get("FAUXLEY_KERNELS") or "fast", "FAUXLEY_KERNELS")
    return chosen == "fast"


def _checked(name: str, what: str) -> str:
    if name not in ("plain", "fast"):
        raise UsageError(f"{what} must be plain or fast; got {name!r}")
    return name


@dataclass(frozen=True)
class Convolution:
    """A convolution, called with x, a weight, a bias (O,) and a stride. It computes in the precision of x.

    Args:
        plain: its definition.
        plan: plans the fast computation for an x, a weight and a stride.
    """

    plain: Plain
    plan: Callable[[Tensor, Tensor, int], Plan]

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        if not is_fast():
            return self.plain(x, weight, bias, stride)
        return accelerate(self.plain, self.plan(x, weight, stride), x, weight, bias, stride)


def _down(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolve x (B, L, I) with a weight (k, I, O) every s samples: (B, L/s, O). s must divide L."""
    padded = F.pad(x.transpose(1, 2), same_padding(len(weight), stride))
    kernel = weight.to(x.dtype).permute(2, 1, 0)
    return F.conv1d(padded, kernel, bias.to(x.dtype), stride).transpose(1, 2)


def _up(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolve x (B, L, I), with s - 1 zeros after each sample, with a weight (k, I, O): (B, s·L, O)."""
    front, _ = same_padding(len(weight), stride)
    kernel = weight.to(x.dtype).permute(1, 2, 0)
    missing = max(stride - len(weight), 0)
    y = F.conv_transpose1d(x.transpose(1, 2), kernel, bias.to(x.dtype), stride, output_padding=missing)
    return y[:, :, front : front + stride * x.shape[1]].transpose(1, 2)


def _up_nearest(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolve x (B, L, I), with each sample repeated s times, with a weight (k, I, O): (B, s·L, O)."""
    return _down(x.repeat_interleave(stride, dim=1), weight, bias, 1)


def _images(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolve x (B, I, H, W) with a weight (O, I, k, k) every s pixels along both axes: (B, O, H/s, W/s)."""
    front, back = same_padding(weight.shape[-1], stride)
    padded = F.pad(x, (front, back, front, back))
    return F.conv2d(padded, weight.to(x.dtype), bias.to(x.dtype), stride)


def _up_images(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolve x (B, I, H, W), with s - 1 zeros after each pixel, with a weight (I, O, k, k): (B, O, s·H, s·W)."""
    front, _ = same_padding(weight.shape[-1], stride)
    missing = max(stride - weight.shape[-1], 0)
    y = F.conv_transpose2d(x, weight.to(x.dtype), bias.to(x.dtype), stride, output_padding=missing)
    height, width = stride * x.shape[2], stride * x.shape[3]
    return y[:, :, front : front + height, front : front + width]


convolve_down = Convolution(_down, plan_down)
convolve_up = Convolution(_up, plan_up)
convolve_up_nearest = Convolution(_up_nearest, plan_up_nearest)
convolve_images = Convolution(_images, plan_2d)
convolve_up_images = Convolution(_up_images, plan_up_2d)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2: max(0.2 x, x)."""
    return F.leaky_relu(x, SLOPE)


def phase_shuffle(x: Tensor, shifts: Tensor, radius: int, dim: int = 1) -> Tensor:
    """Phase shuffle: shift each example of x (B, ...) along `dim`, filling the gap by reflection (paper, section 3.3).

    Args:
        shifts: the samples by which each example is delayed, int64 (B,).
        radius: the largest possible shift, less than the number of samples.
    """
    if is_fast() or not _are_known(shifts):
        return shift(x, shifts, radius, dim)
    length, signal = x.shape[dim], x.movedim(dim, -1)
    padded = F.pad(signal.flatten(1, -2), (radius, radius), mode="reflect")  # (B, ., r + L + r)
    known, counts = torch.unique_consecutive(shifts, return_counts=True)
    parts = zip(torch.split(padded, counts.tolist()), known.tolist(), strict=True)
    shifted = torch.cat([part.narrow(-1, radius - shift, length) for part, shift in parts])
    return shifted.view(signal.shape).movedim(-1, dim)


def _are_known(shifts: Tensor) -> bool:
    """Whether shifts can be read here. Those on a GPU cannot without waiting, nor while a CUDA graph is recorded."""
    return not shifts.is_cuda
