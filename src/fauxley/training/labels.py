"""Which labels a model learns: those of its data, if they are wanted and suitable. This is decided once for a run."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from fauxley.errors import UsageError
from fauxley.models.conditioning import MOST_LABELS, enumerated, reason_against
from fauxley.training.config import TrainingConfig

LEAST_CLIPS = 2  # of a label; a single clip would be memorised


class LabelChoice(NamedTuple):
    """The labels to learn, and a sentence on the choice and its reasons; "" if there is nothing to say."""

    labels: tuple[str, ...]
    words: str


def choose_labels(counts: Mapping[str, int]) -> LabelChoice:
    """Choose the labels to learn, given the number of clips of each; those of "" have no label."""
    labels, bare = sorted(set(counts) - {""}), counts.get("", 0)
    if not labels:
        return LabelChoice((), "")
    unfit = next((f"{label!r:.60}, but a label {reason}" for label in labels if (reason := reason_against(label))), "")
    rare = [label for label in labels if counts[label] < LEAST_CLIPS]
    if len(labels) == 1 and not bare:
        reason = f"all sounds have the same one, {labels[0]!r:.60}"
    elif unfit:
        reason = f"one is {unfit}"
    elif len(labels) == 1:
        reason = f"{labels[0]!r} is the only one"
    elif len(labels) > MOST_LABELS:
        reason = f"there are {len(labels)} of them, and a model can have {MOST_LABELS}"
    elif rare:
        few = f"{enumerated(rare)} {_have(rare)} fewer; add some, or leave {_them(rare)} out"
        reason = f"each needs {LEAST_CLIPS} clips or more, and {few}"
    elif bare > sum(counts.values()) / 2:
        reason = f"{bare} of {sum(counts.values())} clips have none"
    else:
        told = enumerated([f"{label} {counts[label]}" for label in labels])
        rest = f"; {bare} without a label count as a mixture of all" if bare else ""
        return LabelChoice(tuple(labels), f"learns {len(labels)} labels, all equally often (clips: {told}{rest})")
    return LabelChoice((), f"does not learn the labels of the data: {reason}")


def with_labels(
    config: TrainingConfig, counts: Mapping[str, int], begun: Sequence[str] | None = None
) -> tuple[TrainingConfig, str]:
    """The configuration with the labels to learn, and a sentence on the choice.

    Args:
        counts: the number of clips of each label; "" counts those without.
        begun: the labels with which the run was begun; None if it begins now.

    Raises:
        UsageError: the run was begun with other labels.
    """
    known = sorted(set(counts) - {""})
    if begun is not None:
        if begun and not config.data.labels:
            raise UsageError(
                f"the run was begun with labels ({enumerated(begun)}) and cannot go on without; keep the labels, or "
                "begin a run in another folder"
            )
        if begun and list(begun) != known:
            raise UsageError(
                f"the run has the labels {enumerated(begun)}, but the data has {enumerated(known) or 'none'}; "
                "give the data that it was begun with, or begin a run in another folder"
            )
        choice = LabelChoice(tuple(begun), f"learns the labels of the run: {enumerated(begun)}" if begun else "")
    elif not known:
        choice = LabelChoice((), "")
    elif not hasattr(config.architecture, "labels"):
        choice = LabelChoice((), f"a {type(config.architecture).__name__} cannot learn labels: the data's are ignored")
    elif not config.data.labels:
        return config, ""
    else:
        choice = choose_labels(counts)
    if not choice.labels:
        return config, choice.words
    architecture = dataclasses.replace(cast(Any, config.architecture), labels=choice.labels)
    data = dataclasses.replace(config.data, balance_labels=True)
    return dataclasses.replace(config, architecture=architecture, data=data), choice.words


def _have(labels: Sequence[str]) -> str:
    return "has" if len(labels) == 1 else "have"


def _them(labels: Sequence[str]) -> str:
    return "it" if len(labels) == 1 else "them"
