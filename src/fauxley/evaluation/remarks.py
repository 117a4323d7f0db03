"""What the figures say, in words, so that nobody has to know what a good Fréchet distance is.

Every remark compares with real clips under the same protocol, never with figures from elsewhere.
"""

from typing import Literal, NamedTuple

import numpy as np

from fauxley.evaluation.figures import Figures
from fauxley.evaluation.signals import MEASURES

Verdict = Literal["good", "fair", "poor"]


class Remark(NamedTuple):
    """A sentence, and whether it is good news."""

    verdict: Verdict
    text: str


def remarks(figures: Figures, real: Figures) -> list[Remark]:
    """Remarks on a set of clips, `real` being real clips that the model did not learn from, most telling first."""
    found = [_recognisable(figures, real), _memorised(figures), _varied(figures, real), _labels(figures, real)]
    return [remark for remark in found if remark] + _signals(figures, real)


def _recognisable(figures: Figures, real: Figures) -> Remark | None:
    if "inception_share" not in figures.scores:
        return None
    share = figures.scores["inception_share"].value
    verdict: Verdict = "good" if share > 0.8 else "fair" if share > 0.5 else "poor"
    return Remark(verdict, f"The inception score is {share:.0%} of that of real clips ({real.title}).")


def _memorised(figures: Figures) -> Remark | None:
    found = figures.memorisation
    if found is None:
        return None
    share = found.suspicious
    if share > 0.05:
        return Remark(
            "poor" if share > 0.2 else "fair",
            f"{share:.0%} of the clips are closer to training clips than all but 1 % of new real clips are: "
            "listen to the nearest pairs, they may be copies.",
        )
    return Remark("good", "No sign of memorising: clips are no closer to the training data than new real clips are.")


def _varied(figures: Figures, real: Figures) -> Remark | None:
    mine, theirs = figures.scores["self_distance"].value, real.scores["self_distance"].value
    if mine >= 0.8 * theirs:
        return None
    verdict: Verdict = "fair" if mine > 0.6 * theirs else "poor"
    return Remark(
        verdict, f"The clips are alike: to their nearest sibling it is {mine / theirs:.0%} as far as among real clips."
    )


def _labels(figures: Figures, real: Figures) -> Remark | None:
    if figures.label_shares is None or real.label_shares is None:
        return None
    missing = int(np.sum((figures.label_shares < 0.2 * real.label_shares) & (real.label_shares > 0)))
    if not missing:
        return None
    total = int((real.label_shares > 0).sum())
    verdict: Verdict = "poor" if missing > total / 4 else "fair"
    return Remark(verdict, f"{missing} of {total} labels are heard less than a fifth as often as in real clips.")


def _signals(figures: Figures, real: Figures) -> list[Remark]:
    """The measures whose distributions differ most from real clips', three at most."""
    gaps = sorted(((gap, name) for name, gap in figures.gaps.items() if gap > 0.5), reverse=True)[:3]
    texts = []
    for gap, name in gaps:
        measure = MEASURES[name]
        mine, theirs = float(np.median(figures.measures[name])), float(np.median(real.measures[name]))
        texts.append(
            Remark(
                "poor" if gap > 0.8 else "fair",
                f"{measure.title} unlike that of real clips: {measure.show(mine)} {measure.unit}".rstrip()
                + f" where they have {measure.show(theirs)} (median).",
            )
        )
    return texts
