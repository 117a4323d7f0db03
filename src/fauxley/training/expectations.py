"""What the default recipe has reached after how many clips, in measured trainings. These figures stand only here.

Whoever measures a curve adds it to `CURVES`, and the command that reproduces it to docs/experiments.md. A training is
told what measured trainings had reached after as many clips; how many clips it will see depends on its machine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """A figure of merit over the course of one measured training.

    Attributes:
        sounds: what it was trained on, for a sentence: "drums (911 one-shots, 44.1 kHz)".
        figure: what was measured, for a sentence: "kernel distance, in multiples of that between real sounds".
        points: thousands of clips seen, and the figure then, in rising order.
    """

    sounds: str
    figure: str
    points: tuple[tuple[float, float], ...]

    def at(self, thousands: float) -> float | None:
        """The figure after so many thousand clips, interpolated; None outside of the measured range."""
        if not self.points or not self.points[0][0] <= thousands <= self.points[-1][0]:
            return None
        (x, y), *rest = self.points
        for after_x, after_y in rest:
            if thousands <= after_x:
                return y + (after_y - y) * math.log(thousands / x) / math.log(after_x / x)
            x, y = after_x, after_y
        return y


CURVES: tuple[Curve, ...] = (
    Curve(
        "drums (773 one-shots of ten labels, 44.1 kHz)",
        "share of the training sounds that it came near to, where other real drums reach 0.21:",
        ((22.4, 0.146), (49.0, 0.291), (72.8, 0.326)),
    ),
    Curve(
        "words (3,509 clips of ten words, 16 kHz)",
        "inception score, as a share of that of real words:",
        ((49.4, 0.63), (116.0, 0.785)),
    ),
)
"""The measurements so far."""


def expectations(clips: float, curves: Sequence[Curve] = CURVES) -> list[str]:
    """What measured trainings had reached after so many clips, one sentence each; empty where nothing was measured."""
    found = [(curve, curve.at(clips / 1000)) for curve in curves]
    return [f"{curve.sounds}: {curve.figure} {value:.2g}" for curve, value in found if value is not None]
