"""How far a classifier's probabilities can be believed: confusion, calibration error, temperature.

The inception score is made of probabilities, not of decisions. A classifier that says 0.6 where it is right in 99 of
100 cases finds every set of sounds worse than it is, and one that says 0.99 to everything finds no fault with noise.

Letters: N clips, K labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating[Any]]
Int = NDArray[np.int64]


def accuracy(probabilities: Float, labels: Int) -> float:
    """Share of clips whose likeliest label, of (N, K), is theirs, (N,)."""
    return float((probabilities.argmax(1) == labels).mean())


def confusion(probabilities: Float, labels: Int) -> Int:
    """How often label i was taken for label j: (K, K), rows are the truth."""
    count = probabilities.shape[1]
    cells = np.bincount(labels * count + probabilities.argmax(1), minlength=count * count)
    return cells.reshape(count, count)


def calibration_error(probabilities: Float, labels: Int, bins: int = 15) -> float:
    """Expected calibration error (Naeini et al. 2015): |accuracy - confidence| by bins of equal width, weighted by
    count.

    0 where a confidence of 0.8 means being right in 80 of 100 cases.
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(which, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def fit_temperature(logits: Float, labels: Int) -> float:
    """The T for which softmax(logits / T) makes the labels likeliest (Guo et al. 2017, section 4.2).

    The loss is convex in 1/T; golden-section search between 1/20 and 20 finds its minimum to 4 digits.
    """
    z = np.asarray(logits, np.float64)

    def loss(inverse: float) -> float:
        scaled = z * inverse
        scaled -= scaled.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]))

    low, high, ratio = 0.05, 20.0, (np.sqrt(5) - 1) / 2
    while high - low > 1e-4 * low:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(2 / (low + high))
