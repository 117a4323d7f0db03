"""Parts of a report's page: tables, charts, and clips to see and hear, encoded into the page itself."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from fauxley.evaluation.clips import ClipSource
from fauxley.evaluation.evaluator import Evaluator, Judged
from fauxley.evaluation.figures import METRICS, Evaluation, describe
from fauxley.evaluation.metrics.signal_measures import MEASURES
from fauxley.evaluation.protocol import LEAST_CLIPS
from fauxley.pictures import svg
from fauxley.pictures.canvas import write_png
from fauxley.pictures.spectrogram import spectrogram_image

PAIRS = 12
_SHOWN = 14
_MOST_LABELS = 30  # in a table of what clips were heard as
_TOO_FEW = f"fewer than {LEAST_CLIPS} clips, made or real: too few to say"


class Row(NamedTuple):
    """A row of the table: metric, embedding, and a cell for each set."""

    title: str
    embedding: str
    better: str
    meaning: str
    blind: str
    cells: list[str]


def build_table(sets: Sequence[Evaluation]) -> dict[str, Any]:
    """The table of figures: a column for each set, a row for each metric, grouped by embedding."""
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


def build_charts(evaluator: Evaluator, judged: Sequence[Judged]) -> dict[str, str]:
    """Charts by name, as SVG text: neighbours, spectrum, confidence, level and artefacts of each set."""
    sets = [evaluator.real[-1], *(j.figures for j in judged)]
    drawn = {
        "neighbours": svg.histogram(
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
    drawn["spectrum"] = svg.lines(
        spectra, "Hz; dashed: multiples of rate/16, where upsampling by strides of 4 leaves lines", marks
    )
    if evaluator.classifier:
        confidence = {f.title: f.confidence for f in sets if f.confidence is not None}
        drawn["confidence"] = svg.histogram(confidence, "the classifier's confidence in its answer", 20)
    for name in ("level_db", "artefact_db"):
        drawn[name] = svg.histogram(
            {f.title: f.measures[name] for f in sets}, f"{MEASURES[name].title}, {MEASURES[name].unit}"
        )
    return drawn


def build_history(evaluator: Evaluator, history: Mapping[int, Evaluation]) -> list[str]:
    """A chart of each figure over training, with its value for real clips."""
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
        drawn.append(svg.lines(series, label.replace("real is better", "as real clips is best"), dots=True))
    return drawn


def build_label_shares(evaluator: Evaluator, judged: Sequence[Judged]) -> dict[str, Any] | None:
    """How often each label is heard in each set, and the largest of these; None without a classifier."""
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


def build_asked(evaluator: Evaluator, judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """For each set with labels: what its clips were heard as, and how far they are from real ones."""
    names = evaluator.classifier.labels if evaluator.classifier else ()
    tables = []
    for one in judged:
        confusion, distances = one.figures.confusion, one.figures.label_distances
        rows = [] if confusion is None else [(name, row) for name, row in zip(names, confusion.tolist(), strict=True)]
        if distances:
            tables.append(
                {
                    "title": one.figures.title,
                    "heads": names,
                    "rows": [(name, row) for name, row in rows if sum(row)] if len(names) <= _MOST_LABELS else [],
                    "embedding": evaluator.embeddings[0],
                    "distances": [(name, str(score or _TOO_FEW)) for name, score in distances.items()],
                }
            )
    return tables


def build_signal_table(
    evaluator: Evaluator, judged: Sequence[Judged]
) -> list[tuple[Any, list[tuple[str, str, float | None]]]]:
    """A row for each signal measure: median, range of 80 % of the clips and gap to real ones, for each set."""
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


def build_sounds(evaluator: Evaluator, judged: Sequence[Judged]) -> list[tuple[str, list[dict[str, str]]]]:
    """The first clips of each set, real ones first, to see and to hear."""
    sources = [evaluator.test or evaluator.train, *(j.source for j in judged)]
    return [(source.title, [_cell(source, index) for index in range(min(_SHOWN, len(source)))]) for source in sources]


def build_pairs(evaluator: Evaluator, judged: Judged) -> list[dict[str, Any]]:
    """Clips beside the training clips that they may come from: copies, the surest first, then the nearest clips."""
    found = {
        copy.place: (copy.training_place, f"a copy, similarity {copy.similarity:.3f}")
        for copy in judged.figures.copies[:PAIRS]
    }
    for clip, real, distance in nearest_pairs(judged.figures, PAIRS):
        found.setdefault(clip, (real, f"distance {distance:.1f}"))
    return [
        {"how": how, "made": _cell(judged.source, clip), "real": _cell(evaluator.train, real)}
        for clip, (real, how) in list(found.items())[:PAIRS]
    ]


def nearest_pairs(figures: Evaluation, count: int) -> list[tuple[int, int, float]]:
    """Each clip with its nearest training clip and their distance, the closest pairs first."""
    if figures.nearest is None:
        return []
    order = np.argsort(figures.nearest.distances, kind="stable")[:count]
    return [(int(i), int(figures.nearest.indices[i]), float(figures.nearest.distances[i])) for i in order]


def _cell(source: ClipSource, index: int) -> dict[str, str]:
    """A clip to see and hear."""
    clip = source.read([index])
    image = BytesIO()
    write_png(spectrogram_image(clip, source.sample_rate, height=96, width=144), image)
    return {"name": source.name(index), "image": _data("image/png", image), "sound": _sound(clip, source.sample_rate)}


def _sound(clip: NDArray[np.float32], sample_rate: int) -> str:
    encoded = BytesIO()
    soundfile.write(encoded, clip.T, sample_rate, subtype="PCM_16", format="FLAC")
    return _data("audio/flac", encoded)


def _data(kind: str, content: BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
