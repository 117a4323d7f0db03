"""Kernel distances between two sets of features: the squared maximum mean discrepancy, unbiased (Gretton et al. 2012).

    MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y)

with x ≠ x' and y ≠ y'. Unlike the Fréchet distance it does not assume Gaussians, and its mean does not depend on the
number of clips, so it is the most reliable distance for few clips. Because it is unbiased it can be below zero. Its
confidence interval comes from the distances of many pairs of random subsets.

There are three of them, which differ in the kernel:

    kid               k(a, b) = (a·b / D + 1)³, features not scaled             KID, Bińkowski et al. 2018
    kad               k(a, b) = exp(-|a - b|² / (2 σ²)), times 100, where σ is   KAD, Chung et al. 2025
                      the median distance between clips of the reference
    kernel_distance   KID's of features that are first centred and scaled, so that the cube neither vanishes nor
                      explodes for any unit of the embedding: not comparable with published figures

The scale of a kernel must be determined beforehand, on the training data: if each small reference set determined its
own scale, the distance would be biased again.

Letters: N, M clips, D dimensions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.evaluation.metrics.neighbours import squared_distances
from fauxley.evaluation.metrics.validation import check_features

Float = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]
Kernel = Callable[[Float64, Float64], Float64]
Progress = Callable[[int], None]

KAD_FACTOR = 100  # in the authors' code
_SUBSETS = 50
_SUBSET_SIZE = 500
_BLOCK = 4096  # rows at a time: the whole kernel matrix of 50,000 clips would take 20 GB
_MEDIAN_CLIPS = 3000  # at most, for the median of their 4.5 million distances


class KernelDistance(NamedTuple):
    """MMD² of all clips, and its 95 % confidence interval from subsets."""

    value: float
    low: float
    high: float


class Scale(NamedTuple):
    """The centre (D,) that is subtracted from features, and the unit that divides them, before a fixed kernel."""

    centre: Float64
    unit: float


def fit_scale(reference: Float) -> Scale:
    """Fit the mean of features (N, D) and their overall standard deviation around it.

    Raises:
        UsageError: there are fewer than two clips, or numbers are not finite.
    """
    check_features(2, reference=reference)
    x = np.asarray(reference, np.float64)
    centre = x.mean(0)
    return Scale(centre, float(np.sqrt(np.mean(np.square(x - centre)))) or 1.0)


def median_distance(reference: Float) -> float:
    """The median Euclidean distance between the clips of (N, D), KAD's bandwidth; 1 if all clips are equal.

    Only the first 3000 clips are used.

    Raises:
        UsageError: there are fewer than two clips, or numbers are not finite.
    """
    check_features(2, reference=reference)
    x = np.asarray(reference[:_MEDIAN_CLIPS], np.float64)
    x = x - x.mean(0)
    squared = squared_distances(x, x)[np.triu_indices(len(x), 1)]
    return float(np.median(np.sqrt(squared))) or 1.0


def polynomial(x: Float64, y: Float64) -> Float64:
    """(x·y / D + 1)³ of rows (N, D) and (M, D): (N, M)."""
    inner = x @ y.T / x.shape[1] + 1
    return np.asarray(inner * inner * inner)


def gaussian(bandwidth: float) -> Kernel:
    """The kernel exp(-|x - y|² / (2 σ²)) of rows (N, D) and (M, D): (N, M)."""
    return lambda x, y: np.asarray(np.exp(squared_distances(x, y) / (-2 * bandwidth**2)))


def squared_mmd(first: Float, second: Float, kernel: Kernel = polynomial) -> float:
    """Unbiased MMD² of features (N, D) and (M, D), not scaled.

    Raises:
        UsageError: a side has fewer than two clips, dimensions differ, or numbers are not finite.
    """
    check_features(2, first=first, second=second)
    return _squared_mmd(np.asarray(first, np.float64), np.asarray(second, np.float64), kernel)


def kid(
    reference: Float,
    features: Float,
    seed: int = 0,
    subsets: int = _SUBSETS,
    progress: Progress = lambda done: None,
) -> KernelDistance:
    """KID as published; for `Raises`, see `squared_mmd`."""
    return _with_interval(reference, features, lambda x, y: _squared_mmd(x, y, polynomial), seed, subsets, progress)


def kad(
    reference: Float,
    features: Float,
    seed: int = 0,
    bandwidth: float | None = None,
    subsets: int = _SUBSETS,
    progress: Progress = lambda done: None,
) -> KernelDistance:
    """KAD as published, times 100; for `Raises`, see `squared_mmd`.

    Args:
        bandwidth: σ; None for that of this reference.
    """
    check_features(2, reference=reference, generated=features)
    kernel = gaussian(median_distance(reference) if bandwidth is None else bandwidth)
    centre = np.mean(reference, axis=0, dtype=np.float64)  # changes no distance, but loses fewer digits

    def distance(x: Float64, y: Float64) -> float:
        return KAD_FACTOR * _squared_mmd(x - centre, y - centre, kernel)

    return _with_interval(reference, features, distance, seed, subsets, progress)


def kernel_distance(
    reference: Float,
    features: Float,
    seed: int = 0,
    scale: Scale | None = None,
    subsets: int = _SUBSETS,
    progress: Progress = lambda done: None,
) -> KernelDistance:
    """KID of scaled features; for `Raises`, see `squared_mmd`.

    Args:
        scale: centre and unit, fitted on the training data. None fits them on the reference, and in each subset
            separately, which is biased for small sets.
    """

    def distance(x: Float64, y: Float64) -> float:
        centre, unit = scale or fit_scale(x)
        return _squared_mmd((x - centre) / unit, (y - centre) / unit, polynomial)

    return _with_interval(reference, features, distance, seed, subsets, progress)


def _with_interval(
    reference: Float,
    features: Float,
    distance: Callable[[Float64, Float64], float],
    seed: int,
    subsets: int,
    progress: Progress,
) -> KernelDistance:
    """The distance of all clips, ± 1.96 standard errors from random subsets of m of the N clips.

    Subsets of a finite set vary less than new sets would: the error of the value is their standard deviation times
    √(m / (N - m)), the jackknife that leaves out N - m (Shao and Wu 1989). It is cautious if the sets are the same.
    """
    check_features(2, reference=reference, generated=features)
    x, y = np.asarray(reference, np.float64), np.asarray(features, np.float64)
    value = distance(x, y)
    rng = np.random.default_rng(seed)
    count = min(len(x), len(y))
    size = max(2, min(_SUBSET_SIZE, count // 2))
    values = []
    for _ in range(subsets):
        some, others = (z[rng.choice(len(z), size, replace=False)] for z in (x, y))
        values.append(distance(some, others))
        progress(1)
    error = float(np.std(values, ddof=1) * np.sqrt(size / max(count - size, 1)))
    return KernelDistance(value, value - 1.96 * error, value + 1.96 * error)


def _squared_mmd(x: Float64, y: Float64, kernel: Kernel) -> float:
    return _within(x, kernel) + _within(y, kernel) - 2 * _sum(x, y, kernel) / (len(x) * len(y))


def _within(x: Float64, kernel: Kernel) -> float:
    """The mean of the kernel over pairs of different clips."""
    own = sum(float(np.trace(kernel(x[row : row + 256], x[row : row + 256]))) for row in range(0, len(x), 256))
    return (_sum(x, x, kernel) - own) / (len(x) * (len(x) - 1))


def _sum(x: Float64, y: Float64, kernel: Kernel) -> float:
    return sum(
        float(kernel(x[start : start + _BLOCK], y[begin : begin + _BLOCK]).sum())
        for start in range(0, len(x), _BLOCK)
        for begin in range(0, len(y), _BLOCK)
    )
