"""The figures of an evaluation, and the list of all metrics: title, direction, meaning, blind spots.

Letters: N clips, Q clips whose neighbours were sought, K labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.evaluation.metrics.copies import Copy
from fauxley.evaluation.metrics.neighbours import Memorisation

Array = NDArray[Any]


class Metric(NamedTuple):
    """A metric's title, which direction is better (`real`: like real clips), its meaning, and its blind spots."""

    title: str
    better: Literal["higher", "lower", "real"]
    meaning: str
    blind: str


# Keys are names in `Evaluation.scores`; names of scores in an embedding end in "/" and the embedding's name.
METRICS: Mapping[str, Metric] = {
    "inception_score": Metric(
        "Inception score",
        "higher",
        "the classifier is sure of each clip, and the clips' labels vary",
        "variety within a label; quality beyond being recognised; copies",
    ),
    "inception_share": Metric(
        "Share of the real score",
        "higher",
        "inception score relative to that of real clips by the same classifier",
        "see the inception score",
    ),
    "agreement": Metric(
        "Label heard as asked",
        "higher",
        "share of a label's clips in which the classifier hears that label, averaged over labels",
        "quality beyond being recognised; variety within a label; copies",
    ),
    "agreement_share": Metric(
        "Share of the real agreement",
        "higher",
        "the same relative to its value for real clips of these labels that the classifier was not trained on",
        "see the label heard as asked",
    ),
    "mis": Metric("mIS", "higher", "like the inception score, but clips vary within a label, too", "copies"),
    "am": Metric(
        "AM",
        "lower",
        "labels come as often as in the data, and the classifier is sure",
        "variety within a label; copies",
    ),
    "self_distance": Metric(
        "|D| self",
        "real",
        "distance to the nearest other clip of the set, in the paper's features",
        "whether variety sounds good. Noise fills silences and brings clips closer: see Variety",
    ),
    "train_distance": Metric(
        "|D| train",
        "real",
        "distance to the nearest training clip, in the paper's features: far less than for held-out clips means copies",
        "copies with a little noise; whether clips sound good",
    ),
    "closer": Metric(
        "Closer than held out",
        "real",
        "probability that a clip is closer to the training data than a new real clip; 0.5 is as new as real",
        "copies that were altered much: stretched, shifted, remixed",
    ),
    "suspicious": Metric(
        "Suspiciously close",
        "real",
        "share of clips closer to training clips than all but 1 % of new real clips; 0.01 is expected",
        "copies that were altered much",
    ),
    "copies": Metric(
        "Copies",
        "real",
        "share of clips that repeat a training clip, even shifted, louder, softer, inverted or noisy; for the training "
        "data itself, clips that occur twice",
        "copies that were stretched, transposed, reversed or mixed",
    ),
    "repeated": Metric(
        "Repeated",
        "real",
        "share of clips that repeat another clip of the set, found like copies",
        "clips that are alike without being the same recording",
    ),
    "variety": Metric(
        "Variety",
        "real",
        "distance of fingerprints to the nearest other clip of the set, 0 to 1.4; steady noise is ignored",
        "whether variety sounds good",
    ),
    "speech_quality": Metric(
        "Speech quality (DNSMOS)",
        "higher",
        "opinion score, 1 to 5, of a network trained on listeners' answers",
        "what is said; variety; copies. Short clips score low, even real ones",
    ),
    "frechet": Metric(
        "Fréchet distance",
        "lower",
        "distance of two Gaussians fitted to the embeddings; too large when clips are few",
        "everything but mean and covariance; copies",
    ),
    "frechet_infinity": Metric(
        "Fréchet, N → ∞",
        "lower",
        "the same, extrapolated to infinitely many clips on both sides, ± 95 % interval",
        "see the Fréchet distance",
    ),
    "kernel": Metric(
        "Kernel distance",
        "lower",
        "unbiased distance of the embeddings' distributions, × 1000; 0 if they are the same. It is not the published "
        "KID, because features are scaled",
        "copies",
    ),
    "kad": Metric(
        "KAD",
        "lower",
        "the same with a Gaussian kernel as wide as the training data's median distance, × 100, as published",
        "copies",
    ),
    "kid": Metric(
        "KID",
        "lower",
        "the same with the cubic kernel and features that are not scaled, as published",
        "copies; its size depends on the embedding's unit",
    ),
    "precision": Metric("Precision", "higher", "share of clips that lie where real clips are", "variety; copies"),
    "recall": Metric("Recall", "higher", "share of real clips that lie where generated clips are", "bad clips"),
    "density": Metric(
        "Density", "real", "how densely real clips surround generated clips; about 1 is right", "variety; copies"
    ),
    "coverage": Metric("Coverage", "higher", "share of real clips with a generated clip nearby", "bad clips; copies"),
    "ndb": Metric(
        "NDB",
        "lower",
        "share of bins of real clips that have too many or too few generated clips; 0.05 by chance",
        "quality within a bin; copies",
    ),
    "bin_divergence": Metric(
        "Bins' divergence", "lower", "Jensen-Shannon divergence of those bins, in bits", "see NDB"
    ),
}


