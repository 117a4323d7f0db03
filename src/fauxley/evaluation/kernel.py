"""Kernel distance between two sets of features: squared maximum mean discrepancy, unbiased (KID, Bińkowski et al.
2018).

    MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y),    k(a, b) = (a·b / D + 1)³

with x ≠ x' and y ≠ y'. Unlike the Fréchet distance it assumes no Gaussian and its mean does not depend on the number
of clips, so it is the one to trust when there are few; and being unbiased it can be below zero. Its uncertainty comes
from subsets: the distance of many pairs of random subsets, whose spread is shown by a confidence interval of the
mean.

Features are scaled by the reference's overall standard deviation first, so that the cube neither vanishes nor
explodes whatever the embedding's unit; figures of different embeddings are not comparable all the same.

Letters: N, M clips, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError

Float = NDArray[np.floating[Any]]


class KernelDistance(NamedTuple):
    """MMD² of all clips, and the 95 % confidence interval from subsets around it."""

    value: float
    low: float
    high: float


def squared_mmd(first: Float, second: Float) -> float:
    """Unbiased MMD² of features (N, D) and (M, D), as they are.

    Raises:
        UsageError: fewer than two clips on a side.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if min(len(x), len(y)) < 2:
        raise UsageError(f"a kernel distance needs two clips on each side at least; got {len(x)} and {len(y)}")
    return _within(x) + _within(y) - 2 * _sum(x, y) / (len(x) * len(y))


def kernel_distance(
    reference: Float, features: Float, seed: int = 0, subsets: int = 50, subset_size: int = 500
) -> KernelDistance:
    """MMD² with its confidence interval. Features are scaled by the standard deviation of `reference` around its mean.

    The interval is the value ± 1.96 standard errors, from random subsets of m of the N clips. Those of a finite set
    vary less than fresh ones would: the error of the value is their standard deviation times √(m / (N - m)), the
    jackknife that leaves out N - m (Shao and Wu 1989). It is cautious where the sets are the same.
    """
    value = squared_mmd(*_scaled(reference, features))
    rng = np.random.default_rng(seed)
    count = min(len(reference), len(features))
    size = max(2, min(subset_size, count // 2))
    values = [
        squared_mmd(*_scaled(*(x[rng.choice(len(x), size, replace=False)] for x in (reference, features))))
        for _ in range(subsets)
    ]
    error = float(np.std(values, ddof=1) * np.sqrt(size / max(count - size, 1)))
    return KernelDistance(value, value - 1.96 * error, value + 1.96 * error)


def _scaled(reference: Float, features: Float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = np.asarray(reference, np.float64)
    centre = x.mean(0)
    scale = float(np.sqrt(np.mean(np.square(x - centre)))) or 1.0
    return (x - centre) / scale, (np.asarray(features, np.float64) - centre) / scale


_BLOCK = 4096  # rows at a time: the kernel's matrix of 50,000 clips would take 20 GB


def _within(x: NDArray[np.float64]) -> float:
    """Mean of the kernel over pairs of different clips."""
    own = np.power(np.square(x).sum(1) / x.shape[1] + 1, 3).sum()
    return float((_sum(x, x) - own) / (len(x) * (len(x) - 1)))


def _sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    total = 0.0
    for start in range(0, len(x), _BLOCK):
        for begin in range(0, len(y), _BLOCK):
            inner = x[start : start + _BLOCK] @ y[begin : begin + _BLOCK].T / x.shape[1] + 1
            total += float((inner * inner * inner).sum())
    return total
