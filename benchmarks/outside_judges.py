"""Generated sounds judged by models that this project did not train.

    python benchmarks/outside_judges.py sounds drums --data TRAIN --test HELD_OUT
    python benchmarks/outside_judges.py words words --data TRAIN --test HELD_OUT

What is judged is a model (a run, a folder, or the name of one that ships) or a folder of sounds; TRAIN and HELD_OUT
are labelled folders of real ones, at best those that `scripts/pretrained.py` leaves in build/pretrained/NAME. The
judges are in `outside_networks.py`, with what to install for them.

`sounds` asks an embedding of sound effects, for any labels. All sets are compared with one random half of the training
sounds, ten times over (mean and standard deviation): the generated ones, the real ones that were held out, and the
other half, which is as near as real sounds can come.

    kernel distance    KID's cubic kernel, features scaled to a median length of 1; every label counts the same
    heard              nearest to the mean of its own label in that half; every label counts the same
    precision, coverage, nearest (median distance to the nearest real sound): of as many sounds of each set

`words` asks a speech recogniser, made to hear one of the labels. `heard` is as above. For the inception score, of fewer
sounds because it takes half a second for each, scores become probabilities by a temperature fitted on training sounds.
All sets then have as many clips.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from outside_networks import AiSfx, Clip, Recogniser, StandIn

from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.classifier.calibration import fit_temperature, softmax
from fauxley.evaluation.clips import ClipSource
from fauxley.evaluation.features import resample
from fauxley.evaluation.folder_clips import open_clips
from fauxley.evaluation.metrics.inception_score import inception_score
from fauxley.evaluation.metrics.kernel import polynomial
from fauxley.evaluation.metrics.label_agreement import agreement, confusion_matrix
from fauxley.evaluation.metrics.neighbours import nearest, squared_distances
from fauxley.evaluation.metrics.precision_recall import precision_recall
from fauxley.sounds.sidecars import facts_beside

Float64 = NDArray[np.float64]
Labels = NDArray[np.str_]
Figure = tuple[float, float]  # and its spread; NaN where there is none
Table = dict[str, dict[str, Figure]]

_ALL = 1 << 30
_DRAWS = 10
_GROUP = 50  # clips at least in a group of the inception score


class Sounds(NamedTuple):
    """Clips of their own lengths, and their labels (N,), "" where unknown."""

    clips: list[Clip]
    labels: Labels


class Features(NamedTuple):
    """Embedded clips (N, D), and their labels (N,)."""

    values: Float64
    labels: Labels

    def at(self, indices: NDArray[Any]) -> "Features":
        return Features(self.values[indices], self.labels[indices])


def main() -> None:
    """Judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("judge", choices=("sounds", "words"))
    parser.add_argument("judged", type=Path, help="model or folder of sounds")
    parser.add_argument("--data", type=Path, required=True, help="the real sounds that the model learnt from")
    parser.add_argument("--test", type=Path, required=True, help="real sounds that it did not learn from")
    parser.add_argument("--count", type=int, default=24, help="sounds of each label to judge")
    parser.add_argument("--scored", type=int, default=10, help="words of each label for the inception score; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--quick", action="store_true", help="log-mel in place of the judges: does it run?")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        if options.count < 2:
            raise UsageError("at least 2 sounds of each label are needed")
        title, table = (judge_sounds if options.judge == "sounds" else judge_words)(options)
    except FauxleyError as error:
        sys.exit(f"outside_judges: {error}")
    print(f"{options.judged}, judged by {title}\n")
    show(table)
    if options.json:
        facts = {"judged": str(options.judged), "judge": title, "count": options.count, "seed": options.seed}
        rows = {
            name: {key: [None if np.isnan(part) else part for part in figure] for key, figure in row.items()}
            for name, row in table.items()
        }
        options.json.write_text(json.dumps({**facts, "figures": rows}, indent=1) + "\n", encoding="utf-8")


