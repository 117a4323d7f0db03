"""How many clips a second each stage of an evaluation takes, and what an exact search for neighbours costs.

    python benchmarks/evaluation.py                 # a minute or two
    python benchmarks/evaluation.py --quick
    python benchmarks/evaluation.py --neighbours 50000 --dimensions 16384    # the largest search: long

Clips are noise, which costs what any clip costs. Rates are the median of several rounds in which the stages take turns,
and per second of processor time, all threads together, so that other work on the machine matters little.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from fauxley.evaluation.classifier.classifier import Classifier, Judgement
from fauxley.evaluation.classifier.network import ClassifierNetwork, ClassifierSettings, LogMel
from fauxley.evaluation.features import BATCH_SIZE, ClassifierFeatures, FeatureStore, LogMelNeighbours
from fauxley.evaluation.metrics import signal_measures
from fauxley.evaluation.metrics.frechet import frechet_distance
from fauxley.evaluation.metrics.kernel import kernel_distance
from fauxley.evaluation.metrics.neighbours import nearest
from fauxley.evaluation.metrics.precision_recall import precision_recall

_RATE, _LENGTH = 16000, 16384


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--neighbours", type=int, default=4000, help="clips on each side of the search")
    parser.add_argument("--dimensions", type=int, default=16384)
    parser.add_argument("--clips", type=int, default=10_000, help="for the distances")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.neighbours, options.clips = 2, 500, 1000
    torch.set_num_threads(options.threads)
    _features(options.rounds)
    _distances(options.clips)
    _search(options.neighbours, options.dimensions)


def _features(rounds: int) -> None:
    clips = np.random.default_rng(0).uniform(-0.5, 0.5, (BATCH_SIZE, _LENGTH)).astype(np.float32)
    settings = ClassifierSettings.suiting(_RATE, _LENGTH, tuple("abcdefghij"), 24)
    judgement = Judgement(0.0, 0.0, 0.0, 0, "", ((0,) * 10,) * 10)
    classifier = Classifier(settings, LogMel(settings), ClassifierNetwork(settings), 1.0, judgement, "")
    log_mel, judge = LogMelNeighbours(), ClassifierFeatures(classifier)
    stages: dict[str, Callable[[], object]] = {
        "log-mel": lambda: log_mel.extract(clips, _RATE),
        "classifier": lambda: judge.extract(clips, _RATE),
        "signals": lambda: (signal_measures.measure(clips, _RATE), signal_measures.mean_spectrum(clips)),
    }
    times: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(rounds):
        for name, stage in stages.items():
            times[name].append(_seconds(stage))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in [*medians.items(), ("all features", sum(medians.values()))]:
        print(f"{name:<34}{BATCH_SIZE / seconds:>8.0f} clips/s of one core")


def _distances(count: int) -> None:
    rng = np.random.default_rng(0)
    real, made = rng.standard_normal((count, 256)), rng.standard_normal((count, 256)) + 0.1
    distances: dict[str, Callable[[], object]] = {
        "Fréchet": lambda: frechet_distance(real, made),
        "kernel": lambda: kernel_distance(real, made),
        "P/R/D/C": lambda: precision_recall(real, made),
    }
    for name, measure in distances.items():
        print(f"{name + f', {count} clips, 256 dimensions':<34}{_seconds(measure):>8.1f} s")


def _search(count: int, dimensions: int) -> None:
    rng = np.random.default_rng(0)
    stores = []
    for _ in range(2):
        rows = rng.standard_normal((min(count, 500), dimensions)).astype(np.float32)
        store = FeatureStore(count, rows)
        for _ in range(-(-count // len(rows))):
            store.append(rows + np.float32(0.1) * rng.standard_normal(dimensions, np.float32))
        stores.append(store.array)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = _seconds(lambda: nearest(stores[0], stores[1]))
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    rate = 2 * count**2 * dimensions / seconds / 1e9
    where = "mapped" if isinstance(stores[0], np.memmap) else "in memory"
    print(f"neighbours, {count} × {count}, {dimensions} dimensions ({where}): {seconds:.1f} s, {rate:.0f} GFLOP/s")
    print(f"peak memory grew by {more:.0f} MiB (of mapped files, only what the system cares to keep)")


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
