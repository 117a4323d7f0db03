"""How far raters agree beyond chance: Krippendorff's alpha.

After Klaus Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: 1 is perfect agreement, 0 what chance
would give, below 0 worse than that. Any number of raters, who need not rate everything.

Letters: U units, V values.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(units: Iterable[Sequence[int]], num_values: int, level: Level) -> float | None:
    """Alpha of ratings.

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
