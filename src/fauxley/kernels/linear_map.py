"""Linear maps that automatic differentiation is told of by their transposed maps, which are their derivatives."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def apply_linear(x: Tensor, there: Map, back: Map) -> Tensor:
    """`there` of x, a linear map whose transposed map is `back`; differentiable to any order."""
    result: Tensor = _Apply.apply(x, there, back)  # type: ignore[no-untyped-call]
    return result


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Map, back: Map) -> Tensor:
        ctx.maps = there, back
        return there(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        there, back = ctx.maps
        return apply_linear(grads[0], back, there), None, None
