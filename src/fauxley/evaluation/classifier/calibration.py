"""Reliability of a classifier's probabilities: accuracy, confusion, calibration error, temperature.

The inception score is made of probabilities, not of decisions. A classifier that says 0.6 where it is right in 99 of
100 cases rates every set of sounds too low, and one that says 0.99 to everything finds no fault with noise.

A temperature fitted on few sources suits only those: on drums it made the calibration of others worse. So it is used
only if it helps on sources that it was not fitted on.

Letters: N clips, K labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fauxley.evaluation.classifier.grouping import grouped_folds

Float = NDArray[np.floating[Any]]
Int = NDArray[np.int64]


def accuracy(probabilities: Float, labels: Int) -> float:
    """The share of clips whose likeliest label, by (N, K), is their label (N,)."""
    return float((probabilities.argmax(1) == labels).mean())


def confusion(probabilities: Float, labels: Int) -> Int:
    """The confusion matrix (K, K): how often label i (row) was taken for label j (column)."""
    count = probabilities.shape[1]
    cells = np.bincount(labels * count + probabilities.argmax(1), minlength=count * count)
    return cells.reshape(count, count)


def calibration_error(probabilities: Float, labels: Int, bins: int = 15) -> float:
    """The expected calibration error: |accuracy - confidence| in bins of equal width, weighted by count.

    It is 0 if a confidence of 0.8 means being right in 80 of 100 cases (Naeini et al. 2015).
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(which, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def helpful_temperature(logits: Float, labels: Int, groups: Int, folds: int = 5) -> float:
    """The temperature fitted on all clips, if temperatures fitted on some sources help on others; otherwise 1.

    The clips are divided into `folds` folds such that no source (N,) is in two. A temperature helps if, with each fold
    judged by the temperature fitted on the other folds, labels are likelier and the calibration error is not larger
    than without. With fewer sources than folds the result is 1, because too little is known: two drum machines agreed
    on a temperature that harmed five others.
    """
    parts = grouped_folds(groups, folds)
    if len(parts) < folds:
        return 1.0
    divisor = np.ones(len(labels))
    for held in parts:
        divisor[held] = fit_temperature(logits[~held], labels[~held])
    plain, divided = softmax(logits), softmax(logits / divisor[:, None])
    helps = log_loss(divided, labels) < log_loss(plain, labels)
    helps &= calibration_error(divided, labels) <= calibration_error(plain, labels)
    return fit_temperature(logits, labels) if helps else 1.0


def fit_temperature(logits: Float, labels: Int) -> float:
    """The T for which softmax(logits / T) makes the labels likeliest (Guo et al. 2017, section 4.2).

    One label in N + 2, for N clips, is assumed to be random (Platt 1999); otherwise, if a few answers are all right, no
    T would be small enough. The loss is convex in 1/T; golden-section search between 1/20 and 20 finds its minimum to 4
    digits.
    """
    doubt = 1 / (len(labels) + 2)
    z = np.asarray(logits, np.float64) - np.max(logits, 1, keepdims=True)
    expected = (1 - doubt) * z[np.arange(len(labels)), labels] + doubt * z.mean(1)

    def loss(inverse: float) -> float:
        return float((np.log(np.exp(z * inverse).sum(1)) - expected * inverse).mean())

    low, high, ratio = 0.05, 20.0, (np.sqrt(5) - 1) / 2
    while high - low > 1e-4 * low:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(2 / (low + high))


def softmax(logits: Float) -> NDArray[np.float64]:
    """Convert logits (N, K) to probabilities (N, K)."""
    powers = np.exp(logits - logits.max(1, keepdims=True), dtype=np.float64)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def log_loss(probabilities: Float, labels: Int) -> float:
    """The mean of -ln p over clips, where p is the probability (N, K) of the clip's label (N,)."""
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-300)).mean())
