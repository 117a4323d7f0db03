"""Simulated datasets of any size for `cost.py`: a real index over audio that is a hole in the disk."""

import csv
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from large_dataset import CLIP_LENGTH, LABELS, memory, simulate

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import AUDIO_FILE, MANIFEST_FILE, DatasetEntry, DatasetInfo, write_info
from fauxley.dataset.slicing import Slicing

BATCH = 64  # clips read at a time
RATE = 16000
_STEPS = 8  # read again and again: a disk's speed is not what is asked here
_SHARD_CLIPS = 256_000_000 // (2 * CLIP_LENGTH)


def opening(folder: Path, clock: Callable[[], float], seconds: float) -> dict[str, float]:
    """Seconds of opening, of the first draw and of a batch; megabytes that it took."""
    before = memory()
    start = clock()
    dataset = Dataset.open(folder)
    opened = clock()
    dataset.draw(0, BATCH, 0)
    drawn = clock()
    for step in range(_STEPS):
        dataset.batch(step, BATCH, 0)
    steps = itertools.cycle(range(_STEPS))
    batch = median(lambda: dataset.batch(next(steps), BATCH, 0), clock, min(seconds, 1.0))
    private = memory()[0] - before[0]
    return {"open s": opened - start, "first draw s": drawn - opened, "batch s": batch, "own MB": private}


def median(work: Callable[[], object], clock: Callable[[], float], seconds: float) -> float:
    """Median seconds of three repetitions or more, or of one if there are no seconds for it, after one to warm up."""
    work()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < (3 if seconds else 1) or time.perf_counter() - begin < seconds:
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times)


def simulate_folder(folder: Path, clips: int) -> None:
    """A dataset of format 1 whose audio is a hole."""
    names = tuple(f"label-{number:02d}" for number in range(LABELS))
    labels = np.random.default_rng(0).integers(0, LABELS, clips).tolist()
    with (folder / MANIFEST_FILE).open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(field.name for field in dataclasses.fields(DatasetEntry))
        for number, label in enumerate(labels):
            name, begin, sha256 = f"{names[label]}/{number:08d}.wav", number * CLIP_LENGTH, f"{number:064x}"
            entry = DatasetEntry(name, names[label], begin, CLIP_LENGTH, CLIP_LENGTH / RATE, 1.0, sha256, "", "")
            rows.writerow(vars(entry).values())
    with (folder / AUDIO_FILE).open("wb") as audio:
        audio.truncate(2 * CLIP_LENGTH * clips)
    slicing = Slicing("first", CLIP_LENGTH)
    write_info(folder, DatasetInfo(1, RATE, 1, True, (), slicing, clips, clips * CLIP_LENGTH, names))


KINDS: dict[str, Callable[[Path, int], Any]] = {
    "in one file": simulate_folder,
    "in shards": lambda folder, clips: simulate(folder, clips, _SHARD_CLIPS),
}
