"""Precision, recall, density and coverage: how good clips are, and how much they miss, as separate figures.

A set's manifold is the union of balls around its clips, each with the distance to the clip's k-th nearest neighbour in
the same set as its radius.

    precision   share of generated clips inside the real manifold          Kynkäänniemi et al. 2019, k = 5 here
    recall      share of real clips inside the generated manifold
    density     number of real balls around a generated clip, over k        Naeem et al. 2020
    coverage    share of real balls that contain a generated clip

A clip on the surface of a ball is outside, as in the authors' code (prdc: `<`). A ball whose radius is the distance to
an exact copy has no inside, so a set in which every clip occurs more than k times has a recall of 0.

Distances of all pairs are one product in blocks; counts need no more memory than a block. In precision and recall a
single outlier with a huge ball can count for many clips; in density and coverage it cannot.

Letters: N real, M generated clips, D dimensions.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.evaluation.metrics.neighbours import nearest, squared_distances
from fauxley.evaluation.metrics.validation import check_features

Float = NDArray[np.floating[Any]]

_BLOCK = 2048
_SHORTER = 1 - 1e-9  # so that rounding does not decide whether a clip is on the surface


class PrecisionRecall(NamedTuple):
    """The four figures; see the module's docstring."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: Float, generated: Float, k: int = 5) -> PrecisionRecall:
    """Compare features of real (N, D) and generated clips (M, D).

    Raises:
        UsageError: a side has no more than k clips, dimensions differ, or numbers are not finite.
    """
    check_features(k + 1, real=real, generated=generated)
    x, y = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    centre = x.mean(0)
    x, y = x - centre, y - centre
    real_reach, generated_reach = (_SHORTER * np.square(nearest(z, z, k, same=True)[0][:, -1]) for z in (x, y))
    inside_real = np.zeros(len(y), np.int64)  # the number of real balls around each generated clip
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