def judge_sounds(options: argparse.Namespace) -> tuple[str, Table]:
    """Compare embedded sounds with halves of the training sounds."""
    network = StandIn() if options.quick else AiSfx()
    source = open_clips(options.judged, _ALL, options.seed)
    seconds = source.clip_length / source.sample_rate  # real sounds are cut to it: a model makes no longer ones
    training, test = (
        read(open_clips(path, _ALL), network.sample_rate, seconds) for path in (options.data, options.test)
    )
    kinds = len(set(training.labels))
    made = read(source, network.sample_rate, seconds, options.count, kinds)
    embedded = [Features(network.embed(each.clips), each.labels) for each in (made, test, training)]
    return network.title, compare(embedded[0], embedded[1], embedded[2], options.seed)


def judge_words(options: argparse.Namespace) -> tuple[str, Table]:
    """Let a recogniser choose among the labels."""
    rate = Recogniser.sample_rate
    training, test = (read(open_clips(path, _ALL, options.seed), rate, None, options.count)
                      for path in (options.data, options.test))  # fmt: skip
    words = sorted(set(training.labels.tolist()) - {""})
    if len(words) < 2:
        raise UsageError(f"{options.data} has no labels to choose among; give a labelled folder")
    examples = training.clips, training.labels
    recogniser = StandIn(words, examples) if options.quick else Recogniser(words)
    made = read(open_clips(options.judged, _ALL, options.seed), rate, None, options.count, len(words))
    sets = {"generated": made, "real, held out": test, "real, training": training}
    table: Table = {}
    for name, sounds in sets.items():
        asked, heard = indices(sounds.labels, words), recogniser.hear(sounds.clips)
        # One column more, for clips in which no word is heard.
        share = agreement(confusion_matrix(asked, np.eye(len(words) + 1)[heard]))
        table[f"{name}, {len(sounds.clips)}"] = {"heard": (share, np.nan)}
    if options.scored:
        some = [_evenly(sounds, options.scored, len(words)) for sounds in sets.values()]
        scores = [recogniser.scores(sounds.clips) for sounds in some]
        temperature = fit_temperature(scores[-1], indices(some[-1].labels, words))
        least = min(map(len, scores))
        for row, found in zip(table.values(), scores, strict=True):
            row["inception score"] = inception_score(softmax(found[:least] / temperature), max(1, least // _GROUP))
    return recogniser.title, table


def read(source: ClipSource, rate: int, seconds: float | None, count: int = _ALL, kinds: int = 1) -> Sounds:
    """Sounds of a source at `rate`, one channel, cut to `seconds`; at most `count` of each label.

    Of a source without labels, as many as `kinds` labels would give.
    """
    most = count if source.labels else count * kinds
    clips: list[Clip] = []
    labels: list[str] = []
    seen: Counter[str] = Counter()
    for sound in source.originals():
        label = sound.label or (_label_beside(source.path / sound.origin) if source.path else "")
        if seen[label] < most and (label or not source.labels):
            seen[label] += 1
            labels.append(label)
            clip = resample(sound.audio.mean(0)[None].astype(np.float32), sound.sample_rate, rate)[0]
            clips.append(clip if seconds is None else clip[: round(seconds * rate)])
        if len(clips) == most * max(1, len(source.labels)):
            break
    if len(clips) < 2:
        raise FauxleyError(f"{source.title} has fewer than two sounds")
    return Sounds(clips, np.array(labels))


def _evenly(sounds: Sounds, count: int, kinds: int) -> Sounds:
    """The first sounds of each label, in their order, or as many as `kinds` labels would give."""
    known = len(set(sounds.labels.tolist())) > 1
    seen: Counter[str] = Counter()
    places = []
    for place, label in enumerate(sounds.labels.tolist()):
        seen[label] += 1
        if seen[label] <= (count if known else count * kinds):
            places.append(place)
    return Sounds([sounds.clips[place] for place in places], sounds.labels[places])


def _label_beside(file: Path) -> str:
    label = facts_beside(file).get("label")
    return label if isinstance(label, str) else ""


def compare(made: Features, test: Features, training: Features, seed: int) -> Table:
    """All sets against halves of the training sounds: figures and their spread over halves, by set."""
    unit = np.sqrt(np.median(np.square(training.values).sum(1)) / training.values.shape[1]) or 1.0
    rng = np.random.default_rng(seed)
    halves = [split(training.labels, rng) for _ in range(_DRAWS)]
    count = min(len(made.labels), len(test.labels), min(len(rest) for _, rest in halves))
    drawn: dict[str, list[Mapping[str, float]]] = {}
    for half, rest in halves:
        sets = {
            f"generated, {len(made.labels)}": made,
            f"real, held out, {len(test.labels)}": test,
            f"real, other half, {len(rest)}": training.at(rest),
        }
        for name, each in sets.items():
            some = rng.choice(len(each.labels), count, replace=False)
            drawn.setdefault(name, []).append(compare_once(each, training.at(half), some, unit))
    return {
        name: {key: (float(np.mean([row[key] for row in rows])), float(np.std([row[key] for row in rows])))
               for key in rows[0]}
        for name, rows in drawn.items()
    }  # fmt: skip


def split(labels: Labels, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two random halves of the indices, with half of every label in each."""
    halves: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    for number, label in enumerate(np.unique(labels)):
        mine = rng.permutation(np.flatnonzero(labels == label))
        middle = (len(mine) + number % 2) // 2  # of an odd number, the one left over goes to either in turn
        halves[0].append(mine[:middle])
        halves[1].append(mine[middle:])
    return np.concatenate(halves[0]), np.concatenate(halves[1])


def compare_once(features: Features, reference: Features, some: NDArray[np.int64], unit: float) -> dict[str, float]:
    """Figures of features against real ones; those that depend on the number of clips, of `some`."""
    labels = sorted(set(reference.labels) - {""})
    heard = np.nan
    if labels and set(features.labels) & set(labels):
        means = np.stack([reference.values[reference.labels == label].mean(0) for label in labels])
        nearness = -squared_distances(features.values - means.mean(0), means - means.mean(0))
        heard = agreement(confusion_matrix(indices(features.labels, labels), nearness))
    chosen = features.values[some]
    found = precision_recall(reference.values, chosen)
    return {
        "kernel distance": kernel_distance_by_label(features, reference, unit),
        "heard": heard,
        "precision": found.precision,
        "coverage": found.coverage,
        "nearest": float(np.median(nearest(chosen, reference.values)[0])),
    }


def kernel_distance_by_label(first: Features, second: Features, unit: float) -> float:
    """Unbiased squared MMD between mixtures of all labels in equal shares, however many clips of each there are.

    Labels of which either side has fewer than two are left out; without common labels the sides are compared as they
    are. With one label it is `squared_mmd` of features divided by `unit`.
    """
    counts = [Counter(each.labels.tolist()) for each in (first, second)]
    labels = [label for label in counts[0] if min(count[label] for count in counts) >= 2]
    sides = [(each.values / unit, each.labels) for each in (first, second)]
    if not labels:
        labels = [""]
        sides = [(values, np.full(len(values), "")) for values, _ in sides]
    parts = [[values[own == label] for label in labels] for values, own in sides]
    return _mean_kernel(parts[0], parts[0]) + _mean_kernel(parts[1], parts[1]) - 2 * _mean_kernel(parts[0], parts[1])


def _mean_kernel(first: list[Float64], second: list[Float64]) -> float:
    """The mean over pairs of labels of the mean kernel over pairs of clips, never of a clip with itself."""
    means = []
    for one in first:
        for other in second:
            kernel = polynomial(one, other)
            same = one is other
            own = np.trace(kernel) if same else 0.0
            means.append((kernel.sum() - own) / (kernel.size - same * len(one)))
    return float(np.mean(means))


def indices(labels: Labels, known: list[str]) -> NDArray[np.int64]:
    """The place of each label in `known`, or -1."""
    places = {label: place for place, label in enumerate(known)}
    return np.array([places.get(label, -1) for label in labels.tolist()], np.int64)


def show(table: Table) -> None:
    """Print a table in Markdown, and what the first row, of generated sounds, is of the second, of held-out ones."""
    columns = list(next(iter(table.values())))
    print(f"| sounds | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for name, row in table.items():
        print(f"| {name} | {' | '.join(_cell(*row[column]) for column in columns)} |")
    made, real = list(table.values())[:2]
    shares = {column: made[column][0] / real[column][0] for column in columns if real[column][0]}
    print("\nGenerated by held out: " + ", ".join(f"{column} {share:.2f}" for column, share in shares.items()))


def _cell(value: float, spread: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.3f}" if np.isnan(spread) else f"{value:.3f} ± {spread:.3f}"


if __name__ == "__main__":
    main()
