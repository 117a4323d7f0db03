"""Choosing among a model's sounds: a share that is surest to be good, and the most extreme of many.

A saved model has no critic, so the quality of a sound must be measured on the sound itself:

- **Buzz**: tones that upsampling leaves, `artefact_db` of `evaluation/metrics/signal_measures.py`.
- **A second hit**: a level that rises again after it has fallen. It counts only where most of the sounds have none; in
  words and long recordings it is no fault.
- **The label**, by a classifier: the probability of the label that was asked for, or of the likeliest label.

Sounds are ranked by each. A sound's score is the worst of its first two ranks, plus its rank by label. It is a ranking,
not a judgement: if all sounds are bad, the same share is kept.

Letters: N sounds, C channels, T samples, F frames, K labels of a classifier.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.metrics.signal_measures import measure
from fauxley.latents.choice import PICKS, Choice
from fauxley.latents.descriptions import describe
from fauxley.latents.work import Work
from fauxley.models.synthesizer import Synthesizer

_FRAME_SECONDS = 0.01
_INAUDIBLE_DB = -40.0  # below the loudest frame
_ONSET_DB = 6.0  # below the loudest frame
_SEVERAL_HITS_DB = 10.0
_UNHEARD_BUZZ_DB, _UNHEARD_RISE_DB = 3.0, 6.0
_AT_ONCE = 16


@dataclass(frozen=True)
class Chosen:
    """The sounds that were chosen.

    Attributes:
        indices: of the chosen candidates, the best first, (M,).
        facts: what to write beside each, by index.
        criteria: in words, by what a share was kept.
    """

    indices: list[int]
    facts: dict[int, dict[str, Any]]
    criteria: tuple[str, ...] = ()


@dataclass
class _Heard:
    """The measurements of candidates, one number each."""

    property: list[float] = field(default_factory=list)
    buzz: list[float] = field(default_factory=list)
    rise: list[float] = field(default_factory=list)
    label: list[float] = field(default_factory=list)
    silent: list[bool] = field(default_factory=list)


def choose(
    synthesizer: Synthesizer,
    latents: Tensor,
    count: int,
    choice: Choice,
    *,
    labels: Tensor | None = None,
    asked: Sequence[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Chosen:
    """Choose `count` of the sounds of latents (N, Z): keep the share that is surest, then pick the most extreme.

    In a model with labels the share is kept of each label; the most extreme are picked from all.

    Args:
        labels: weights (N, L) of the labels of the sounds; None for a model without labels.
        asked: for each sound, the label that the classifier should hear; None for any.
        progress, cancelled: see `inversion.invert`.

    Raises:
        UsageError: the classifier does not know a label.
        FauxleyError: fewer than `count` sounds are not silent.
    """
    work = Work(progress, cancelled)
    classifier = None if choice.classifier is None else Classifier.load(choice.classifier)
    if classifier is not None and asked is not None:
        for word in sorted(set(asked) - set(classifier.labels)):
            raise UsageError(f"the classifier does not know {word!r:.40}; it knows {', '.join(classifier.labels)}")
    work.begin("choosing among sounds", len(latents))
    heard = _Heard()
    weights = torch.zeros(len(latents), 0) if labels is None else labels
    for start in range(0, len(latents), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        clips = np.nan_to_num(_play(synthesizer, latents[part], weights[part]))
        _hear(heard, clips, synthesizer.sample_rate, choice, classifier, None if asked is None else asked[part])
        work.advance(len(clips))
    left = np.flatnonzero(~np.array(heard.silent))
    facts: dict[int, dict[str, Any]] = {int(index): choice.facts(count) for index in left}
    criteria: tuple[str, ...] = ()
    if choice.keep is not None:
        left, criteria = _surest(heard, left, weights.numpy(), choice.keep)
        for index in left:
            facts[int(index)] |= {"kept_by": criteria, "buzz_db": round(heard.buzz[index], 2)}
            facts[int(index)] |= {"label_probability": round(heard.label[index], 4)} if heard.label else {}
    if choice.pick is not None:
        name, sign = PICKS[choice.pick]
        values = np.array(heard.property)
        left = left[np.argsort(-sign * values[left], kind="stable")]
        for index in left:
            facts[int(index)][name] = float(f"{values[index]:.5g}")
    if len(left) < count:
        raise FauxleyError(
            f"only {len(left)} of {len(latents)} sounds are not silent; ask for fewer, or choose from more"
        )
    indices = [int(index) for index in left[:count]]
    return Chosen(indices, {index: facts[index] for index in indices}, criteria)


def second_hit_db(clips: NDArray[np.floating[Any]], sample_rate: int) -> NDArray[np.float64]:
    """By how much the level of clips (N, T) rises again after it has fallen, in dB: (N,).

    Starting from the first frame of 10 ms within 6 dB of the loudest, this is the largest ratio of a frame's level to
    the lowest level since then. Levels are limited to 40 dB below the loudest. A sound that only dies away has 0, one
    with a second hit as loud as the first up to 40.
    """
    frame = max(1, round(_FRAME_SECONDS * sample_rate))
    padded = np.pad(np.asarray(clips, np.float64), ((0, 0), (0, -clips.shape[1] % frame)))
    power = np.square(padded.reshape(len(clips), -1, frame)).mean(2)  # (N, F)
    levels = 10 * np.log10(power / np.maximum(power.max(1, keepdims=True), 1e-30) + 10 ** (_INAUDIBLE_DB / 10))
    first = (levels >= levels.max(1, keepdims=True) - _ONSET_DB).argmax(1)
    after = np.arange(levels.shape[1]) >= first[:, None]
    lowest = np.minimum.accumulate(np.where(after, levels, np.inf), 1)
    return np.asarray(np.where(after, levels - lowest, 0).max(1))


def _hear(
    heard: _Heard,
    clips: NDArray[np.float32],
    sample_rate: int,
    choice: Choice,
    classifier: Classifier | None,
    labels: Sequence[str] | None,
) -> None:
    heard.silent += [not clip.any() for clip in clips]
    mono = clips.mean(1)
    if choice.keep is not None:
        heard.buzz += measure(mono, sample_rate)["artefact_db"].tolist()
        heard.rise += second_hit_db(mono, sample_rate).tolist()
    if classifier is not None:
        heard.label += _probabilities(classifier, mono, sample_rate, labels)
    if choice.pick is not None:
        name, _ = PICKS[choice.pick]
        heard.property += [getattr(describe(clip, sample_rate), name) for clip in clips]


def _probabilities(
    classifier: Classifier, mono: NDArray[np.float32], sample_rate: int, labels: Sequence[str] | None
) -> list[float]:
    rate = classifier.settings.sample_rate
    if rate != sample_rate:
        mono = cast(NDArray[np.float32], soxr.resample(mono.T, sample_rate, rate, quality="HQ").T)
    _, probabilities = classifier.judge(torch.from_numpy(np.ascontiguousarray(mono)))  # (B, K)
    if labels is None:
        return cast(list[float], probabilities.amax(1).tolist())
    columns = torch.tensor([classifier.labels.index(word) for word in labels])
    return cast(list[float], probabilities.gather(1, columns[:, None])[:, 0].tolist())


def _play(synthesizer: Synthesizer, latents: Tensor, weights: Tensor) -> NDArray[np.float32]:
    clips = synthesizer.generate(latents=latents, labels=weights, batch_size=_AT_ONCE)
    return np.asarray(clips.numpy(), np.float32)


def _surest(
    heard: _Heard, left: NDArray[np.intp], weights: NDArray[np.float32], share: float
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """The share to keep of the sounds `left`, by label; the best of all labels first. And the criteria in words."""
    criteria = ["little buzz"]
    one_hit = bool(np.median(np.array(heard.rise)[left]) < _SEVERAL_HITS_DB)
    criteria += ["one hit"] * one_hit + ["the label, by a classifier"] * bool(heard.label)
    kept: list[tuple[int, int]] = []  # rank within its label, index
    for label in np.unique(weights[left], axis=0) if weights.shape[1] else [np.zeros(0)]:
        group = left[(weights[left] == label).all(1)]
        ranks = [_rank(-np.maximum(np.array(heard.buzz)[group], _UNHEARD_BUZZ_DB))]
        if one_hit:
            ranks.append(_rank(-np.maximum(np.array(heard.rise)[group], _UNHEARD_RISE_DB)))
        score = np.min(ranks, 0)  # a sound is as good as the worst of its ranks
        if heard.label:
            score = score + _rank(np.array(heard.label)[group])
        order = group[np.argsort(-score, kind="stable")][: math.ceil(share * len(group))]
        kept += [(place, int(index)) for place, index in enumerate(order)]
    return np.array([index for _, index in sorted(kept)], np.intp), tuple(criteria)


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0 for the smallest value to 1 for the largest; equal values have equal ranks."""
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + upto - 1) / 2 / max(1, len(values) - 1)
