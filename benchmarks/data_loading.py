"""What a batch costs: 64 clips of 16384 samples from a memory-mapped dataset, cold (first touch) and warm.

    python benchmarks/data_loading.py [DATASET]

Without DATASET, 1000 seconds of noise stand in. The bound that matters: under 2 % of a training step, which at the
paper's settings takes five critic batches (see benchmarks/train_step.py for what a step costs).
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fauxley.audio.dataset import Dataset
from fauxley.audio.files import write_audio
from fauxley.audio.packing import pack
from fauxley.audio.slicing import Slicing

BATCH_SIZE = 64
BATCHES_PER_STEP = 5
# Seconds a step takes at the paper's settings, from the arithmetic in docs/experiments.md: the bound to stay below.
STEPS = {"two CPU cores": 20.0, "an H100 at its floor": 0.008}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        dataset = Dataset.open(Path(sys.argv[1])) if len(sys.argv) > 1 else _stand_in(Path(scratch))
        print(f"{dataset.folder}: {dataset.num_clips()} clips, {dataset.duration_seconds / 60:.1f} min")
        for mode in ("first", "random"):
            slicing = Slicing(mode, 16384)  # type: ignore[arg-type]
            cold = _median(lambda step, s=slicing: _cold(dataset.folder, s, step), 10)  # type: ignore[misc]
            dataset.batch(0, BATCH_SIZE, 0, slicing=slicing)
            warm = _median(lambda step, s=slicing: dataset.batch(step, BATCH_SIZE, 0, slicing=s), 300)  # type: ignore[misc]
            print(f"slicing {mode}: {1e3 * warm:.2f} ms a batch warm, {1e3 * cold:.2f} ms cold (opening it included)")
            for where, seconds in STEPS.items():
                share = BATCHES_PER_STEP * warm / seconds
                print(f"  {BATCHES_PER_STEP} batches are {share:.2%} of a step on {where}")


def _median(measured: Callable[[int], object], repeats: int) -> float:
    seconds = []
    for step in range(repeats):
        begin = time.perf_counter()
        measured(step)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def _cold(folder: Path, slicing: Slicing, step: int) -> None:
    """Drop the audio from the page cache, open the dataset anew, take one batch."""
    with (folder / "audio.int16").open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    Dataset.open(folder).batch(step, BATCH_SIZE, 0, slicing=slicing)


def _stand_in(scratch: Path) -> Dataset:
    random = np.random.default_rng(0)
    (scratch / "noise").mkdir()
    for index in range(1000):
        write_audio(scratch / "noise" / f"{index}.wav", 0.1 * random.standard_normal((1, 16000)), 16000)
    return pack(scratch / "noise", scratch / "dataset")


if __name__ == "__main__":
    main()
