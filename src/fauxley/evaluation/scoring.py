"""From features to figures: which metrics are computed, with which settings.

Letters: N clips, D dimensions, K labels, Q clips whose neighbours are looked for.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from fauxley.evaluation.bins import different_bins
from fauxley.evaluation.figures import Figures, NearestTraining, Score
from fauxley.evaluation.frechet import frechet_distance, frechet_distance_infinity
from fauxley.evaluation.inception_score import am_score, inception_score, label_shares, modified_inception_score
from fauxley.evaluation.kernel import kernel_distance
from fauxley.evaluation.neighbours import memorisation, nearest
from fauxley.evaluation.precision_recall import precision_recall

Array = NDArray[Any]

_PRECISION_RECALL_CLIPS = 10_000  # at most, for which all pairs are looked at in seconds


def score_labels(figures: Figures, probabilities: Array, training_shares: Array, splits: int) -> None:
    """What a classifier's probabilities, (N, K), tell; the shares, (K,), are those of the training data's labels."""
    scores = figures.scores
    scores["inception_score"] = Score(*inception_score(probabilities, min(splits, len(probabilities))))
    scores["mis"] = Score(modified_inception_score(probabilities))
    scores["am"] = Score(am_score(probabilities, training_shares))
    figures.label_shares = label_shares(probabilities)
    figures.confidence = probabilities.max(1)


def score_neighbours(
    figures: Figures,
    features: Mapping[str, Array],
    training: Mapping[str, Array],
    *,
    own: bool,
    device: torch.device | str,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Distances of clips, (Q, D) by kind, to their nearest sibling and to the nearest training clip of (N, D).

    Args:
        own: the clips are the first of the training clips themselves.
    """
    queries = features["neighbours"]
    distances, _ = nearest(queries, training["neighbours"], same=own, device=device, progress=progress)
    figures.scores["train_distance"] = mean_and_spread(distances)
    figures.scores["self_distance"] = mean_and_spread(nearest(queries, queries, same=True, device=device)[0])
    distances, indices = nearest(features["copies"], training["copies"], same=own, device=device)
    figures.nearest = NearestTraining(distances[:, 0], indices[:, 0])


def score_copies(figures: Figures, held_out: Array) -> None:
    """Whether the clips are closer to the training data than held-out clips, whose distances are given, (M,)."""
    assert figures.nearest is not None
    found = memorisation(figures.nearest.distances, held_out)
    figures.memorisation = found
    figures.scores["closer"] = Score(found.closer)
    figures.scores["suspicious"] = Score(found.suspicious)


def score_distances(figures: Figures, name: str, real: Array, made: Array, seed: int) -> None:
    """Distances between distributions of the embedding `name`, (N, D) each."""
    scores = figures.scores
    scores[f"frechet/{name}"] = Score(frechet_distance(real, made))
    scores[f"frechet_infinity/{name}"] = Score(frechet_distance_infinity(real, made, seed))
    kernel = kernel_distance(real, made, seed)
    scores[f"kernel/{name}"] = Score(1000 * kernel.value, 500 * (kernel.high - kernel.low))
    some = slice(_PRECISION_RECALL_CLIPS)
    for title, value in precision_recall(real[some], made[some])._asdict().items():
        scores[f"{title}/{name}"] = Score(value)
    bins = different_bins(real, made, seed)
    scores[f"ndb/{name}"] = Score(bins.different)
    scores[f"bin_divergence/{name}"] = Score(bins.divergence)


def mean_and_spread(values: Array) -> Score:
    """The mean over clips, with the standard deviation."""
    return Score(float(values.mean()), float(values.std()))
