"""Fréchet distance between two sets of features, each taken for a Gaussian (Heusel et al. 2017; FAD, Kilgour et al.
2019).

    d² = |μ₁ - μ₂|² + tr(Σ₁) + tr(Σ₂) - 2 tr (Σ₁ Σ₂)^½

The trace of the root is the sum of the roots of the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric and has those of
Σ₁ Σ₂. Nothing but symmetric matrices is taken apart: the root of a matrix that is not symmetric is where
implementations lose digits, and one reason why they disagree.

The other reason is the number of clips: the estimate is too large by about a constant over N, for *each* side.
`frechet_distance_infinity` measures at several N and extends the line to 1/N = 0 (Chong and Forsyth 2020), drawing both
sides anew each time: with one side kept as it is, that side's part of the bias stays. Both sides get the same N, since
then the next term of the bias, that of 1/N², nearly cancels (measured: at D = 64, truth 0, 200 clips against 2000, the
line through different numbers ends at -0.6, that through equal ones at -0.1; without extrapolation it is 6.3).

Letters: N clips, D dimensions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.evaluation.metrics.validation import check_features

Float = NDArray[np.floating[Any]]

_SHARES = (1.0, 0.8, 0.65, 0.5)  # of the clips: where the line is measured
_ORDERS = 10


class Gaussian(NamedTuple):
    """Mean (D,) and unbiased covariance (D, D) of features."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


class Extrapolated(NamedTuple):
    """A distance for infinitely many clips, and half its 95 % interval."""

    value: float
    spread: float


def fit_gaussian(features: Float) -> Gaussian:
    """Mean and covariance of features (N, D).

    Raises:
        UsageError: fewer than two clips, or numbers that are not finite.
    """
    check_features(2, given=features)
    return _fit(features)


def frechet_distance(first: Float | Gaussian, second: Float | Gaussian) -> float:
    """d² between two sets of features (N, D), or what was fitted to them. Never negative.

    Raises:
        UsageError: fewer than two clips on a side, other dimensions, or numbers that are not finite.
    """
    a = first if isinstance(first, Gaussian) else fit_gaussian(first)
    b = second if isinstance(second, Gaussian) else fit_gaussian(second)
    if a.mean.shape != b.mean.shape:
        raise UsageError(f"features must have the same dimensions; got {a.mean.shape[0]} and {b.mean.shape[0]}")
    return max(0.0, _distance(a, b))


def frechet_distance_infinity(
    reference: Float,
    features: Float,
    seed: int = 0,
    orders: int = _ORDERS,
    progress: Callable[[int], None] = lambda done: None,
) -> Extrapolated:
    """The distance that infinitely many clips on both sides would have.

    Each order of the clips gives a line through d²(1/N), N from half of the smaller set to all of it, the N drawn from
    the whole of each side. The value is the mean of where the lines end; it may be below zero where the truth is zero.
    Its interval is ± 1.96 standard deviations of single lines, which holds the truth more often than 95 % of the time
    (the lines share clips, so their mean is surer than one, but not as much surer as ten would be), and at least as
    far as a curve through the same points ends away from the line. With fewer than about 2 D clips the line is not
    straight and the interval is wide.

    Args:
        reference, features: (M, D) and (N, D).
        seed: seed of the random orders.
        orders: number of orders.
        progress: called with 1 after each order.

    Raises:
        UsageError: fewer than 8 clips on a side, other dimensions, or numbers that are not finite.
    """
    check_features(8, reference=reference, generated=features)
    most = min(len(reference), len(features))
    sizes = np.unique([max(2, round(share * most)) for share in _SHARES])
    distances = np.empty((orders, len(sizes)))
    rng = np.random.default_rng(seed)
    for row in distances:
        order, other = rng.permutation(len(reference)), rng.permutation(len(features))
        row[:] = [_distance_of_sets(reference[order[:size]], features[other[:size]]) for size in sizes]
        progress(1)
    ends = np.polyfit(1 / sizes, distances.T, 1)[-1]
    curved = np.polyfit(1 / sizes, distances.mean(0), 2)[-1]
    value = float(ends.mean())
    return Extrapolated(value, float(max(1.96 * ends.std(ddof=1), abs(curved - value))))


def _fit(features: Float) -> Gaussian:
    x = np.asarray(features, np.float64)
    mean = x.mean(0)
    centred = x - mean
    return Gaussian(mean, centred.T @ centred / (len(x) - 1))


def _distance_of_sets(first: Float, second: Float) -> float:
    """d² of features (N, D) each. With fewer clips than dimensions, from N × N matrices: with centred X and Y the trace
    of the root is the sum of the singular values of X Yᵀ / (N - 1), at N/D of the cost cubed."""
    if len(first) >= first.shape[1]:
        return _distance(_fit(first), _fit(second))
    means = [np.mean(z, axis=0, dtype=np.float64) for z in (first, second)]
    x, y = ((z - mean) / np.sqrt(len(z) - 1) for z, mean in zip((first, second), means, strict=True))
    trace = np.square(x).sum() + np.square(y).sum() - 2 * np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(np.square(means[0] - means[1]).sum() + trace)


def _distance(a: Gaussian, b: Gaussian) -> float:
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ b.covariance @ root)
    trace = np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(np.maximum(middle, 0)).sum()
    return float(np.square(a.mean - b.mean).sum() + trace)
