"""How cost grows: training and generating with d, clip length and batch; opening and reading with the data's size.

    python benchmarks/cost.py                  # 4 to 7 minutes on two cores
    python benchmarks/cost.py --quick          # does it run?

One axis is varied at a time, from a base of d = 16, 16384 samples, batch 16. Each point is measured in a process of its
own, so that peaks of memory are its own. A small number behind a value is the exponent since the row above:
log(value / value above) / log(size / size above), 1 where the cost grows as the size does.

A step is the paper's: WGAN-GP, 5 critic updates and 1 of the generator. Its GFLOP are counted, not measured: two for
each multiplication that direct convolutions cannot do without. With G and C those of one clip's way through generator
and critic, an update of the critic takes G + 10 C (forward 3; backward, weights and signals, of real and generated 4;
the penalty's gradient 1, its own backward 2), one of the generator 3 G + 2 C. Layers that compute with fewer products
(docs/decisions/006) therefore can show more GFLOP/s than the machine has.

Data are simulated: a real index over audio that is a hole in the disk. Batches are read from the system's cache.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from data_size import BATCH, KINDS, median, opening
from large_dataset import CLIP_LENGTH

from fauxley.cli.shared.estimate import count_parameters
from fauxley.machine import forget_peak, keep_freed_memory, peak_megabytes
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.training.objectives import WassersteinGP
from fauxley.training.optimizers import Adam
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

MODELS = {"WaveGAN": WaveGAN, "SpecGAN": SpecGAN}
AXES = {"d": (8, 16, 32, 64), "clip length": (4096, 16384, 65536), "batch": (1, 4, 16, 64)}
BASE = {"d": 16, "clip length": 16384, "batch": 16}
SIZES = (100, 10_000, 1_000_000)
QUICK_AXES = {"d": (1, 2), "clip length": (4096, 8192), "batch": (1, 2)}
QUICK_BASE = {"d": 1, "clip length": 4096, "batch": 2}
QUICK_SIZES = (100, 1000)
CPU = torch.device("cpu")
Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="to repeat each measurement for; the median counts")
    parser.add_argument("--processor-time", action="store_true", help="for a busy machine, with --threads 1")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="tiny models and data, one repetition")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(measure(json.loads(options.one), options)))
        return
    if options.quick:
        options.seconds = 0.0
    axes, base, sizes = (QUICK_AXES, QUICK_BASE, QUICK_SIZES) if options.quick else (AXES, BASE, SIZES)
    clock = "processor time" if options.processor_time else "time by the clock"
    print(f"PyTorch {torch.__version__}, {options.threads} threads, {clock}; base: {base}")
    found: dict[str, list[Row]] = {}
    for model in options.models:
        known: dict[str, Row] = {}  # the base is part of every axis
        for axis, values in axes.items():
            rows = []
            for value in values:
                point = {"model": model, **base, axis: value}
                key = json.dumps(point, sort_keys=True)
                if key not in known:
                    known[key] = apart(point, options)
                rows.append({axis: value, **known[key]})
            found[f"{model}, {axis}"] = rows
            print(f"\n{model}, {axis}; a process without a model: {rows[0]['idle MB']:.0f} MB\n")
            print(table(rows, axis, COLUMNS))
    found["data"] = data_sizes(sizes, options)
    for kind in KINDS:
        print(f"\ndata {kind}, clips of {CLIP_LENGTH} samples, batches of {BATCH}\n")
        print(table([row for row in found["data"] if row["kind"] == kind], "clips", DATA_COLUMNS))
    if options.json is not None:
        content = {"threads": options.threads, "processor_time": options.processor_time, "figures": found}
        options.json.write_text(json.dumps(content, indent=2) + "\n")


def apart(point: dict[str, Any], options: argparse.Namespace) -> Row:
    """Measure a point in a new process."""
    command = [sys.executable, __file__, "--threads", str(options.threads), "--seconds", str(options.seconds)]
    command += ["--processor-time"] * options.processor_time + ["--one", json.dumps(point)]
    if sys.stderr.isatty():
        print(point, end="\r", file=sys.stderr)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{point}: {done.stderr or f'killed ({done.returncode}), probably for want of memory'}")
    result: Row = json.loads(done.stdout)
    return result


def measure(point: dict[str, Any], options: argparse.Namespace) -> Row:
    """All figures of a point."""
    clock = time.process_time if options.processor_time else time.perf_counter
    if "folder" in point:
        return opening(Path(point["folder"]), clock, options.seconds)
    return measure_model(MODELS[point["model"]](point["clip length"], dim=point["d"]), point["batch"], clock, options)


def measure_model(
    architecture: WaveGAN | SpecGAN, batch: int, clock: Callable[[], float], options: argparse.Namespace
) -> Row:
    """Figures of generating, then of training: with a model at a time, as in use."""
    idle = peak_megabytes(CPU)
    generating = generation(architecture, batch, clock, options.seconds)
    generating_peak = peak_megabytes(CPU)
    forget_peak(CPU)
    keep_freed_memory()  # as `fauxley train` does
    objective = WassersteinGP()
    state = TrainingState.new(architecture, Adam(), False, 0, CPU)
    audio = torch.rand(batch, architecture.channels, architecture.clip_length) - 0.5
    batches = [state.representation.to_features(audio)] * objective.num_batches
    training = median(
        lambda: train_step(state, objective, batches, lambda update: Draws(state.step, update)), clock, options.seconds
    )
    parts = architecture.generator_cost(), architecture.critic_cost()
    generator, critic = (2e-9 * cost.multiply_adds for cost in parts)
    step = batch * (objective.critic_steps * (generator + 10 * critic) + 3 * generator + 2 * critic)
    return {
        "generator": count_parameters(state.generator),
        "critic": count_parameters(state.networks["critic"]),
        "step GFLOP": step,
        "step s": training,
        "step MB": peak_megabytes(CPU) - idle,
        "generate GFLOP": batch * generator,
        "generate s": generating,
        "generate MB": generating_peak - idle,
        "idle MB": idle,
    }


def generation(architecture: WaveGAN | SpecGAN, batch: int, clock: Callable[[], float], seconds: float) -> float:
    """Seconds to make a batch of clips from latents."""
    synthesizer = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 16000)
    latents = synthesizer.latents(range(batch))
    return median(lambda: synthesizer.generate(latents=latents, batch_size=batch), clock, seconds)


def data_sizes(sizes: tuple[int, ...], options: argparse.Namespace) -> list[Row]:
    """Figures of simulated datasets of both formats."""
    rows = []
    for kind, make in KINDS.items():
        for clips in sizes:
            with tempfile.TemporaryDirectory() as scratch:
                make(Path(scratch), clips)
                audio = ("audio",)  # all else is index
                index = sum(file.stat().st_size for file in Path(scratch).iterdir() if not file.name.startswith(audio))
                row = apart({"folder": scratch}, options)
                rows.append({"kind": kind, "clips": clips, "index MB": index / 1e6, **row})
    return rows


def table(rows: list[Row], axis: str, columns: dict[str, tuple[Callable[[Row], float], str]]) -> str:
    """Markdown; where a column's format ends in "^", with the exponent since the row above."""
    lines = [f"| {axis} | {' | '.join(columns)} |", "|" + "---|" * (1 + len(columns))]
    above: Row | None = None
    for row in rows:
        cells = []
        for value, form in columns.values():
            text = format(value(row), form.rstrip("^"))
            if form.endswith("^") and above is not None and min(value(row), value(above)) > 0:
                text += f" <sub>{math.log(value(row) / value(above)) / math.log(row[axis] / above[axis]):+.2f}</sub>"
            cells.append(text)
        lines.append(f"| {row[axis]:,} | {' | '.join(cells)} |")
        above = row
    return "\n".join(lines)


