"""Precision, recall, density and coverage: how good clips are and how much they miss, told apart.

A set's manifold is the union of balls around its clips, each reaching to its k-th nearest neighbour of the same set.

    precision   share of generated clips inside the real manifold          Kynkäänniemi et al. 2019, k = 5 here
    recall      share of real clips inside the generated manifold
    density     real balls a generated clip lies in, over k; up to N / k   Naeem et al. 2020
    coverage    share of real balls that hold a generated clip

A clip on the surface of a ball is outside, as in the authors' code (prdc: `<`): a ball that reaches to an exact copy of
its centre has no inside, so a set in which every clip comes more than k times recalls nothing.

Distances from all to all are one blocked product; counts need no more memory than a block. Precision and recall let
a single outlier with a huge ball speak for many; density and coverage do not.

Letters: N real, M generated clips, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.evaluation.metrics.neighbours import nearest, squared_distances
from fauxley.evaluation.metrics.validation import check_features

Float = NDArray[np.floating[Any]]

_BLOCK = 2048
_SHORTER = 1 - 1e-9  # so that rounding does not decide who lies on a ball's surface


class PrecisionRecall(NamedTuple):
    """The four shares; the module says what they are."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: Float, generated: Float, k: int = 5) -> PrecisionRecall:
    """Compare features of real, (N, D), and generated clips, (M, D).

    Raises:
        UsageError: a side has no more than k clips, other dimensions, or numbers that are not finite.
    """
    check_features(k + 1, real=real, generated=generated)
    x, y = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    centre = x.mean(0)
    x, y = x - centre, y - centre
    real_reach, generated_reach = (_SHORTER * np.square(nearest(z, z, k, same=True)[0][:, -1]) for z in (x, y))
    inside_real = np.zeros(len(y), np.int64)  # real balls around each generated clip
    recalled, covered = np.zeros(len(x), bool), np.zeros(len(x), bool)
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        for begin in range(0, len(y), _BLOCK):
            columns = slice(begin, begin + _BLOCK)
            squared = squared_distances(x[rows], y[columns])
            in_real = squared < real_reach[rows, None]
            inside_real[columns] += in_real.sum(0)
            covered[rows] |= in_real.any(1)
            recalled[rows] |= (squared < generated_reach[columns]).any(1)
    return PrecisionRecall(
        precision=float((inside_real > 0).mean()),
        recall=float(recalled.mean()),
        density=float(inside_real.mean() / k),
        coverage=float(covered.mean()),
    )
