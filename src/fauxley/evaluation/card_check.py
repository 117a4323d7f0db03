"""A figure on a model's card that can be measured again in seconds, to check that the model still sounds the same.

It compares log-mel features of a few dozen sounds with those of real sounds, whose means and deviations are on the
card. Each dimension is treated as an independent Gaussian (Dowson and Landau 1982, for diagonal covariances):

    d² = Σ (μ₁ - μ₂)² + (σ₁ - σ₂)²

With so few sounds a full covariance would be mostly noise, and too large for a card.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.evaluation.clips import ClipSource, ModelClips
from fauxley.evaluation.features import LogMelNeighbours, extract
from fauxley.models.synthesizer import Synthesizer
from fauxley.shipped import CardCheck

Float64 = NDArray[np.float64]
_DIGITS = 4  # decimals of numbers on a card


def make_check(synthesizer: Synthesizer, real: ClipSource, count: int) -> CardCheck:
    """Measure the figure for a card.

    Args:
        real: sounds that the model was not trained on, at its rate and length.
        count: the number of the model's sounds to measure.
    """
    mean, deviation = (tuple(round(float(value), _DIGITS) for value in values) for values in _moments(real))
    distance = _distance(_moments(ModelClips(synthesizer, "sounds of the model", count)), (mean, deviation))
    return CardCheck(count, distance, mean, deviation)


def repeat_check(synthesizer: Synthesizer, check: CardCheck) -> float:
    """Measure a card's figure again; except for rounding it should be `check.distance`.

    Raises:
        UsageError: the card has means and deviations of other features.
    """
    return _distance(
        _moments(ModelClips(synthesizer, "sounds of the model", check.count)), (check.mean, check.deviation)
    )


def _moments(clips: ClipSource) -> tuple[Float64, Float64]:
    features = extract(clips, {"log-mel": LogMelNeighbours()}, {"neighbours": 1, "copies": 1})["log-mel"]
    return features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)


def _distance(first: Sequence[Sequence[float] | Float64], second: Sequence[Sequence[float] | Float64]) -> float:
    (mean, deviation), (other_mean, other_deviation) = (map(np.asarray, moments) for moments in (first, second))
    if not mean.shape == deviation.shape == other_mean.shape == other_deviation.shape:
        raise UsageError(f"features have {len(mean)} dimensions here, but {len(other_mean)} on the card")
    return float(np.square(mean - other_mean).sum() + np.square(deviation - other_deviation).sum())
