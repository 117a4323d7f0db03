"""Fréchet distance between two sets of features, each taken for a Gaussian (Heusel et al. 2017; FAD, Kilgour et al.
2019).

    d² = |μ₁ - μ₂|² + tr(Σ₁) + tr(Σ₂) - 2 tr (Σ₁ Σ₂)^½

The trace of the root is the sum of the roots of the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric and has those of
Σ₁ Σ₂. Nothing but symmetric matrices is taken apart: the root of a matrix that is not symmetric is where
implementations lose digits, and one reason why they disagree.

The other reason is the number of clips: the estimate is too large by about a constant over N.
`frechet_distance_infinity` measures at several N and extends the line to 1/N = 0 (Chong and Forsyth 2020).

Letters: N clips, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError

Float = NDArray[np.floating[Any]]


class Gaussian(NamedTuple):
    """Mean (D,) and unbiased covariance (D, D) of features."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def fit_gaussian(features: Float) -> Gaussian:
    """Mean and covariance of features (N, D).

    Raises:
        UsageError: fewer than two clips.
    """
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise UsageError(f"a distance needs features of two clips at least, (N, D); got {x.shape}")
    mean = x.mean(0)
    centred = x - mean
    return Gaussian(mean, centred.T @ centred / (len(x) - 1))


def frechet_distance(first: Float | Gaussian, second: Float | Gaussian) -> float:
    """d² between two sets of features (N, D), or what was fitted to them. Never negative."""
    a = first if isinstance(first, Gaussian) else fit_gaussian(first)
    b = second if isinstance(second, Gaussian) else fit_gaussian(second)
    if a.mean.shape != b.mean.shape:
        raise UsageError(f"features must have the same dimensions; got {a.mean.shape[0]} and {b.mean.shape[0]}")
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ b.covariance @ root)
    trace = np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(np.maximum(middle, 0)).sum()
    return float(max(0.0, np.square(a.mean - b.mean).sum() + trace))


def frechet_distance_infinity(reference: Float | Gaussian, features: Float, seed: int = 0, points: int = 8) -> float:
    """The distance that infinitely many clips would have, by a straight line through d²(1/N).

    Args:
        reference: the real side, taken as it is.
        features: (N, D) of the side whose N is varied, from a quarter of it to all.
        seed: of the order in which clips are taken.

    Raises:
        UsageError: fewer than 8 clips.
    """
    count = len(features)
    if count < 8:
        raise UsageError(f"extrapolation needs 8 clips at least; got {count}")
    target = reference if isinstance(reference, Gaussian) else fit_gaussian(reference)
    order = np.random.default_rng(seed).permutation(count)
    sizes = np.unique(np.round(1 / np.linspace(4 / count, 1 / count, points)).astype(np.int64))
    sizes = sizes[sizes >= 2]
    distances = [frechet_distance(target, features[order[:size]]) for size in sizes]
    _, offset = np.polyfit(1 / sizes, distances, 1)
    return float(offset)
