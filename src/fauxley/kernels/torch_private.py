"""Functions of PyTorch that it does not promise to keep, each behind one function here with a fallback.

The rest of the program uses no private or low-level name of PyTorch directly.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

_ONE_TAP = (0, 0), (1, 1), (1, 1)  # padding, stride, dilation
_HOOKS = "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"


def correlate_images(
    x: Tensor, y: Tensor, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """The derivative of a convolution by its weight, from x (B, I, H, W) and y (B, O, m, n): (O, I, *kernel)."""
    shape = (y.shape[1], x.shape[1], *kernel)
    weight: Tensor = nn.grad.conv2d_weight(x, shape, y, stride, padding)  # type: ignore[attr-defined]
    return weight


def leaky_relu_slopes(signal: Tensor, output: Tensor, slope: float) -> Tensor:
    """Multiply a signal by the slopes of a leaky ReLU, given its output, or its input, which has the same sign."""
    try:
        fused = torch.ops.aten.leaky_relu_backward
    except AttributeError:
        return torch.where(output > 0, signal, slope * signal)
    product: Tensor = fused(signal, output, slope, True)
    return product


def is_unaltered(module: nn.Module, forward: Callable[..., Any]) -> bool:
    """Whether calling `module` runs exactly this `forward` of its class: no override, no hooks.

    The answer is no where this version of PyTorch keeps hooks in unknown places.
    """
    try:
        hooked = any(getattr(module, hooks) for hooks in _HOOKS) or torch_module._has_any_global_hook()  # type: ignore[no-untyped-call]
    except AttributeError:
        return False
    return type(module).forward is forward and "forward" not in vars(module) and not hooked


def may_have_bfloat16() -> bool:
    """Whether this processor may have instructions for bfloat16; True where PyTorch does not tell."""
    try:
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    except (AttributeError, RuntimeError):
        return True


def fused_adam(
    weights: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    rate: Tensor,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Update weights by Adam's rule without bias correction, which is in the rate: w -= rate · m / (√v + ε).

    PyTorch's kernel takes one pass over memory. It is told that infinitely many updates went before, which makes its
    own bias correction 1.
    """
    infinite = [torch.full_like(rate, torch.inf)] * len(weights)
    beta1, beta2 = betas
    try:
        fused = torch._fused_adam_
    except AttributeError:
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        for weight, mean, square in zip(weights, means, squares, strict=True):
            weight.sub_(rate * mean / (square.sqrt() + epsilon))
        return
    fused(
        weights,
        gradients,
        means,
        squares,
        [],
        infinite,
        lr=rate,
        beta1=beta1,
        beta2=beta2,
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


# The next four are oneDNN's, as PyTorch's compiler calls it. `packing.has_packing` finds out whether they exist and are
# right; where they are not, nothing is packed.


def pack_matrix(weight: Tensor, rows: int) -> Tensor:
    """Lay out a weight (O, I) for products with this number of rows of inputs."""
    return cast(Tensor, torch.ops.mkldnn._reorder_linear_weight(weight, rows))


def multiply_packed_matrix(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Multiply rows (R, I) by a packed weight and add a bias (O,): (R, O)."""
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], ""))


def pack_matrices(weights: Tensor, rows: int) -> Tensor:
    """Lay out M weights (M, I, O) for products with matrices (rows, I)."""
    products, inputs, outputs = weights.shape
    images = weights.transpose(1, 2).reshape(products * outputs, inputs, 1, 1)
    shape = (1, products * inputs, 1, rows)
    reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
    return reorder(images.to_mkldnn(), *_ONE_TAP, products, shape)


def multiply_packed_matrices(matrices: Tensor, packed: Sequence[Tensor]) -> Tensor:
    """Multiply row m of each sample with packed weight m and add a bias (M·O,): (rows, M, I) to (rows, M, O)."""
    rows, products, _ = matrices.shape
    image = matrices.view(1, 1, rows, -1).permute(0, 3, 1, 2)  # a row of pixels, channels last
    y: Tensor = torch.ops.mkldnn._convolution_pointwise(image, *packed, *_ONE_TAP, products, "none", [], "")
    return y.permute(0, 2, 3, 1).reshape(rows, products, -1)
