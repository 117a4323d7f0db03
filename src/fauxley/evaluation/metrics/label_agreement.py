"""Agreement: whether a classifier hears the labels that clips should have.

A conditional model is asked for labels, and a classifier says what it hears. The classifier makes mistakes with real
clips, too, so its agreement is compared with, and divided by, that on real clips. Every label has the same weight,
however many clips it has: generated clips are balanced, and real ones seldom are.

Letters: N clips, K labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def confusion_matrix(asked: Array, probabilities: Array) -> Array:
    """How often each label (row) was heard as each label (column): (K, K).

    Args:
        asked: index of each clip's label, (N,); -1 where it has none that the classifier knows.
        probabilities: of the classifier, (N, K).
    """
    size = probabilities.shape[1]
    counts = np.zeros((size, size), np.int64)
    known = asked >= 0
    np.add.at(counts, (asked[known], probabilities[known].argmax(1)), 1)
    return counts


def agreement(confusion: Array, rows: Array | None = None) -> float:
    """The share of a label's clips that are heard as that label, averaged over labels.

    Args:
        confusion: (K, K), see `confusion_matrix`.
        rows: which labels count, (K,) bool; None for those that occur. Without any the result is NaN.
    """
    totals = confusion.sum(1)
    counted = (totals > 0) if rows is None else (totals > 0) & rows
    return float((np.diag(confusion)[counted] / totals[counted]).mean()) if counted.any() else float("nan")