@dataclass(frozen=True)
class Score:
    """A figure and, for some, its spread: a standard deviation, or half a 95 % confidence interval."""

    value: float
    spread: float | None = None

    def to_json(self) -> dict[str, float]:
        """The JSON form."""
        return {"value": self.value, **({} if self.spread is None else {"spread": self.spread})}

    def __str__(self) -> str:
        return _digits(self.value) if self.spread is None else f"{_digits(self.value)} ± {_digits(self.spread)}"


@dataclass(frozen=True)
class NearestTraining:
    """The distance of each clip to its nearest training clip, and the index of that clip, (Q,) each."""

    distances: Array
    indices: Array


@dataclass
class Evaluation:
    """All figures of one set of clips.

    Attributes:
        title: of the set.
        count: the number of clips.
        scores: by name: one of `METRICS`, some followed by "/" and an embedding.
        label_shares: how often each label was the likeliest, (K,); None without a classifier.
        confusion: how often clips of each label (row) were heard as each label (column), (K, K); None without labels.
        label_distances: kernel distance of each label's clips to real ones, in the first embedding; None where there
            are too few of either.
        measures: signal measures by name, (N,) each.
        gaps: the Kolmogorov-Smirnov statistic of each measure against real clips.
        spectrum: mean power spectrum, in even steps from 0 to half the sample rate.
        nearest: neighbours in the training data.
        copies: the clips that repeat training clips, the surest first.
        num_searched: the number of clips that were searched for copies.
        memorisation: distances to the training data compared with those of held-out clips.
        confidence: the classifier's highest probability for each clip, (N,).
        seconds: the time that each stage took.
    """

    title: str
    count: int
    scores: dict[str, Score] = field(default_factory=dict)
    label_shares: Array | None = None
    confusion: Array | None = None
    label_distances: dict[str, Score | None] = field(default_factory=dict)
    measures: dict[str, Array] = field(default_factory=dict)
    gaps: dict[str, float] = field(default_factory=dict)
    spectrum: Array | None = None
    nearest: NearestTraining | None = None
    copies: list[Copy] = field(default_factory=list)
    num_searched: int = 0
    memorisation: Memorisation | None = None
    confidence: Array | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The JSON form: all figures, but no numbers of single clips."""
        medians = {name: _quantiles(values) for name, values in self.measures.items()}
        return {
            "title": self.title,
            "count": self.count,
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "copies": [copy._asdict() for copy in self.copies],
            "label_shares": None if self.label_shares is None else [float(share) for share in self.label_shares],
            "confusion": None if self.confusion is None else self.confusion.tolist(),
            "label_distances": {
                name: None if score is None else score.to_json() for name, score in self.label_distances.items()
            },
            "signals": {name: {**medians[name], "gap": self.gaps.get(name)} for name in medians},
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }


def describe(name: str) -> tuple[Metric, str]:
    """The metric of a score's name, and its embedding or ""."""
    metric, _, embedding = name.partition("/")
    return METRICS[metric], embedding


def _quantiles(values: Array) -> dict[str, float]:
    low, median, high = np.quantile(values, [0.1, 0.5, 0.9])
    return {"low": float(low), "median": float(median), "high": float(high)}


def _digits(value: float) -> str:
    """Three digits or two decimals, whichever is more."""
    if value != value:
        return "–"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}"
