"""What figures mean for a set of clips: remarks in words, and faults that disqualify it.

Remarks, so that nobody has to know what a good Fréchet distance is. They compare only with real clips under the same
protocol, never with figures from elsewhere.

Faults, because distances in embeddings ignore levels (a classifier's do so on purpose), so that clipped or repeated
sounds may seem close to the data. A checkpoint with a fault is chosen only if all others have one, too.
"""

from typing import Literal, NamedTuple

import numpy as np

from fauxley.evaluation.figures import Evaluation
from fauxley.evaluation.metrics.copies import SURE
from fauxley.evaluation.metrics.signal_measures import MEASURES

Verdict = Literal["good", "fair", "poor"]

_NAMED = 3  # copies that a sentence names
_FAULTY_LEVEL_DB = 6.0
_FAULTY_CLIPPING = 0.001  # of the samples, more than in real clips
_SILENCE_DB = -60.0
_FAULTY_SILENCE = 0.05  # of the clips, more than in real clips
_FAULTY_REPETITION = 0.1
_FAULTY_COPIES = 0.05


class Remark(NamedTuple):
    """A sentence, and whether it is good news."""

    verdict: Verdict
    text: str


def remarks(figures: Evaluation, real: Evaluation) -> list[Remark]:
    """Remarks on a set of clips, the most telling first; `real` are real clips that the model was not trained on.

    Repetition and copies come first, because they make every other figure look better than the set is.
    """
    empty = [_repeated(figures, real), _copied(figures, real)]
    hollow = any(remark is not None and remark.verdict == "poor" for remark in empty)
    found = [
        *empty,
        _recognisable(figures, hollow),
        _memorised(figures),
        _varied(figures, real),
        _labels(figures, real),
        _asked(figures),
    ]
    return [remark for remark in found if remark] + _signals(figures, real)


def _repeated(figures: Evaluation, real: Evaluation) -> Remark | None:
    mine, theirs = figures.scores["repeated"].value, real.scores["repeated"].value
    if mine <= theirs + 0.1:
        return None
    return Remark(
        "poor" if mine > theirs + 0.3 else "fair",
        f"The set repeats itself: {mine:.0%} of the clips repeat another clip of the set ({theirs:.0%} of real clips "
        "do). All other figures describe fewer sounds than there are clips.",
    )


def _copied(figures: Evaluation, real: Evaluation) -> Remark | None:
    copies, total = figures.copies, figures.num_searched
    if not copies:
        return None
    usual = real.scores["copies"].value
    chance = usual + 0.01 + 2 * float(np.sqrt(usual * (1 - usual) / total))
    named = ", ".join(
        f"{copy.clip} is {copy.training_clip} (similarity {copy.similarity:.3f})" for copy in copies[:_NAMED]
    )
    others = len(copies) - _NAMED
    more = f" and {others} more, which report.json names" if others > 0 else ""
    also = f" So are {usual:.1%} of real clips ({real.title})." if usual else ""
    verb = "clip is a copy of a training clip" if len(copies) == 1 else "clips are copies of training clips"
    return Remark(
        "poor" if sum(copy.similarity >= SURE for copy in copies) / total > chance else "fair",
        f"{len(copies)} of {total} {verb}, apart from their place in time and gain: {named}{more}.{also}",
    )


def _recognisable(figures: Evaluation, hollow: bool) -> Remark | None:
    if "inception_share" not in figures.scores:
        if figures.label_shares is not None:
            return None
        return Remark(
            "fair",
            "No classifier has judged what can be heard. Distances in log-mel hardly tell speech from reversed speech "
            "and may prefer clips of a single label to varied ones: do not choose by them alone.",
        )
    share = figures.scores["inception_share"].value
    verdict: Verdict = "good" if share > 0.8 else "fair" if share > 0.5 else "poor"
    text = f"The inception score is {share:.0%} of that of real clips."
    if hollow and verdict == "good":
        return Remark("fair", f"{text} It ignores repetition and memorising, of which there is much here.")
    return Remark(verdict, text)


