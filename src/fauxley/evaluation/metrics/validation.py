"""Checks of the arrays given to metrics, before anything is computed, with a message for each mistake.

All comparisons with NaN are false, so an unnoticed NaN would look like a perfect histogram or a plausible precision.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError

Float = NDArray[np.floating[Any]]

_LARGEST = 1e15  # sums of squares of such numbers are still finite in single precision
_ROWS = 4096  # checked at a time, so that features in a mapped file need not fit in memory


def check_features(least: int, **sets: Float) -> None:
    """Check features (N, D), given by the names for messages.

    Args:
        least: the fewest clips that each set may have.

    Raises:
        UsageError: a set is not a matrix, is too small, has other dimensions than the first, or holds NaN, infinity or
            numbers beyond 1e15.
    """
    dimensions = None
    for name, features in sets.items():
        if features.ndim != 2 or not features.shape[1]:
            raise UsageError(f"{name} features must be (clips, dimensions); got the shape {features.shape}")
        if len(features) < least:
            raise UsageError(f"at least {least} clips are needed; there are {len(features)} {name} ones")
        if dimensions not in (None, features.shape[1]):
            raise UsageError(f"features must have the same dimensions; got {dimensions} and {features.shape[1]}")
        dimensions = features.shape[1]
        for start in range(0, len(features), _ROWS):
            _check_finite(f"{name} features", features[start : start + _ROWS])


def check_values(least: int, **samples: Float) -> None:
    """Check samples (N,) of one number for each clip.

    Raises:
        UsageError: a sample is not a vector, is too small, or holds NaN, infinity or numbers beyond 1e15.
    """
    for name, values in samples.items():
        if values.ndim != 1 or len(values) < least:
            raise UsageError(f"the {name} sample must be (N,), of at least {least} clips; got the shape {values.shape}")
        _check_finite(f"the {name} sample", values)


def check_probabilities(probabilities: Float) -> NDArray[np.float64]:
    """Check a classifier's probabilities (N, K), and convert them to double precision.

    Raises:
        UsageError: there are fewer than two, or they are not finite, negative, or do not sum to 1.
    """
    p = np.asarray(probabilities, np.float64)
    check_features(2, probabilities=p)
    if p.min() < 0 or np.abs(p.sum(1) - 1).max() > 1e-3:
        raise UsageError("probabilities must not be negative, and each clip's must sum to 1")
    return p


def _check_finite(what: str, values: Float) -> None:
    # Comparisons with NaN are false, so the comparison must be the one that good numbers pass.
    if values.size and not max(values.max(), -values.min()) <= _LARGEST:
        raise UsageError(f"{what} must be finite numbers below {_LARGEST:g}; some are not: leave those clips out")
