"""The default training on few clips, from scratch and from a model: how near to real sounds it comes, and copies.

    python benchmarks/small_folders.py FOLDER --work WORK [--sizes 50 150] [--steps 600] [--model drums] [--where ...]

FOLDER is a labelled folder of one-shots. Every third sound of a label is held out; of the others, so many as each size
says are learnt, of each label in proportion, from random weights, and from the model for a third as long. All runs go
by steps, so that a busy machine does not matter; the minutes are those of the processor. Then as many sounds as are
wanted are made, with the labels of the held-out sounds, and compared with these in log-mel (see docs/evaluation.md).
Copies are looked for among the sounds learnt from at all pitches at which they were shown. The model itself, before it
has learnt anything of the folder, and the learnt sounds have a row each. What is done is kept in WORK, and the same
command goes on.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.facts import Facts
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.errors import FauxleyError
from fauxley.evaluation.features import Fingerprints, LogMelNeighbours
from fauxley.evaluation.metrics.copies import SURE, find_copies
from fauxley.evaluation.metrics.frechet import frechet_distance
from fauxley.evaluation.metrics.kernel import fit_scale, kernel_distance
from fauxley.evaluation.metrics.neighbours import memorisation, nearest
from fauxley.models.synthesizer import Synthesizer
from fauxley.signal.pitch import at_pitch
from fauxley.training.beginning import config_from
from fauxley.training.config import TrainingConfig
from fauxley.training.data import fingerprint, to_float
from fauxley.training.labels import LEAST_CLIPS, with_labels
from fauxley.training.loop import Trainer
from fauxley.training.recipe import clip_length, recipe
from fauxley.training.run import Run

Array = NDArray[Any]
_HELD_OUT = 3  # one in so many
_COLUMNS = ("kernel", "kernel ±", "Fréchet", "suspicious", "copies", "sure copies", "variety")


class Silent:
    """Says only what is wrong."""

    def begin(self, step: int, steps: int) -> None: ...
    def step(self, step: int, steps: int) -> None: ...
    def numbers(self, values: dict[str, float]) -> None: ...
    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None:
        print(f"  warning: {text}", flush=True)


class Judge:
    """Compares sets of clips (N, T) with held-out ones."""

    def __init__(self, held_out: Array, rate: int) -> None:
        self._rate = rate
        self._mel, self._prints = LogMelNeighbours(), Fingerprints()
        self._held_out = self._features(held_out)
        self._scale = fit_scale(self._held_out["log-mel"])

    def _features(self, clips: Array) -> dict[str, Array]:
        parts = [
            {**self._mel.extract(some, self._rate), **self._prints.extract(some, self._rate)}
            for some in np.array_split(clips, -(-len(clips) // 64))
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def compare(self, clips: Array, learnt: Array) -> dict[str, float]:
        """Figures of clips, in the order of `_COLUMNS`; `learnt` are those that they may be copies of."""
        made, training, real = self._features(clips), self._features(learnt), self._held_out
        kernel = kernel_distance(real["log-mel"], made["log-mel"], 0, self._scale)
        distances = [nearest(each["copies"], training["copies"])[0][:, 0] for each in (made, real)]
        copies = find_copies(made, training).similarity
        variety = nearest(made["fingerprints"], made["fingerprints"], same=True)[0].mean()
        return dict(
            zip(
                _COLUMNS,
                (
                    1000 * kernel.value,
                    500 * (kernel.high - kernel.low),
                    frechet_distance(real["log-mel"], made["log-mel"]),
                    memorisation(*distances).suspicious,
                    float((copies > 0.9).mean()),
                    float((copies >= SURE).mean()),
                    float(variety),
                ),
                strict=True,
            )
        )


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made on the way")
    parser.add_argument("--where", action="append", default=[], help="conditions on the manifest's columns")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 150], help="clips to learn")
    parser.add_argument("--steps", type=int, default=600, help="of a training from random weights")
    parser.add_argument("--model", default="drums", help="to begin from")
    parser.add_argument("--seconds", type=float, default=0.75, help="of a clip")
    parser.add_argument("--count", type=int, default=200, help="sounds that are judged")
    parser.add_argument("--quick", action="store_true", help="two steps of a small model: does it run?")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.quick:
        options.sizes, options.steps, options.count = [8], 2, 20
    source = Synthesizer.from_pretrained(options.model)
    length = clip_length(options.seconds, source.sample_rate)
    data = options.work / "data"
    if not data.exists():
        settings = PackSettings(source.sample_rate, clip_length=length, slicing="first", where=tuple(options.where))
        pack(options.folder, data, settings, n_jobs=1)
    learnt, held_out = split(Dataset.open(data))
    names = [entry.label for entry in held_out.entries]
    judge = Judge(clips_of(held_out, length), source.sample_rate)
    print(f"{len(held_out.entries)} held out, of {', '.join(sorted(set(names)))}; clips of {length} samples")
    print(f"| clips, model | steps | minutes | {' | '.join(_COLUMNS)} |\n|{'---|' * (3 + len(_COLUMNS))}", flush=True)
    for size in options.sizes:
        some = learnt.only(evenly(learnt, size))
        real = clips_of(some, length)
        planned = recipe(Facts(source.sample_rate, 1, length / source.sample_rate, "first", size))
        shown = at_pitches(real, planned)
        against = judge.compare(real[: options.count], clips_of(held_out, length))  # which are near themselves
        show(f"{size} real", 0, 0, against | {"suspicious": math.nan})
        show(
            f"{size}, {options.model} as it is", 0, 0, judge.compare(make(source, names, options.count, length), shown)
        )
        for origin, steps in (("", options.steps), (options.model, max(1, options.steps // 3))):
            config = configure(planned, some, length, steps, source if origin else None, origin, options.quick)
            place = options.work / f"{size}-{origin or 'scratch'}-{steps}"
            minutes = train(place, config, some, source if origin else None)
            model = Synthesizer.from_pretrained(place)
            figures = judge.compare(make(model, names, options.count, length), shown)
            show(f"{size}, {f'from {origin}' if origin else 'from scratch'}", steps, minutes, figures)


def split(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """What is learnt from and what is held out: every third of each label; labels of very few are left out."""
    by_label: dict[str, list[int]] = {}
    for number, entry in enumerate(dataset.entries):
        by_label.setdefault(entry.label, []).append(number)
    kept = [files for files in by_label.values() if len(files) >= _HELD_OUT * LEAST_CLIPS]
    if not kept:
        raise FauxleyError(f"{dataset.name} has too few sounds of each label")
    held_out = [file for files in kept for file in files[1::_HELD_OUT]]
    rest = [file for files in kept for place, file in enumerate(files) if place % _HELD_OUT != 1]
    return dataset.only(rest), dataset.only(held_out)


def evenly(dataset: Dataset, size: int) -> Sequence[int]:
    """So many files, of every label in proportion, two at least, from all over its list."""
    labels = np.array([entry.label for entry in dataset.entries])
    chosen = []
    for label in np.unique(labels):
        files = np.flatnonzero(labels == label)
        count = min(len(files), max(LEAST_CLIPS, round(size * len(files) / len(labels))))
        chosen += files[np.arange(count) * len(files) // count].tolist()
    return sorted(chosen)


def clips_of(dataset: Dataset, length: int) -> Array:
    """All clips of a dataset of one channel: (N, T)."""
    slicing = replace(dataset.info.slicing, clip_length=length)
    return to_float(torch.from_numpy(np.concatenate([*dataset.once(64, slicing)])))[:, 0].numpy()


def at_pitches(clips: Array, config: TrainingConfig) -> Array:
    """Clips as training shows them: (N, T) to (pitches · N, T)."""
    audio = torch.from_numpy(clips)[:, None]
    versions = [at_pitch(audio, pitch) if pitch else audio for pitch in config.data.pitches]
    return torch.cat(versions)[:, 0].numpy()


def make(model: Synthesizer, names: Sequence[str], count: int, length: int) -> Array:
    """Sounds with labels in the shares of `names`, or of all labels where the model has not these: (count, T)."""
    labels = [names[number * len(names) // count] for number in range(count)]
    wanted = labels if set(labels) <= set(model.labels) else None
    clips = model.generate(count, seed=0, labels=wanted)[:, 0, :length].numpy()
    return np.round(clips * 32767).clip(-32768, 32767) / np.float32(32767)


def configure(
    planned: TrainingConfig,
    data: Dataset,
    length: int,
    steps: int,
    source: Synthesizer | None,
    name: str,
    quick: bool,
) -> TrainingConfig:
    """The default training by steps instead of minutes."""
    config = planned if source is None else config_from(planned, source, name, length)
    if quick and source is None:
        config = replace(config, architecture=replace(config.architecture, dim=1))
    config = replace(config, minutes=0.0, steps=steps, checkpoint_every=max(1, steps // 20), preview_count=0,
                     batch_size=2 if quick else config.batch_size)  # fmt: skip
    return with_labels(config, data.label_counts())[0]


def train(place: Path, config: TrainingConfig, data: Dataset, source: Synthesizer | None) -> float:
    """Train a run to its end; minutes of the processor, of all times that it was gone on with."""
    run, ledger = Run(place), place.with_suffix(".json")
    spent = json.loads(ledger.read_text()) if ledger.exists() else 0.0
    if run.checkpoints() and run.checkpoints()[-1].name.endswith(f"{config.steps:08d}"):
        return float(spent)
    begin = time.process_time()
    run.begin(config, fingerprint(config, data))
    finished = Trainer(run, config, data, torch.device("cpu"), Silent(), source=source).train()
    spent += (time.process_time() - begin) / 60
    ledger.write_text(json.dumps(spent))
    if not finished:
        raise SystemExit(f"stopped; the same command goes on with {place}")
    return float(spent)


def show(name: str, steps: int, minutes: float, figures: dict[str, float]) -> None:
    """A row of the table."""
    told = [f"{value:.3g}" for value in figures.values()]
    print(f"| {name} | {steps or '–'} | {f'{minutes:.1f}' if steps else '–'} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
