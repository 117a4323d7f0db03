"""What the answers of a few listeners say about listeners and sounds in general.

Answers of one listener resemble one another, and so do answers about one sound. An interval that took them for
independent would be too narrow, so both are drawn anew (Owen, "The pigeonhole bootstrap", 2007), and differences are
tested within each listener.

Letters: N answers, R replicates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

REPLICATES = 2000
_LEVEL = 0.95
_AT_ONCE = 1 << 22  # answers times replicates in memory
_EXACT_UP_TO = 14  # listeners; 2^14 sign patterns
_MOST_PATTERNS = 20_000


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval.

    Attributes:
        mean: of all answers.
        low: of the interval; equal to the mean where there is nothing to draw anew.
        high: of the interval.
        answers: how many.
        listeners: of how many.
    """

    mean: float
    low: float
    high: float
    answers: int
    listeners: int


def estimate(values: Sequence[float], listeners: Sequence[int], items: Sequence[str], seed: int) -> Estimate | None:
    """The mean of `values` (N,) with an interval over both `listeners` and `items`, given for each value.

    Args:
        values: one for each answer.
        listeners: whose it is.
        items: what it is about.
        seed: of the bootstrap.

    Returns:
        None if there are no values.
    """
    if not len(values):
        return None
    x = np.asarray(values, np.float64)
    factors = [np.unique(np.asarray(factor), return_inverse=True)[1] for factor in (listeners, items)]
    rng = np.random.default_rng(seed)
    means = []
    block = max(1, min(REPLICATES, _AT_ONCE // len(x)))
    for start in range(0, REPLICATES, block):
        count = min(block, REPLICATES - start)
        weights = np.ones((count, len(x)))
        for factor in factors:
            size = int(factor.max()) + 1
            weights *= rng.multinomial(size, np.full(size, 1 / size), size=count)[:, factor]
        total = weights.sum(axis=1)
        kept = total > 0  # a replicate may hold no answer at all
        means.append((weights @ x)[kept] / total[kept])
    low, high = np.quantile(np.concatenate(means), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    mean = float(x.mean())
    return Estimate(mean, min(float(low), mean), max(float(high), mean), len(x), int(factors[0].max()) + 1)


def sign_flip_test(differences: Sequence[float], seed: int) -> float | None:
    """Two-sided p that the mean of one difference for each listener is 0: a paired permutation test.

    If there were no difference, each listener's could as well have had the other sign. All patterns of signs are
    tried for up to 14 listeners; beyond that, 20,000 random ones.

    Returns:
        None for fewer than two listeners.
    """
    x = np.asarray(differences, np.float64)
    if len(x) < 2:
        return None
    if len(x) <= _EXACT_UP_TO:
        patterns = 1 - 2 * ((np.arange(1 << len(x))[:, None] >> np.arange(len(x))) & 1)
        return float((_at_least(np.abs(patterns @ x), abs(x.sum()))).mean())
    rng = np.random.default_rng(seed)
    extreme = 0
    for _ in range(0, _MOST_PATTERNS, 1000):
        signs = rng.integers(0, 2, (1000, len(x))) * 2 - 1
        extreme += int(_at_least(np.abs(signs @ x), abs(x.sum())).sum())
    return (extreme + 1) / (_MOST_PATTERNS + 1)


def sign_test(wins: int, losses: int) -> float | None:
    """Two-sided p that wins and losses are equally likely, exact; None if there are neither."""
    trials = wins + losses
    if not trials:
        return None
    tail = sum(math.comb(trials, count) for count in range(min(wins, losses) + 1))
    return min(1.0, float(Fraction(2 * tail, 2**trials)))  # whole numbers as long as possible: 2^1100 is no float


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being many (Holm 1979), in the same order."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = running
    return [float(p) for p in corrected]


def _at_least(sums: NDArray[np.float64], observed: float) -> NDArray[np.bool_]:
    # Sums of the same numbers in another order round differently, and ties must count.
    return sums >= observed - 1e-9 * max(1.0, observed)
