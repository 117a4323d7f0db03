"""What a batch costs: 64 clips of 16384 samples from a memory-mapped dataset, cold (first touch) and warm.

    python benchmarks/data_loading.py [DATASET] [--quick]

Without DATASET, 1000 seconds of noise stand in. Then, for presets that a CPU can run, what share of a training step its
batches take, conversion to float included, the two measured in turns: read when wanted, read ahead by a thread, and cut
out of the device's memory (on a CPU, its own). The bound that matters is 2 %. A GPU's figures: `benchmarks/device.py`.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.packing import pack
from fauxley.dataset.slicing import Slicing
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.sounds.writing import write_audio
from fauxley.training.data import ClipReader, MappedReader, PrefetchingReader, RealAudio, ResidentReader
from fauxley.training.presets import PRESETS
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

BATCH_SIZE = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true", help="little noise, tiny models: does it run?")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        stands_in = options.dataset is None
        dataset = stand_in(Path(scratch), 20 if options.quick else 1000) if stands_in else Dataset.open(options.dataset)
        print(f"{dataset.folder}: {dataset.num_clips()} clips, {dataset.duration_seconds / 60:.1f} min")
        for mode in ("first", "random"):
            slicing = Slicing(mode, 16384)
            cold = _median(lambda step, s=slicing: _cold(dataset.folder, s, step), 10)  # type: ignore[misc]
            dataset.batch(0, BATCH_SIZE, 0, slicing=slicing)
            warm = _median(lambda step, s=slicing: dataset.batch(step, BATCH_SIZE, 0, slicing=s), 300)  # type: ignore[misc]
            print(f"slicing {mode}: {1e3 * warm:.2f} ms a batch warm, {1e3 * cold:.2f} ms cold (opening it included)")
        for preset in ("wavegan-small", "wavegan-tiny", "specgan-small"):
            for reader in (MappedReader, PrefetchingReader, ResidentReader):
                _share(preset, dataset, reader(dataset, torch.device("cpu")), options.quick)


def _share(preset: str, dataset: Dataset, reader: ClipReader, quick: bool) -> None:
    """Print what share of a step of a preset its batches take."""
    _, config = PRESETS[preset]
    if quick:
        architecture = cast(WaveGAN | SpecGAN, config.architecture)
        config = replace(config, architecture=replace(architecture, dim=2), batch_size=2)
    data = RealAudio(dataset, config, torch.device("cpu"), reader=reader)
    state = TrainingState.new(config.architecture, config.optimizer, False, 0, torch.device("cpu"))
    updates = config.objective.num_batches
    loading, training = [], []
    for step in range(6):
        start = time.perf_counter()
        audio = [data.batch(step * updates + update) for update in range(updates)]
        loaded = time.perf_counter()
        features = [state.representation.to_features(batch) for batch in audio]
        train_step(state, config.objective, features, lambda update, step=step: Draws(step, update))  # type: ignore[misc]
        loading.append(loaded - start)
        training.append(time.perf_counter() - loaded)
    data.close()
    load, train = statistics.median(loading[1:]), statistics.median(training[1:])
    share = f"step {1e3 * train:.0f} ms: {load / (load + train):.2%}"
    print(f"{preset}, {type(reader).__name__}: {updates} batch(es) {1e3 * load:.2f} ms, {share}")


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


def stand_in(scratch: Path, files: int = 1000) -> Dataset:
    """A dataset of so many files, a second of noise each."""
    random = np.random.default_rng(0)
    (scratch / "noise").mkdir()
    for index in range(files):
        write_audio(scratch / "noise" / f"{index}.wav", 0.1 * random.standard_normal((1, 16000)), 16000)
    return pack(scratch / "noise", scratch / "dataset")


if __name__ == "__main__":
    main()
