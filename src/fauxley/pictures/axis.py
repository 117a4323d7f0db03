"""An axis of a chart: from values to pixels, with ticks at round numbers and labels for them."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Value = TypeVar("_Value", float, NDArray[np.float64])


class Axis:
    """A straight axis.

    Args:
        low, high: values at its ends; where they are the same, there is half a unit of room on either side.
        first, last: pixels at its ends.
    """

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        if high - low <= 1e-12 * max(abs(low), abs(high), 1e-12):
            low, high = low - 0.5, high + 0.5
        self.low = low
        self.high = high
        self._first = first
        self._last = last

    def pixel(self, value: _Value) -> _Value:
        """Where a value lies, or each of an array of them."""
        return self._first + (value - self.low) / (self.high - self.low) * (self._last - self._first)

    def ticks(self) -> list[float]:
        """About five round numbers on it."""
        least = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(least))
        step = power * next((factor for factor in (1, 2, 5) if factor * power >= least), 10)
        first = math.ceil(self.low / step - 1e-9)
        return [step * n for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Write numbers as shortly as tells them apart: `0.5`, `250`, `20k`."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    largest = max(map(abs, ticks), default=0.0)
    digits = max(3, 1 + math.ceil(math.log10(largest / step)) if step and largest else 3)
    return [f"{value / 1000:.{digits}g}k" if abs(value) >= 1000 else f"{value:.{digits}g}" for value in ticks]
