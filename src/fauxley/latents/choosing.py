"""Choosing among a model's sounds: the surest share of them, and the most extreme of so many.

A model that is saved has no critic, so how sure a sound is has to be heard from the sound:

- **Buzz**: tones that upsampling leaves, `artefact_db` of `evaluation/metrics/signal_measures.py`.
- **A second hit**: a level that rises again after it has fallen. It counts where most of the sounds have none; in words
  and long recordings it is no fault.
- **The label**, by a classifier: the probability of the one that was asked for, or of any, if none was.

Sounds are ranked by each, and the worst of a sound's ranks counts; that of the label is added to it. It is a ranking
and no judgement: of bad sounds, too, a share is kept.

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
    """Sounds that were chosen.

    Attributes:
        indices: of the candidates, the best first, (M,).
        facts: what is to be said of each, by index.
        criteria: what the surest were chosen by, in words.
    """

    indices: list[int]
    facts: dict[int, dict[str, Any]]
    criteria: tuple[str, ...] = ()


@dataclass
class _Heard:
    """What was heard of candidates, a number each."""

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
    """Choose `count` of the sounds of latents (N, Z). First the surest are kept, then the most extreme are picked.

    Of a model with labels the surest are kept of each label, the most extreme picked of all.

    Args:
        labels: weights (N, L) of the labels of the sounds; None for a model without.
        asked: the labels that a classifier is to hear, one a sound; None: any.
        progress, cancelled: see `inversion.invert`.

    Raises:
        UsageError: the classifier does not know a label.
        FauxleyError: fewer than `count` of the sounds are no silence.
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
            f"only {len(left)} of {len(latents)} sounds are no silence; ask for fewer, or choose from more"
        )
    indices = [int(index) for index in left[:count]]
    return Chosen(indices, {index: facts[index] for index in indices}, criteria)


def second_hit_db(clips: NDArray[np.floating[Any]], sample_rate: int) -> NDArray[np.float64]:
    """By how much the level of clips (N, T) rises again after it has fallen, in dB: (N,).

    From the first frame of 10 ms within 6 dB of the loudest: the level over the lowest since then, neither of which
    counts as less than 40 dB below the loudest. A sound that dies away has 0, a second hit as loud as the first up to
    40.
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
    """The surest share of each label of the sounds `left`, the best of all labels first; and what that was told by."""
    criteria = ["little buzz"]
    one_hit = bool(np.median(np.array(heard.rise)[left]) < _SEVERAL_HITS_DB)
    criteria += ["one hit"] * one_hit + ["the label, by a classifier"] * bool(heard.label)
    kept: list[tuple[int, int]] = []  # place within its label, index
    for label in np.unique(weights[left], axis=0) if weights.shape[1] else [np.zeros(0)]:
        group = left[(weights[left] == label).all(1)]
        ranks = [_rank(-np.maximum(np.array(heard.buzz)[group], _UNHEARD_BUZZ_DB))]
        if one_hit:
            ranks.append(_rank(-np.maximum(np.array(heard.rise)[group], _UNHEARD_RISE_DB)))
        score = np.min(ranks, 0)  # a sound is as good as the worst of it
        if heard.label:
            score = score + _rank(np.array(heard.label)[group])
        order = group[np.argsort(-score, kind="stable")][: math.ceil(share * len(group))]
        kept += [(place, int(index)) for place, index in enumerate(order)]
    return np.array([index for _, index in sorted(kept)], np.intp), tuple(criteria)


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0, the smallest, to 1; equal values have equal ranks."""
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + upto - 1) / 2 / max(1, len(values) - 1)
