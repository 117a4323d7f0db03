"""A common loudness for sounds that are played in turn: round robins, the steps of a morph."""

from collections.abc import Iterable

import numpy as np

from fauxley.rendering.output import LOUDEST_PEAK, Output
from fauxley.signal.cleaning import loudest_at

_LOWERED_DB = 12.0  # at most, so that a single click does not make all other sounds faint


def common_loudness(clips: Iterable[np.ndarray], sample_rate: int, output: Output) -> float | None:
    """A loudness, in LKFS, that all clips (C, T) can have when they are written; None if all are silent.

    It is the greatest loudness that the clip with the sharpest peaks can reach, but at most 12 dB below what half of
    the clips can reach: then a click stays softer than the others.
    """
    reached = np.array([loudest_at(*output.finish(clip, sample_rate), LOUDEST_PEAK) for clip in clips])
    reached = reached[np.isfinite(reached)]
    return float(max(reached.min(), np.median(reached) - _LOWERED_DB)) if reached.size else None
