"""Can the judgement be fooled? Sets made of real words, each wrong in a known way, and what every figure makes of them.

    python benchmarks/fooling.py ../shared/data/commands              # some minutes of one core
    python benchmarks/fooling.py ../shared/data/drums --count 130

The folder holds sounds and a manifest.csv with the columns file, label and split; `train` is what a model would have
learnt from, `test` are new real clips, of which the sets are made (copies: of `train`). Prints the tables of
docs/evaluation.md. With a classifier of this data in the cache, its columns are printed too.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.evaluation.classifier.cache import find_cached
from fauxley.evaluation.clips import Audio, ClipSource, DatasetClips
from fauxley.evaluation.evaluator import Evaluator
from fauxley.evaluation.features import Fingerprints
from fauxley.evaluation.metrics.copies import find_copies
from fauxley.evaluation.protocol import Protocol
from fauxley.evaluation.verdict import faults, remarks

_RATE, _LENGTH = 16000, 16384
_COLUMNS = (
    *("copies", "repeated", "variety", "suspicious", "self_distance"),
    *("kernel/log-mel", "kad/log-mel", "kid/log-mel", "frechet_infinity/log-mel", "recall/log-mel"),
    *("inception_share", "kernel/classifier"),
)


class ArrayClips(ClipSource):
    """Clips from an array, (N, T)."""

    def __init__(self, title: str, clips: Audio) -> None:
        self.title, self.clips = title, np.clip(clips, -1, 1).astype(np.float32)
        self.sample_rate, self.clip_length = _RATE, clips.shape[1]

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, indices: Sequence[int]) -> Audio:
        clips: Audio = self.clips[np.asarray(indices)]
        return clips

    def name(self, index: int) -> str:
        return f"clip {index}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=560, help="clips of each set")
    parser.add_argument("--train", type=int, default=10_000, help="training clips at most")
    parser.add_argument("--copies-only", action="store_true")
    parser.add_argument("--table-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        train, test = (_packed(options.data, split, Path(folder), options.train) for split in ("train", "test"))
        learnt = DatasetClips(train, "train")
        new = DatasetClips(test, "test", options.count)
        learnt_clips, new_clips = (source.read(range(len(source))) for source in (learnt, new))
        labels = np.array(new.label_numbers)
        if not options.table_only:
            _copies(learnt_clips, new_clips)
        if options.copies_only:
            return
        protocol = Protocol(count=max(20, len(new_clips)))
        evaluator = Evaluator(train, test, find_cached(train), protocol=protocol)
        _table(evaluator, _sets(learnt_clips, new_clips, labels))


def _packed(data: Path, split: str, folder: Path, most: int):  # type: ignore[no-untyped-def]  # of a script
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == split]
    chosen = np.random.default_rng(0).permutation(len(rows))[:most]
    for row in (rows[index] for index in chosen):
        target = folder / split / row["label"] / Path(row["file"]).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to((data / row["file"]).resolve())
    return pack(
        folder / split, folder / f"{split}.dataset", PackSettings(clip_length=_LENGTH, slicing="first"), n_jobs=1
    )


def _sets(learnt: Audio, new: Audio, labels: np.ndarray) -> dict[str, Audio]:
    few = new[np.arange(len(new)) % 20]
    mixed = new.copy()
    mixed[:11] = learnt[:11]
    common = np.bincount(labels[labels >= 0]).argmax()
    same = np.flatnonzero(labels == common)
    return {
        "real, new": new,
        **{f"noise at {level} dB": noisy(new, level) for level in (20, 10, 0)},
        "reversed": new[:, ::-1].copy(),
        "one label": new[same],
        "20 clips again and again": few,
        "11 copies among them": mixed,
        "copies 100 ms later": later(learnt[: len(new)], 100),
        "copies, noise at 15 dB": noisy(learnt[: len(new)], 15),
        "27 times too loud": 27 * new,
        "white noise": 0.1 * np.random.default_rng(0).standard_normal(new.shape, np.float32),
    }


def _copies(learnt: Audio, new: Audio) -> None:
    start = time.process_time()
    training = _fingerprints(learnt)
    print(f"fingerprints: {1000 * (time.process_time() - start) / len(learnt):.2f} ms of one core a clip")
    chosen = learnt[:: max(1, len(learnt) // 200)]
    kept = np.square(later(chosen, 100)).sum(1) > 0.6 * np.square(chosen).sum(1)
    some = chosen[kept]
    sets = {
        "real, new": new,
        "real, new, reversed": new[:, ::-1].copy(),
        "real, new, noise at 10 dB": noisy(new, 10),
        "exact copies": some,
        "a quarter as loud, turned over": -0.25 * some,
        "50 ms later": later(some, 50),
        "100 ms later": later(some, 100),
        "noise at 15 dB": noisy(some, 15),
        "noise at 10 dB": noisy(some, 10),
        "shelf of ± 4 dB": filtered(some),
        "last 100 ms cut off": later(later(some, 100), -100),
        "75 ms later, shelf, turned over, noise at 15 dB": noisy(filtered(later(-0.4 * some, 75)), 15),
    }
    print("| set | clips | copies | sure | similarity, 2 % / median / 98 % |\n|---|---|---|---|---|")
    for name, clips in sets.items():
        start = time.process_time()
        found = find_copies(_fingerprints(clips), training)
        low, middle, high = np.quantile(found.similarity, [0.02, 0.5, 0.98])
        print(
            f"| {name} | {len(clips)} | {found.copied.mean():.1%} | {(found.similarity >= 0.97).mean():.1%} "
            f"| {low:.2f} / {middle:.2f} / {high:.2f} |"
        )
        took = 1000 * (time.process_time() - start) / len(clips)
    print(f"\nsearch: about {took:.1f} ms of one core a clip among {len(learnt)}", flush=True)


def _fingerprints(clips: Audio) -> dict[str, np.ndarray]:
    parts = [
        Fingerprints().extract(clips[start : start + 64].astype(np.float32), _RATE)
        for start in range(0, len(clips), 64)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _table(evaluator: Evaluator, sets: dict[str, Audio]) -> None:
    real = evaluator.real[-1]
    columns = [name for name in _COLUMNS if name in real.scores]
    print("\n| set | " + " | ".join(columns) + " | faults |\n" + "|---" * (len(columns) + 2) + "|")
    verdicts = {}
    for name, clips in sets.items():
        figures = evaluator.evaluate(ArrayClips(name, clips))
        cells = [str(figures.scores[column]) for column in columns]
        print(f"| {name} | " + " | ".join(cells) + f" | {', '.join(faults(figures, real)) or '–'} |", flush=True)
        verdicts[name] = remarks(figures, real)[:2]
    for name, found in verdicts.items():
        print(f"\n{name}")
        for remark in found:
            print(f"  {remark.verdict:<4}  {remark.text}")


def noisy(clips: Audio, decibels: float) -> Audio:
    """White noise so far below each clip."""
    level = np.sqrt(np.square(clips).mean(1, keepdims=True)) * 10 ** (-decibels / 20)
    return np.asarray(clips + level * np.random.default_rng(1).standard_normal(clips.shape), np.float32)


def later(clips: Audio, milliseconds: float) -> Audio:
    """Moved in time, silence where nothing is known."""
    shift = round(milliseconds * _RATE / 1000)
    moved = np.roll(clips, shift, axis=1)
    moved[:, slice(0, shift) if shift > 0 else slice(shift, None)] = 0
    return moved


def filtered(clips: Audio) -> Audio:
    """A shelf around 1 kHz: up to 4 dB less below, up to 4 dB more above."""
    frequency = np.maximum(np.fft.rfftfreq(clips.shape[1], 1 / _RATE), 20)
    gain = 10 ** (4 * np.tanh(np.log2(frequency / 1000)) / 20)
    return np.asarray(np.fft.irfft(np.fft.rfft(clips) * gain, clips.shape[1]), np.float32)


if __name__ == "__main__":
    main()