def _memorised(figures: Evaluation) -> Remark | None:
    found = figures.memorisation
    if found is None:
        return None
    share = found.suspicious
    copied = len(figures.copies) / max(figures.num_searched, 1)
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
        f"No sign of memorising: none of {figures.num_searched} clips repeats a training clip, and they are no closer "
        "to the training data than new real clips are.",
    )


def _varied(figures: Evaluation, real: Evaluation) -> Remark | None:
    mine, theirs = figures.scores["variety"].value, real.scores["variety"].value
    if mine >= 0.8 * theirs:
        return None
    verdict: Verdict = "fair" if mine > 0.6 * theirs else "poor"
    return Remark(
        verdict, f"The clips are alike: the nearest sibling is {mine / theirs:.0%} as far away as among real clips."
    )


def _labels(figures: Evaluation, real: Evaluation) -> Remark | None:
    if figures.label_shares is None or real.label_shares is None:
        return None
    missing = int(np.sum((figures.label_shares < 0.2 * real.label_shares) & (real.label_shares > 0)))
    if not missing:
        return None
    total = int((real.label_shares > 0).sum())
    verdict: Verdict = "poor" if missing > total / 4 else "fair"
    return Remark(verdict, f"{missing} of {total} labels are heard less than a fifth as often as in real clips.")


def _asked(figures: Evaluation) -> Remark | None:
    if "agreement_share" not in figures.scores:
        return None
    heard, share = figures.scores["agreement"].value, figures.scores["agreement_share"].value
    verdict: Verdict = "good" if share > 0.9 else "fair" if share > 0.7 else "poor"
    return Remark(
        verdict,
        f"In {heard:.0%} of the clips the classifier hears the label that they should have: {share:.0%} of what it "
        "gets on real clips.",
    )


def _signals(figures: Evaluation, real: Evaluation) -> list[Remark]:
    """The measures whose distributions differ most from those of real clips, three at most."""
    gaps = sorted(((gap, name) for name, gap in figures.gaps.items() if gap > 0.5), reverse=True)[:3]
    texts = []
    for gap, name in gaps:
        measure = MEASURES[name]
        mine, theirs = float(np.median(figures.measures[name])), float(np.median(real.measures[name]))
        texts.append(
            Remark(
                "poor" if gap > 0.8 else "fair",
                f"{measure.title} differs from real clips: {measure.show(mine)} {measure.unit}".rstrip()
                + f" instead of {measure.show(theirs)} (median).",
            )
        )
    return texts


def faults(figures: Evaluation, real: Evaluation) -> list[str]:
    """The names of a set's faults; empty if it has none.

    `level`: sounds are typically 6 dB louder or softer. `clipping`: in more than 0.1 % of the samples. `silence`: more
    than 5 % of the clips are silent. `repetition`: more than 10 % repeat another clip of the set. `copies`: more than
    5 % surely repeat training clips. All shares are those in excess of real clips.
    """
    mine, theirs = figures.measures, real.measures
    level = float(np.median(mine["level_db"]) - np.median(theirs["level_db"]))
    clipped = float(mine["clipping"].mean() - theirs["clipping"].mean())
    silent = float((mine["level_db"] < _SILENCE_DB).mean() - (theirs["level_db"] < _SILENCE_DB).mean())
    copied = sum(copy.similarity >= SURE for copy in figures.copies) / max(figures.num_searched, 1)
    found = {
        "level": abs(level) > _FAULTY_LEVEL_DB,
        "clipping": clipped > _FAULTY_CLIPPING,
        "silence": silent > _FAULTY_SILENCE,
        "repetition": figures.scores["repeated"].value - real.scores["repeated"].value > _FAULTY_REPETITION,
        "copies": copied - real.scores["copies"].value > _FAULTY_COPIES,
    }
    return [name for name, there in found.items() if there]
