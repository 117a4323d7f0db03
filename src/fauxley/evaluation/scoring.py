"""Scoring: computes each metric from the right features with the right settings.

Letters: N clips, D dimensions, K labels, Q clips whose neighbours are sought.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray

from fauxley.evaluation.figures import Evaluation, NearestTraining, Score
from fauxley.evaluation.metrics.copies import Alignments, find_copies
from fauxley.evaluation.metrics.different_bins import different_bins
from fauxley.evaluation.metrics.frechet import frechet_distance, frechet_distance_infinity
from fauxley.evaluation.metrics.inception_score import am_score, inception_score, label_shares, modified_inception_score
from fauxley.evaluation.metrics.kernel import Scale, fit_scale, kad, kernel_distance, kid, median_distance
from fauxley.evaluation.metrics.label_agreement import agreement, confusion_matrix
from fauxley.evaluation.metrics.neighbours import memorisation, nearest
from fauxley.evaluation.metrics.precision_recall import precision_recall
from fauxley.evaluation.protocol import LEAST_CLIPS

Array = NDArray[Any]

LabelledFeatures = tuple[Array, Array]
"""Features (N, D) of clips, and the number of each clip's label, or -1, (N,)."""

_PRECISION_RECALL_CLIPS = 10_000  # at most; all pairs of so many take seconds


def score_labels(figures: Evaluation, probabilities: Array, training_shares: Array, splits: int) -> None:
    """Score a classifier's probabilities (N, K), given the shares of the training data's labels (K,)."""
    scores = figures.scores
    scores["inception_score"] = Score(*inception_score(probabilities, min(splits, len(probabilities))))
    scores["mis"] = Score(modified_inception_score(probabilities))
    scores["am"] = Score(am_score(probabilities, training_shares))
    figures.label_shares = label_shares(probabilities)
    figures.confidence = probabilities.max(1)


def score_agreement(figures: Evaluation, asked: Array, probabilities: Array) -> None:
    """Score how often the classifier, by its probabilities (N, K), hears the labels that clips should have, (N,)."""
    if (asked >= 0).any():
        figures.confusion = confusion_matrix(asked, probabilities)
        figures.scores["agreement"] = Score(agreement(figures.confusion))


def score_each_label(
    figures: Evaluation, names: Sequence[str], made: LabelledFeatures, real: LabelledFeatures, seed: int, scale: Scale
) -> None:
    """Score the distances of each label's clips to real ones of it, if there are enough of both.

    Args:
        names: of the labels, by number.
    """
    for number, name in enumerate(names):
        mine, theirs = (features[labels == number] for features, labels in (made, real))
        if len(mine):
            enough = min(len(mine), len(theirs)) >= LEAST_CLIPS
            figures.label_distances[name] = _kernel_score(theirs, mine, seed, scale) if enough else None


def _kernel_score(real: Array, made: Array, seed: int, scale: Scale) -> Score:
    found = kernel_distance(real, made, seed, scale)
    return Score(1000 * found.value, 1000 * (found.high - found.low) / 2)


def score_neighbours(
    figures: Evaluation,
    features: Mapping[str, Array],
    training: Mapping[str, Array],
    *,
    own: bool,
    device: torch.device | str,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Score the distances of clips, (Q, D) by kind, to their nearest sibling and to the nearest of (N, D) training
    clips.

    Args:
        own: whether the clips are themselves the first training clips.
    """
    queries = features["neighbours"]
    distances, _ = nearest(queries, training["neighbours"], same=own, device=device, progress=progress)
    figures.scores["train_distance"] = mean_and_spread(distances)
    figures.scores["self_distance"] = mean_and_spread(nearest(queries, queries, same=True, device=device)[0])
    distances, indices = nearest(features["copies"], training["copies"], same=own, device=device)
    figures.nearest = NearestTraining(distances[:, 0], indices[:, 0])


def score_copies(
    figures: Evaluation,
    features: Mapping[str, Array],
    training: Mapping[str, Array],
    most: int,
    *,
    own: bool,
    device: torch.device | str,
    progress: Callable[[int], None] = lambda done: None,
) -> Alignments:
    """Find the clips that repeat training clips, and score how much the set repeats itself.

    Args:
        most: the number of clips that are compared with each other.
        own: whether the clips are themselves the first training clips.
    """
    found = find_copies(features, training, own=own, device=device, progress=progress)
    figures.num_searched = len(found.similarity)
    figures.scores["copies"] = Score(float(found.copied.mean()))
    some = {name: features[name][:most] for name in ("fingerprints", "waveforms")}
    repeated = find_copies(some, some, own=True, device=device, progress=progress)
    figures.scores["repeated"] = Score(float(repeated.copied.mean()))
    apart = nearest(some["fingerprints"], some["fingerprints"], same=True, device=device)[0]
    figures.scores["variety"] = mean_and_spread(apart)
    return found


def score_memorisation(figures: Evaluation, held_out: Array) -> None:
    """Score whether clips are closer to the training data than held-out clips are, by whose distances (M,)."""
    assert figures.nearest is not None
    found = memorisation(figures.nearest.distances, held_out)
    figures.memorisation = found
    figures.scores["closer"] = Score(found.closer)
    figures.scores["suspicious"] = Score(found.suspicious)


class Yardsticks(NamedTuple):
    """The scales of distances in an embedding, fitted on the training data once for all sets.

    Attributes:
        scale: centre and unit for the kernel distance.
        bandwidth: of KAD's kernel.
    """

    scale: Scale
    bandwidth: float

    @classmethod
    def of(cls, training: Array) -> "Yardsticks":
        """Fit the scales on features (N, D)."""
        return cls(fit_scale(training), median_distance(training))


STEPS = 7  # calls of `progress` by `score_distances`


def score_distances(
    figures: Evaluation,
    name: str,
    real: Array,
    made: Array,
    seed: int,
    yardsticks: Yardsticks | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Score the distances between the distributions of the embedding `name`.

    Args:
        real: (M, D). Metrics that the number of clips does not bias use all of it; the others as many as there are
            made.
        made: (N, D).
        yardsticks: None for those of `real`.
        progress: called with 1, `STEPS` times.
    """
    scores = figures.scores
    scale, bandwidth = yardsticks or Yardsticks.of(real)
    same = real[: len(made)]
    scores[f"frechet/{name}"] = Score(frechet_distance(same, made))
    progress(1)
    scores[f"frechet_infinity/{name}"] = Score(*frechet_distance_infinity(real, made, seed))
    progress(1)
    kernels = {
        "kernel": (1000, kernel_distance(same, made, seed, scale)),
        "kad": (1, kad(same, made, seed, bandwidth)),
        "kid": (1, kid(same, made, seed)),
    }
    for title, (factor, found) in kernels.items():
        scores[f"{title}/{name}"] = Score(factor * found.value, factor * (found.high - found.low) / 2)
        progress(1)
    some = slice(_PRECISION_RECALL_CLIPS)
    for title, value in precision_recall(same[some], made[some])._asdict().items():
        scores[f"{title}/{name}"] = Score(value)
    progress(1)
    bins = different_bins(same, made, seed)
    scores[f"ndb/{name}"] = Score(bins.different)
    scores[f"bin_divergence/{name}"] = Score(bins.divergence)
    progress(1)


def mean_and_spread(values: Array) -> Score:
    """The mean over clips, with the standard deviation."""
    return Score(float(values.mean()), float(values.std()))
