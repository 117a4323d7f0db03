"""Ten million clips, simulated: a real index over shards whose audio is a hole in the disk.

    python benchmarks/large_dataset.py [--quick] [--clips 10000000] [--shard-megabytes 256]

Prints the size of the index, what opening and a batch's draw cost in time and memory, how well the order of
`fauxley.dataset.order` mixes beside a permutation of all clips, and what a cache has to fetch. Labels are 35, drawn at
random, as in a dataset that was prepared in mixed order; "sorted" is the same with shards of one label each.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import LABELS_FILE, LANES, LENGTHS_FILE, Shard, ShardedInfo, shard_file, write_info
from fauxley.dataset.order import Laned, Order, Shuffled
from fauxley.dataset.slicing import Slicing
from fauxley.storage import hash_file

CLIP_LENGTH, BATCH_SIZE, LABELS = 16384, 64, 35


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000_000)
    parser.add_argument("--shard-megabytes", type=int, default=256)
    parser.add_argument("--quick", action="store_true", help="20,000 clips in shards of 8 MB")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        print(json.dumps(opening(arguments.open)))
        return
    clips, megabytes = (20_000, 8) if arguments.quick else (arguments.clips, arguments.shard_megabytes)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        counts = simulate(folder, clips, megabytes * 10**6 // (2 * CLIP_LENGTH))
        index = {name: (folder / name).stat().st_size for name in ("dataset.json", LENGTHS_FILE, LABELS_FILE)}
        audio = 2 * CLIP_LENGTH * clips
        print(f"{clips} clips of {CLIP_LENGTH} samples, {audio / 1e9:.1f} GB in {len(counts)} shards of {megabytes} MB")
        print("  index:", ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in index.items()))
        command = [sys.executable, __file__, "--open", str(folder)]
        runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)]
        median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        print(f"  import {median['import']:.2f} s, open {median['open']:.2f} s, first draw {median['first']:.2f} s")
        print(
            f"  then {1e3 * median['draw']:.2f} ms a draw of {BATCH_SIZE}, {1e3 * median['jump']:.0f} ms at a far step"
        )
        print(
            f"  memory for it: {median['private']:.0f} MB of the process's own, "
            f"{median['shared']:.0f} MB of mapped index"
        )
        labels = np.fromfile(folder / LABELS_FILE, "<i4")
    mixing(counts, labels)
    caching(counts)


def simulate(folder: Path, clips: int, per_shard: int) -> np.ndarray:
    """Write a dataset of format 2 whose audio is holes; return the clips of each shard."""
    counts = np.diff([*range(0, clips, per_shard), clips])
    np.full(clips, CLIP_LENGTH, "<u4").tofile(folder / LENGTHS_FILE)
    np.random.default_rng(0).integers(0, LABELS, clips).astype("<i4").tofile(folder / LABELS_FILE)
    for shard, count in enumerate(counts):
        with (folder / shard_file(shard)).open("wb") as file:
            file.truncate(2 * CLIP_LENGTH * int(count))
    info = ShardedInfo(
        format_version=2,
        sample_rate=16000,
        channels=1,
        normalize=True,
        where=(),
        slicing=Slicing("first", CLIP_LENGTH),
        num_files=clips,
        num_samples=CLIP_LENGTH * clips,
        labels=tuple(f"label-{number:02d}" for number in range(LABELS)),
        licenses=("CC0-1.0",),
        shard_bytes=2 * CLIP_LENGTH * per_shard,
        lanes=LANES,
        manifest_sha256="0" * 64,
        lengths_sha256=hash_file(folder / LENGTHS_FILE),
        labels_sha256=hash_file(folder / LABELS_FILE),
        shards=tuple(Shard(int(count), CLIP_LENGTH * int(count), f"{n:064x}") for n, count in enumerate(counts)),
    )
    write_info(folder, info)
    return counts


def opening(folder: Path) -> dict[str, float]:
    """Seconds and megabytes of opening and drawing, in a process of its own."""
    spent = time.perf_counter() - began()
    before = memory()
    times = [time.perf_counter()]
    data = Dataset.open(folder)
    times.append(time.perf_counter())
    data.draw(0, BATCH_SIZE, 0)
    times.append(time.perf_counter())
    for step in range(1, 201):
        data.draw(step, BATCH_SIZE, 0)
    times.append(time.perf_counter())
    data.draw(10**6, BATCH_SIZE, 0)
    times.append(time.perf_counter())
    after = memory()
    opened, first, draws, jump = np.diff(times).tolist()
    return {
        "import": spent,
        "open": opened,
        "first": first,
        "draw": draws / 200,
        "jump": jump,
        "private": after[0] - before[0],
        "shared": after[1] - before[1],
    }


def began() -> float:
    """When this process began, on the clock of `perf_counter` (which is CLOCK_MONOTONIC, since boot, on Linux)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory() -> tuple[float, float]:
    """Resident megabytes: the process's own, and mapped files."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) / 1e3 for name in ("RssAnon", "RssFile"))  # type: ignore[return-value]


def mixing(counts: np.ndarray, labels: np.ndarray) -> None:
    """Print how batches are mixed, beside a permutation of all clips."""
    total = int(counts.sum())
    ends = np.cumsum(counts)
    by_label = np.sort(labels)
    print(f"  mixing, batches of {BATCH_SIZE} (label mix: chi-squared per degree of freedom, 1 for independent draws):")
    orders: dict[str, Order] = {f"{n} lanes": Laned(counts, n, 0) for n in (4, 16, 64)}
    orders["all clips"] = Shuffled(np.arange(total), 0)
    steps = total // BATCH_SIZE
    for name, order in orders.items():
        two = order.draw(np.arange(2 * total)).clip.reshape(2, total)
        batches = two[0][: steps * BATCH_SIZE].reshape(steps, BATCH_SIZE)
        some = batches[:: max(1, steps // 2000)]
        shards = np.mean([len(np.unique(np.searchsorted(ends, batch, side="right"))) for batch in some])
        mix, sorted_mix = (chi_squared(values[some]) for values in (labels, by_label))
        place = np.empty((2, total), np.int64)
        for epoch in range(2):
            place[epoch, two[epoch]] = np.arange(total)
        wait = place[1] + total - place[0]  # draws from one use of a clip to its next
        again = np.mean([same_batch(place[1][batch]) for batch in some])
        correlation = np.corrcoef(place[0], place[1])[0, 1]
        print(
            f"    {name:>9}: {shards:5.1f} shards a batch; label mix {mix:.3f}, sorted {sorted_mix:6.2f}; "
            f"between uses {np.percentile(wait, 1) / total:.2f} to {np.percentile(wait, 99) / total:.2f} epochs "
            f"(correlation of places {correlation:+.4f}); "
            f"pairs that meet again {again / (BATCH_SIZE / total):.2f} x chance"
        )


def chi_squared(labels: np.ndarray) -> float:
    """Mean over batches (steps, B) of the chi-squared of label counts against equal ones, per degree of freedom."""
    counts = np.stack([(labels == label).sum(axis=1) for label in range(LABELS)])
    expected = BATCH_SIZE / LABELS
    return float((((counts - expected) ** 2) / expected).sum(axis=0).mean() / (LABELS - 1))


def same_batch(places: np.ndarray) -> float:
    """The share of pairs of a batch that are in one batch again in the next epoch, at `places`."""
    _, counts = np.unique(places // BATCH_SIZE, return_counts=True)
    return float((counts * (counts - 1)).sum() / (BATCH_SIZE * (BATCH_SIZE - 1)))


def caching(counts: np.ndarray) -> None:
    """Print how many shards each reader fetches an epoch, by readers and by what its cache holds."""
    total = int(counts.sum())
    ends = np.cumsum(counts)
    order = Laned(counts, LANES, 0)
    positions = np.arange(0, total, 1)
    shards = np.searchsorted(ends, order.draw(positions).clip, side="right")
    print(f"  fetches of each reader in an epoch, in shards (there are {len(counts)}), {LANES} lanes:")
    for readers in (1, 4, 16):
        own = shards[0::readers]
        changes = own[np.flatnonzero(np.diff(own, prepend=-1))]  # a run of the same shard asks once
        line = ", ".join(f"{room}: {fetches(changes, room)}" for room in (4, 8, 16, 24, 64))
        print(f"    {readers:>2} reader(s), by shards that its cache holds: {line}")


def fetches(asked: np.ndarray, room: int) -> int:
    """Misses of a cache that drops what was asked for longest ago."""
    held: OrderedDict[int, None] = OrderedDict()
    missed = 0
    for shard in asked.tolist():
        if shard in held:
            held.move_to_end(shard)
            continue
        missed += 1
        held[shard] = None
        if len(held) > room:
            held.popitem(last=False)
    return missed


if __name__ == "__main__":
    main()
