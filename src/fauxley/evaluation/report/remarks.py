"""What the figures say, in words, so that nobody has to know what a good Fréchet distance is.

Every remark compares with real clips under the same protocol, never with figures from elsewhere.
"""

from typing import Literal, NamedTuple

import numpy as np

from fauxley.evaluation.figures import Figures
from fauxley.evaluation.metrics.copies import SURE
from fauxley.evaluation.metrics.signal_checks import MEASURES

Verdict = Literal["good", "fair", "poor"]


class Remark(NamedTuple):
    """A sentence, and whether it is good news."""

    verdict: Verdict
    text: str


_NAMED = 3  # copies that a sentence names


def remarks(figures: Figures, real: Figures) -> list[Remark]:
    """Remarks on a set of clips, `real` being real clips that the model did not learn from, most telling first.

    Repetition and copies lead: they make every other figure look better than the set is.
    """
    empty = [_repeated(figures, real), _copied(figures, real)]
    hollow = any(remark is not None and remark.verdict == "poor" for remark in empty)
    found = [
        *empty,
        _recognisable(figures, hollow),
        _memorised(figures),
        _varied(figures, real),
        _labels(figures, real),
    ]
    return [remark for remark in found if remark] + _signals(figures, real)


def _repeated(figures: Figures, real: Figures) -> Remark | None:
    mine, theirs = figures.scores["repeated"].value, real.scores["repeated"].value
    if mine <= theirs + 0.1:
        return None
    return Remark(
        "poor" if mine > theirs + 0.3 else "fair",
        f"The set repeats itself: {mine:.0%} of the clips are another clip of the set again, where {theirs:.0%} of "
        "real clips are. All other figures are of fewer sounds than there are clips.",
    )


def _copied(figures: Figures, real: Figures) -> Remark | None:
    copies, total = figures.copies, figures.looked_at
    if not copies:
        return None
    usual = real.scores["copies"].value
    chance = usual + 0.01 + 2 * float(np.sqrt(usual * (1 - usual) / total))
    named = ", ".join(
        f"{copy.clip} is {copy.training_clip} (similarity {copy.similarity:.3f})" for copy in copies[:_NAMED]
    )
    others = len(copies) - _NAMED
    more = f" and {others} more, which report.json names" if others > 0 else ""
    also = f" Of real clips beside ({real.title}) {usual:.1%} are, too." if usual else ""
    verb = "clip is a copy of a training clip" if len(copies) == 1 else "clips are copies of training clips"
    return Remark(
        "poor" if sum(copy.similarity >= SURE for copy in copies) / total > chance else "fair",
        f"{len(copies)} of {total} {verb}, place in time and gain aside: {named}{more}.{also}",
    )


def _recognisable(figures: Figures, hollow: bool) -> Remark | None:
    if "inception_share" not in figures.scores:
        if figures.label_shares is not None:
            return None
        return Remark(
            "fair",
            "No classifier has judged what is heard. Distances in log-mel hardly tell speech from reversed speech and "
            "may prefer clips of a single label to varied ones: do not choose by them alone.",
        )
    share = figures.scores["inception_share"].value
    verdict: Verdict = "good" if share > 0.8 else "fair" if share > 0.5 else "poor"
    text = f"The inception score is {share:.0%} of that of real clips."
    if hollow and verdict == "good":
        return Remark("fair", f"{text} That is deaf to repetition and memorising, of which there is much here.")
    return Remark(verdict, text)


def _memorised(figures: Figures) -> Remark | None:
    found = figures.memorisation
    if found is None:
        return None
    share = found.suspicious
    copied = len(figures.copies) / max(figures.looked_at, 1)
    if share > copied + 0.05:
        return Remark(
            "poor" if share > 0.2 else "fair",
            f"{share:.0%} of the clips are closer to training clips than all but 1 % of new real clips are: "
            "listen to the nearest pairs, they may be copies.",
        )
    if figures.copies:
        return None
    return Remark(
        "good",
        f"No sign of memorising: none of {figures.looked_at} clips is a training clip again, and they are no closer to "
        "the training data than new real clips are.",
    )


def _varied(figures: Figures, real: Figures) -> Remark | None:
    mine, theirs = figures.scores["variety"].value, real.scores["variety"].value
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
