"""Judging a run while it is trained and afterwards, and remembering which checkpoint was the best."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from fauxley.cli.shared.judging import Judge
from fauxley.dataset.dataset import Dataset
from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.classifier.cache import find_cached
from fauxley.evaluation.clips import ModelClips
from fauxley.evaluation.evaluator import Evaluator, Judged
from fauxley.evaluation.figures import METRICS, Evaluation, describe
from fauxley.evaluation.protocol import Protocol
from fauxley.evaluation.verdict import faults
from fauxley.models.synthesizer import Synthesizer, checkpoints
from fauxley.runs import Best, read_best, record_best


def judge_all(judge: Judge, run: Path) -> dict[int, Judged]:
    """Judge all checkpoints of a run, by step."""
    found = checkpoints(run)
    steps = [int(folder.name.removeprefix("step-")) for folder in found]
    return {step: judge.judge(judge.open(folder, f"step {step}")) for step, folder in zip(steps, found, strict=True)}


def choose_best(judged: Mapping[int, Evaluation], metric: str | None, real: Evaluation) -> tuple[int, str]:
    """The best step, and the metric that says so: the kernel distance in the first embedding unless one is given.

    It decides among the checkpoints with the fewest faults (see `fauxley.evaluation.verdict`): distances alone are deaf
    to level and clipping.

    Args:
        real: figures of real clips.

    Raises:
        UsageError: there is no such figure, or no way of saying which value of it is better.
    """
    scores = next(iter(judged.values())).scores
    sortable = [name for name in scores if describe(name)[0].better != "real"]
    name = metric or next(name for name in scores if name.startswith("kernel/"))
    if name not in sortable:
        raise UsageError(f"--best-by cannot be {name!r}; there are {', '.join(sortable)}")
    sign = 1 if describe(name)[0].better == "lower" else -1

    def badness(step: int) -> tuple[int, float, int]:
        value = sign * judged[step].scores[name].value
        return len(faults(judged[step], real)), value if math.isfinite(value) else math.inf, step

    return min(judged, key=badness), name


def explain_best(judged: Mapping[int, Evaluation], step: int, metric: str, real: Evaluation) -> str:
    """A sentence on which checkpoint was chosen, and on those that were not because something is wrong with them."""
    wrong = {other: found for other, one in judged.items() if (found := faults(one, real))}
    text = f"Best of {len(judged)} checkpoints by {metric}: step {step}."
    if step in wrong:
        return f"{text} It has faults all the same ({', '.join(wrong[step])}), as have all others."
    named = "; ".join(f"step {other}: {', '.join(found)}" for other, found in wrong.items())
    return f"{text} Set aside for faults: {named}." if wrong else text


def record(run: Path, step: int, metric: str, figures: Evaluation, real: Evaluation) -> None:
    """Remember that the checkpoint of a step is the run's best."""
    folder = run / "checkpoints" / f"step-{step:08d}"
    record_best(run, Best(folder, metric, figures.scores[metric].value, tuple(faults(figures, real))))


def assessor(
    run: Path, dataset: Dataset, clip_length: int, count: int, device: torch.device, say: Callable[[str], None]
) -> Callable[[int, Synthesizer], dict[str, float]]:
    """What judges a model while it is trained: all figures by name, and the best checkpoint so far recorded.

    The real side is looked at before the first. Labels count if a classifier of this data is in the cache.

    Raises:
        FauxleyError: too few real clips.
    """
    classifier = find_cached(dataset) if dataset.labels else None
    protocol = Protocol(count=max(count, 20), neighbours=max(2, min(count, 500)))
    judge = Evaluator(dataset, None, classifier, protocol=protocol, device=device, clip_length=clip_length)

    def assess(step: int, synthesizer: Synthesizer) -> dict[str, float]:
        try:
            figures = judge.evaluate(ModelClips(synthesizer, f"step {step}", judge.count))
        except FauxleyError as error:  # training goes on: sounds that cannot be judged now may be better later
            say(f"step {step}: not evaluated: {error}")
            return {}
        real = judge.real[-1]
        _, metric = choose_best({step: figures}, None, real)
        value, wrong = figures.scores[metric].value, faults(figures, real)
        before = read_best(run)
        better = (
            before is None
            or before.metric != metric
            or (len(wrong), value) < (len(before.faults), before.value)  # distances alone are deaf to level
        )
        if better and (run / "checkpoints" / f"step-{step:08d}").is_dir():
            record(run, step, metric, figures, real)
        text = f"step {step}: {METRICS['kernel'].title.lower()} {figures.scores[metric]}"
        text += f", but for {', '.join(wrong)}" if wrong else ""
        say(f"{text}{', the best so far' * better}")
        return {name: score.value for name, score in figures.scores.items()}

    return assess