COLUMNS: dict[str, tuple[Callable[[Row], float], str]] = {
    "generator, M": (lambda row: row["generator"] / 1e6, ".2f^"),
    "critic, M": (lambda row: row["critic"] / 1e6, ".2f^"),
    "step: GFLOP": (lambda row: row["step GFLOP"], ".4g^"),
    "s": (lambda row: row["step s"], ".3g^"),
    "GFLOP/s": (lambda row: row["step GFLOP"] / row["step s"], ".0f"),
    "MB": (lambda row: row["step MB"], ".0f^"),
    "generating a batch: GFLOP": (lambda row: row["generate GFLOP"], ".3g^"),
    "ms": (lambda row: 1e3 * row["generate s"], ".3g^"),
    "MB ": (lambda row: row["generate MB"], ".0f^"),
}
DATA_COLUMNS: dict[str, tuple[Callable[[Row], float], str]] = {
    "index, MB": (lambda row: row["index MB"], ".3g^"),
    "opening, s": (lambda row: row["open s"], ".3g^"),
    "first draw, ms": (lambda row: 1e3 * row["first draw s"], ".3g^"),
    "a batch, ms": (lambda row: 1e3 * row["batch s"], ".3g^"),
    "memory, MB": (lambda row: row["own MB"], ".0f^"),
}


if __name__ == "__main__":
    main()
