"""The report of an evaluation: `report.json` for programs, `report.html` for people.

The page is a single file: style, script, charts, spectrograms and sounds are in it, and it requests nothing from the
network. The template engine escapes everything that comes from outside, such as names of files.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.evaluator import Evaluator, Judged
from fauxley.evaluation.figures import Evaluation
from fauxley.evaluation.metrics.kernel import KAD_FACTOR
from fauxley.evaluation.protocol import FEW_CLIPS
from fauxley.evaluation.report import page
from fauxley.evaluation.verdict import remarks
from fauxley.storage import atomic_file

FORMAT_VERSION = 1
_OTHER_LENGTH = 1.5  # times the length of clips that a classifier learnt


def to_json(evaluator: Evaluator, judged: Sequence[Judged]) -> dict[str, Any]:
    """All figures with their protocol, for `report.json`. The same seeds give the same text, except for timings."""
    return {
        "format_version": FORMAT_VERSION,
        "protocol": protocol(evaluator, judged),
        "warnings": warnings_for(evaluator, judged),
        "real": [figures.to_json() for figures in evaluator.real],
        "generated": [
            {
                **figures.to_json(),
                "remarks": [remark.text for remark in remarks(figures, evaluator.real[-1])],
                "passed_over": source.passed_over,
                "nearest": [
                    {"clip": source.name(clip), "training_clip": evaluator.train.name(real), "distance": distance}
                    for clip, real, distance in page.nearest_pairs(figures, page.PAIRS)
                ],
            }
            for source, figures in judged
        ],
    }


def protocol(evaluator: Evaluator, judged: Sequence[Judged]) -> dict[str, Any]:
    """The protocol in JSON form: everything that the figures depend on besides the clips."""
    train, classifier, settings = evaluator.train, evaluator.classifier, evaluator.protocol
    return {
        "clips_each_side": evaluator.count,
        "clip_length": train.clip_length,
        "sample_rate": train.sample_rate,
        "seed": settings.seed,
        "inception_splits": settings.splits,
        "neighbour_queries": settings.neighbours,
        "training_clips": len(train),
        "held_out_clips": len(evaluator.test) if evaluator.test else 0,
        "training_data": evaluator.fingerprint,
        "embeddings": list(evaluator.embeddings),
        "kad": {"factor": KAD_FACTOR, "bandwidths": evaluator.bandwidths},
        "labels": list(classifier.labels if classifier else train.labels),
        "classifier": classifier.digest if classifier else None,
        "classifier_accuracy": classifier.judgement.accuracy if classifier else None,
        "classifier_noisy_accuracy": classifier.judgement.noisy_accuracy if classifier else None,
        "classifier_calibration_error": classifier.judgement.calibration_error if classifier else None,
        "truncation": "; ".join(f"{source.title}: {source.chosen}" for source, _ in judged if source.chosen)
        or "none: latents as drawn, no clip rejected",
        "quantised_to_bits": 16,
    }


def warnings_for(evaluator: Evaluator, judged: Sequence[Judged]) -> list[str]:
    """Warnings, as sentences, about everything that makes the figures less reliable than they look."""
    found = [
        f"{source.title}: its sounds were chosen ({source.chosen}); the model itself is not as good as these figures."
        for source, _ in judged
        if source.chosen
    ]
    smallest = min(figures.count for figures in (*evaluator.real, *(j.figures for j in judged)))
    if smallest < FEW_CLIPS:
        found.append(
            f"The smallest set has {smallest} clips. Below {FEW_CLIPS}, Fréchet distances are too large and inception "
            "scores too small; kernel distance and the extrapolated Fréchet distance suffer least."
        )
    if evaluator.test is None:
        found.append("There are no held-out data: the check for memorising compares training clips with each other.")
    if (few := len(evaluator.baseline_distances)) < 100:
        found.append(f"The check for copies rests on {few} real clips only; give more held-out data.")
    if evaluator.classifier is None:
        return [*found, "There is no classifier: all figures that need labels are left out."]
    return [*found, *_warnings_about(evaluator.classifier, evaluator.train.clip_length / evaluator.train.sample_rate)]


def _warnings_about(classifier: Classifier, seconds: float) -> list[str]:
    """What makes a classifier a poor judge of clips of so many seconds."""
    found = []
    if classifier.judgement.accuracy < 0.7:
        found.append("The classifier is weak; scores from its answers mean little.")
    elif (error := classifier.judgement.calibration_error) > 0.1:
        found.append(
            f"The classifier's probabilities are off by {error:.2f} (calibration error), and so are inception scores: "
            "compare only with the rows of real clips.",
        )
    learnt = classifier.settings.clip_length / classifier.settings.sample_rate
    if not 1 / _OTHER_LENGTH <= seconds / learnt <= _OTHER_LENGTH:
        found.append(
            f"The classifier learnt clips of {learnt:.2f} s and judges clips of {seconds:.2f} s, in which it may hear "
            "fewer labels than in its own; train one on clips of this length."
        )
    return found


def write_report(
    folder: Path,
    title: str,
    evaluator: Evaluator,
    judged: Sequence[Judged],
    history: Mapping[int, Evaluation] | None = None,
    conclusion: str = "",
) -> None:
    """Write report.json and report.html to an existing folder.

    Args:
        history: figures by training step.
        conclusion: a sentence on what follows from the figures.
    """
    from jinja2 import Environment

    content = to_json(evaluator, judged)
    if history:
        content["history"] = [{"step": step, **figures.to_json()} for step, figures in history.items()]
        content["conclusion"] = conclusion
    with atomic_file(folder / "report.json") as partial:
        partial.write_text(json.dumps(_finite(content), indent=2) + "\n", encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        files("fauxley.evaluation.report").joinpath("report.html.jinja").read_text("utf-8")
    )
    text = template.render(
        title=title,
        protocol=content["protocol"],
        warnings=content["warnings"],
        remarks=[(j.figures.title, remarks(j.figures, evaluator.real[-1])) for j in judged],
        table=page.build_table([*evaluator.real, *(j.figures for j in judged)]),
        conclusion=conclusion,
        history=page.build_history(evaluator, history or {}),
        charts=page.build_charts(evaluator, judged),
        labels=page.build_label_shares(evaluator, judged),
        asked=page.build_asked(evaluator, judged),
        signals=page.build_signal_table(evaluator, judged),
        sounds=page.build_sounds(evaluator, judged),
        pairs=[(j.figures.title, page.build_pairs(evaluator, j)) for j in judged],
        classifier=evaluator.classifier,
        seconds=[(f.title, f.count, f.seconds) for f in (*evaluator.real, *(j.figures for j in judged))],
    )
    with atomic_file(folder / "report.html") as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def _finite(value: Any) -> Any:
    """Replace what JSON lacks: NaN, which stands for what could not be measured, becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
