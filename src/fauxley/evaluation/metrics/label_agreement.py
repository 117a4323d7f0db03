"""Whether clips are heard as the labels that they are meant to have.

A conditional model is asked for labels, and a classifier says what it hears. The classifier errs about real clips, too,
so its agreement is read beside, and divided by, that on real ones. Every label counts the same, however many clips it
has: what a model makes is balanced, and real clips seldom are.

Letters: N clips, K labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def confusion_matrix(asked: Array, probabilities: Array) -> Array:
    """How often each label, the row, was heard as each, the column: (K, K).

    Args:
        asked: place of the label of each clip, (N,); -1 where it has none that the classifier knows.
        probabilities: of the classifier, (N, K).
    """
    size = probabilities.shape[1]
    counts = np.zeros((size, size), np.int64)
    known = asked >= 0
    np.add.at(counts, (asked[known], probabilities[known].argmax(1)), 1)
    return counts


def agreement(confusion: Array, rows: Array | None = None) -> float:
    """The share of a label's clips that is heard as it, as a mean over labels.

    Args:
        confusion: (K, K), see `confusion_matrix`.
        rows: which labels count, (K,) bool; None: those that occur. NaN if none of them does.
    """
    totals = confusion.sum(1)
    counted = (totals > 0) if rows is None else (totals > 0) & rows
    return float((np.diag(confusion)[counted] / totals[counted]).mean()) if counted.any() else float("nan")
