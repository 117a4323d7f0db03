"""NDB: the number of statistically different bins (Richardson and Weiss 2018).

Real clips are divided into bins by k-means; each bin's share of the generated clips is compared with its share of other
real clips. A bin whose shares differ by more than chance is a mode that the model makes too often or too seldom. The
module also computes the Jensen-Shannon divergence between the two histograms, which needs no threshold.

Letters: N clips, D dimensions, B bins.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.evaluation.metrics.neighbours import nearest
from fauxley.evaluation.metrics.validation import check_features

Float = NDArray[np.floating[Any]]
Int = NDArray[np.int64]

_ITERATIONS = 20
_CRITICAL = 1.959964  # two-sided, 5 %


class DifferentBins(NamedTuple):
    """The share of bins that differ at the 5 % level (0.05 by chance), and the divergence in bits (0 to 1)."""

    different: float
    divergence: float
    num_bins: int


def different_bins(real: Float, generated: Float, seed: int = 0, num_bins: int = 50) -> DifferentBins:
    """Compare how real (N, D) and generated clips (M, D) fill the bins of the real ones.

    Dimensions are scaled to a standard deviation of 1; those that hardly vary get less. There are fewer bins if real
    clips are fewer than 10 to a bin.

    Raises:
        UsageError: a side has fewer than 10 clips, dimensions differ, or numbers are not finite.
    """
    check_features(10, real=real, generated=generated)
    num_bins = max(2, min(num_bins, len(real) // 10))
    x, y = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    # Dimensions that hardly vary must not decide: scaling would raise their noise to the size of the others.
    spread = np.maximum(x.std(0), max(0.1 * float(np.sqrt(x.var(0).mean())), 1e-12))
    mean = x.mean(0)
    x, y = (x - mean) / spread, (y - mean) / spread
    centres = _k_means(x, num_bins, np.random.default_rng(seed))
    counts = [np.bincount(nearest(z, centres)[1][:, 0], minlength=num_bins) for z in (x, y)]
    p, q = counts[0] / len(x), counts[1] / len(y)
    pooled = (counts[0] + counts[1]) / (len(x) + len(y))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(x) + 1 / len(y)))
    z = np.abs(p - q) / np.where(error > 0, error, np.inf)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return DifferentBins(float((z > _CRITICAL).mean()), divergence, num_bins)


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    filled = p > 0
    return float((p[filled] * np.log2(p[filled] / q[filled])).sum())


def _k_means(x: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Centres (B, D) by Lloyd's algorithm, starting from k-means++ (Arthur and Vassilvitskii 2007)."""
    centres = x[[rng.integers(len(x))]]
    squared = np.square(x - centres[0]).sum(1)
    for _ in range(count - 1):
        total = squared.sum()
        chosen = rng.choice(len(x), p=squared / total if total > 0 else None)
        centres = np.concatenate([centres, x[[chosen]]])
        squared = np.minimum(squared, np.square(x - x[chosen]).sum(1))
    for _ in range(_ITERATIONS):
        which = nearest(x, centres)[1][:, 0]
        filled = np.unique(which)
        moved = centres.copy()
        moved[filled] = [x[which == bin_].mean(0) for bin_ in filled]
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres
