"""What the answers of a few listeners say about listeners and sounds in general: intervals, tests, agreement.

Answers of one listener resemble one another, and so do answers about one sound. An interval that took them for
independent would be too narrow, so listeners and sounds are both resampled (Owen, "The pigeonhole bootstrap", 2007),
and differences are tested within each listener.

How far listeners agree beyond chance is Krippendorff's alpha ("Computing Krippendorff's Alpha-Reliability", 2011): 1 is
perfect agreement, 0 what chance would give, below 0 worse than that. Any number of raters, who need not rate
everything.

Letters: N answers, R replicates, U units, V values.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

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
        mean: mean of all answers.
        low: lower end of the interval; equal to the mean where nothing can be resampled.
        high: upper end of the interval.
        answers: number of answers.
        listeners: number of listeners who gave them.
    """

    mean: float
    low: float
    high: float
    answers: int
    listeners: int


def estimate(values: Sequence[float], listeners: Sequence[int], items: Sequence[str], seed: int) -> Estimate | None:
    """The mean of `values` (N,) with an interval over both `listeners` and `items`, given for each value.

    Args:
        values: a number for each answer.
        listeners: the listener who gave each answer.
        items: the clip, pair or batch that each answer is about.
        seed: seed of the bootstrap.

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


Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(units: Iterable[Sequence[int]], num_values: int, level: Level) -> float | None:
    """Krippendorff's alpha of ratings.

    Args:
        units: for each thing rated, the values that its raters gave, each from 0 to `num_values` - 1, in any order;
            what only one has rated does not count.
        num_values: V; for ordinal and interval data the values are in order.
        level: nominal: different is different. ordinal: the more ratings lie between two values, the further apart
            they are. interval: 1 and 3 are twice as far apart as 1 and 2.

    Returns:
        None where it is not defined: nothing was rated twice, or all ratings are the same.
    """
    counts = np.array([np.bincount(unit, minlength=num_values) for unit in units if len(unit) > 1], np.float64)
    if not len(counts):
        return None
    raters = counts.sum(axis=1, keepdims=True)  # of each unit
    totals = counts.sum(axis=0)  # of each value, (V,)
    pairs = (counts / (raters - 1)).T @ counts - np.diag((counts / (raters - 1)).sum(axis=0))  # (V, V)
    distance = _squared_distance(totals, level)
    expected = float(totals @ distance @ totals)
    if expected == 0:
        return None
    return 1 - float(totals.sum() - 1) * float((pairs * distance).sum()) / expected


def _squared_distance(totals: NDArray[np.float64], level: Level) -> NDArray[np.float64]:
    """(V, V) between values."""
    if level == "nominal":
        return 1 - np.eye(len(totals))
    # On the line of ranks, a value lies in the middle of the ratings that have it.
    place = np.cumsum(totals) - totals / 2 if level == "ordinal" else np.arange(len(totals), dtype=np.float64)
    return np.asarray(np.square(place[:, None] - place[None, :]))
