"""Precision, recall, density and coverage: how good clips are and how much they miss, told apart.

A set's manifold is the union of balls around its clips, each reaching to its k-th nearest neighbour of the same set.

    precision   share of generated clips inside the real manifold          Kynkäänniemi et al. 2019, k = 5 here
    recall      share of real clips inside the generated manifold
    density     real balls a generated clip lies in, over k; up to N / k   Naeem et al. 2020
    coverage    share of real balls that hold a generated clip

Distances from all to all are one blocked product; counts need no more memory than a block. Precision and recall let
a single outlier with a huge ball speak for many; density and coverage do not.

Letters: N real, M generated clips, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.evaluation.neighbours import nearest

Float = NDArray[np.floating[Any]]

_BLOCK = 2048


class PrecisionRecall(NamedTuple):
    """See the module."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: Float, generated: Float, k: int = 5) -> PrecisionRecall:
    """Compare features of real, (N, D), and generated clips, (M, D).

    Raises:
        UsageError: a side has no more than k clips.
    """
    if min(len(real), len(generated)) <= k:
        raise UsageError(
            f"precision and recall need more than {k} clips on each side; got {len(real)}, {len(generated)}"
        )
    x, y = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    centre = x.mean(0)
    x, y = x - centre, y - centre
    real_radius = nearest(x, x, k, same=True)[0][:, -1]
    generated_radius = nearest(y, y, k, same=True)[0][:, -1]
    inside_real = np.zeros(len(y), np.int64)  # real balls around each generated clip
    recalled, covered = np.zeros(len(x), bool), np.zeros(len(x), bool)
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        for begin in range(0, len(y), _BLOCK):
            columns = slice(begin, begin + _BLOCK)
            distance = _distances(x[rows], y[columns])
            in_real = distance <= real_radius[rows, None]
            inside_real[columns] += in_real.sum(0)
            covered[rows] |= in_real.any(1)
            recalled[rows] |= (distance <= generated_radius[columns]).any(1)
    return PrecisionRecall(
        precision=float((inside_real > 0).mean()),
        recall=float(recalled.mean()),
        density=float(inside_real.mean() / k),
        coverage=float(covered.mean()),
    )


def _distances(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = np.square(x).sum(1)[:, None] + np.square(y).sum(1) - 2 * x @ y.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)))
