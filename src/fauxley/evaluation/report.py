"""The report of an evaluation: `report.json` for programs, `report.html` for people.

The page is one file: style, script, charts, spectrograms and sounds are in it, and it asks the network for nothing.
What comes from outside, such as names of files, is escaped by the template engine; sounds and pictures are encoded
here.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from fauxley.atomic import atomic_file
from fauxley.audio.plots import spectrogram_image
from fauxley.evaluation import charts
from fauxley.evaluation.clips import ClipSource
from fauxley.evaluation.evaluator import FEW_CLIPS, Evaluator
from fauxley.evaluation.figures import METRICS, Figures, describe
from fauxley.evaluation.remarks import remarks
from fauxley.evaluation.signals import MEASURES

FORMAT_VERSION = 1
_SHOWN = 16
_PAIRS = 12


class Judged(NamedTuple):
    """A set of clips with its figures."""

    source: ClipSource
    figures: Figures


def to_json(evaluator: Evaluator, judged: Sequence[Judged]) -> dict[str, Any]:
    """All figures with their protocol, for `report.json`. The same seeds give the same text, timings aside."""
    return {
        "format_version": FORMAT_VERSION,
        "protocol": protocol(evaluator),
        "warnings": warnings_for(evaluator, judged),
        "real": [figures.to_json() for figures in evaluator.real],
        "generated": [
            {
                **figures.to_json(),
                "remarks": [remark.text for remark in remarks(figures, evaluator.real[-1])],
                "nearest": [
                    {"clip": source.name(clip), "training_clip": evaluator.train.name(real), "distance": distance}
                    for clip, real, distance in _nearest_pairs(figures, _PAIRS)
                ],
            }
            for source, figures in judged
        ],
    }


def protocol(evaluator: Evaluator) -> dict[str, Any]:
    """What the figures depend on."""
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
        "classifier": classifier.digest if classifier else None,
        "classifier_accuracy": classifier.judgement.accuracy if classifier else None,
        "classifier_calibration_error": classifier.judgement.calibration_error if classifier else None,
        "truncation": "none: latents as drawn, no clip rejected",
        "quantised_to_bits": 16,
    }


def warnings_for(evaluator: Evaluator, judged: Sequence[Judged]) -> list[str]:
    """What makes the figures less than they seem."""
    found = []
    smallest = min(figures.count for figures in (*evaluator.real, *(j.figures for j in judged)))
    if smallest < FEW_CLIPS:
        found.append(
            f"The smallest set has {smallest} clips. Below {FEW_CLIPS}, Fréchet distances are too large and inception "
            "scores too small; kernel distance and the extrapolated Fréchet distance suffer least."
        )
    if evaluator.test is None:
        found.append(
            "No held-out data (--test): the check for memorising compares with training clips among themselves."
        )
    if (few := len(evaluator.baseline_distances)) < 100:
        found.append(f"The check for copies rests on {few} real clips only; give more --test data.")
    if evaluator.classifier is None:
        found.append("No classifier: all that needs labels is left out.")
    elif evaluator.classifier.judgement.accuracy < 0.7:
        found.append("The classifier is weak; scores made of its answers say little.")
    return found


def write_report(
    folder: Path,
    title: str,
    evaluator: Evaluator,
    judged: Sequence[Judged],
    history: Mapping[int, Figures] | None = None,
    conclusion: str = "",
) -> None:
    """Write report.json and report.html into a folder that exists.

    Args:
        history: figures by training step.
        conclusion: what came of them, a sentence.
    """
    from jinja2 import Environment

    content = to_json(evaluator, judged)
    if history:
        content["history"] = [{"step": step, **figures.to_json()} for step, figures in history.items()]
        content["conclusion"] = conclusion
    with atomic_file(folder / "report.json") as partial:
        partial.write_text(json.dumps(_finite(content), indent=2) + "\n", encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("fauxley.evaluation").joinpath("report.html.jinja").read_text("utf-8"))
    page = template.render(
        title=title,
        protocol=content["protocol"],
        warnings=content["warnings"],
        remarks=[(j.figures.title, remarks(j.figures, evaluator.real[-1])) for j in judged],
        table=_table([*evaluator.real, *(j.figures for j in judged)]),
        conclusion=conclusion,
        history=_history(evaluator, history or {}),
        charts=_charts(evaluator, judged),
        labels=_labels(evaluator, judged),
        signals=_signal_table(evaluator, judged),
        sounds=_sounds(evaluator, judged),
        pairs=[(j.figures.title, _pairs(evaluator, j)) for j in judged],
        classifier=evaluator.classifier,
        seconds=[(f.title, f.count, f.seconds) for f in (*evaluator.real, *(j.figures for j in judged))],
    )
    with atomic_file(folder / "report.html") as partial:
        partial.write_text(page, encoding="utf-8", errors="backslashreplace")


class Row(NamedTuple):
    """A line of the table: metric, embedding, a cell for each set."""

    title: str
    embedding: str
    better: str
    meaning: str
    blind: str
    cells: list[str]


def _table(sets: Sequence[Figures]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for figures in reversed(sets) for name in figures.scores))
    order = list(METRICS)
    groups: dict[str, list[Row]] = {}
    for name in sorted(names, key=lambda name: order.index(name.partition("/")[0])):
        metric, embedding = describe(name)
        cells = [str(f.scores[name]) if name in f.scores else "–" for f in sets]
        group = f"Distances: {embedding} embedding" if embedding else "Labels and neighbours"
        groups.setdefault(group, []).append(
            Row(metric.title, embedding, metric.better, metric.meaning, metric.blind, cells)
        )
    return {"heads": [(f.title, f.count) for f in sets], "groups": groups}


def _charts(evaluator: Evaluator, judged: Sequence[Judged]) -> dict[str, str]:
    sets = [evaluator.real[-1], *(j.figures for j in judged)]
    drawn = {
        "neighbours": charts.histogram(
            {f.title: f.nearest.distances for f in sets if f.nearest}, "distance to the nearest training clip"
        )
    }
    spectra = {}
    for figures in sets:
        if figures.spectrum is not None:
            frequency = np.arange(len(figures.spectrum)) * evaluator.train.sample_rate / 2 / len(figures.spectrum)
            spectra[figures.title] = (frequency, 10 * np.log10(figures.spectrum + 1e-12))
    stride = evaluator.train.sample_rate / 16
    marks = [stride * n for n in range(1, 8)]
    drawn["spectrum"] = charts.lines(
        spectra, "Hz; dashed: multiples of rate/16, where upsampling by strides of 4 leaves lines", marks
    )
    if evaluator.classifier:
        confidence = {f.title: f.confidence for f in sets if f.confidence is not None}
        drawn["confidence"] = charts.histogram(confidence, "the classifier's confidence in its answer", 20)
    for name in ("level_db", "artefact_db"):
        drawn[name] = charts.histogram(
            {f.title: f.measures[name] for f in sets}, f"{MEASURES[name].title}, {MEASURES[name].unit}"
        )
    return drawn


def _history(evaluator: Evaluator, history: Mapping[int, Figures]) -> list[str]:
    """A chart for each figure over training, beside what real clips get."""
    if len(history) < 2:
        return []
    steps = np.array(list(history))
    real = evaluator.real[-1].scores
    drawn = []
    for name in next(iter(history.values())).scores:
        metric, embedding = describe(name)
        series = {}
        if name in real:
            series["real"] = (steps[[0, -1]], np.full(2, real[name].value))
        series["generated"] = (steps, np.array([figures.scores[name].value for figures in history.values()]))
        label = f"{metric.title}{', ' * bool(embedding)}{embedding} ({metric.better} is better), over steps"
        drawn.append(charts.lines(series, label.replace("real is better", "as real clips is best"), dots=True))
    return drawn


def _labels(evaluator: Evaluator, judged: Sequence[Judged]) -> dict[str, Any] | None:
    if evaluator.classifier is None:
        return None
    sets = [evaluator.real[-1], *(j.figures for j in judged)]
    shares = [f.label_shares for f in sets if f.label_shares is not None]
    top = max(float(s.max()) for s in shares)
    names = evaluator.classifier.labels
    return {
        "heads": [f.title for f in sets],
        "rows": [(name, [(float(s[i]), float(s[i]) / top) for s in shares]) for i, name in enumerate(names)],
    }


def _signal_table(
    evaluator: Evaluator, judged: Sequence[Judged]
) -> list[tuple[Any, list[tuple[str, str, float | None]]]]:
    sets = [*evaluator.real, *(j.figures for j in judged)]
    rows = []
    for name, measure in MEASURES.items():
        cells = []
        for figures in sets:
            low, median, high = np.quantile(figures.measures[name], [0.1, 0.5, 0.9])
            most = f"{measure.show(low)} to {measure.show(high)}"
            cells.append((measure.show(median), most, figures.gaps.get(name)))
        rows.append((measure, cells))
    return rows


def _sounds(evaluator: Evaluator, judged: Sequence[Judged]) -> list[tuple[str, list[dict[str, str]]]]:
    sources = [evaluator.test or evaluator.train, *(j.source for j in judged)]
    return [(source.title, [_cell(source, index) for index in range(min(_SHOWN, len(source)))]) for source in sources]


def _pairs(evaluator: Evaluator, judged: Judged) -> list[dict[str, Any]]:
    return [
        {"distance": f"{distance:.1f}", "made": _cell(judged.source, clip), "real": _cell(evaluator.train, real)}
        for clip, real, distance in _nearest_pairs(judged.figures, _PAIRS)
    ]


def _nearest_pairs(figures: Figures, count: int) -> list[tuple[int, int, float]]:
    """Clip, its nearest training clip and their distance; the closest pairs first."""
    if figures.nearest is None:
        return []
    order = np.argsort(figures.nearest.distances, kind="stable")[:count]
    return [(int(i), int(figures.nearest.indices[i]), float(figures.nearest.distances[i])) for i in order]


def _cell(source: ClipSource, index: int) -> dict[str, str]:
    """A clip to see and to hear."""
    clip = source.read([index])
    image = BytesIO()
    from matplotlib.image import imsave

    imsave(image, spectrogram_image(clip, source.sample_rate, height=96, width=144), format="png")
    return {"name": source.name(index), "image": _data("image/png", image), "sound": _sound(clip, source.sample_rate)}


def _sound(clip: NDArray[np.float32], sample_rate: int) -> str:
    encoded = BytesIO()
    soundfile.write(encoded, clip.T, sample_rate, subtype="PCM_16", format="FLAC")
    return _data("audio/flac", encoded)


def _data(kind: str, content: BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def _finite(value: Any) -> Any:
    """JSON has no NaN; what could not be measured is null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
