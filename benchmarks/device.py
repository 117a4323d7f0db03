"""Everything there is to know of a GPU, in about eight minutes: is it right, how fast, and where does the time go?

    python benchmarks/device.py --out build/device            # on a GPU
    python benchmarks/device.py --out build/device --device cpu --quick

Writes report.json and report.md into the folder, after each part anew, so that what was measured before something
fails or time runs out is kept. In order: losses and gradients against the CPU's for every preset; the paper's step in
float32, TF32 and bfloat16, with CUDA graphs and without; the objectives with one critic update a step; generation; the
ways data take to the device. TFLOP/s count what a step needs at least: 6.5 TFLOP for 5 + 1 updates of 64 clips at
d = 64; those of other models and objectives are counted as if they were that.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from data_loading import stand_in

from fauxley.machine import choose_device, forget_peak, keep_freed_memory, peak_megabytes, prefer_speed
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Synthesizer
from fauxley.training.config import TrainingConfig
from fauxley.training.cuda_graphs import CudaGraphs, RecordedUpdater, Recorder, Repetition
from fauxley.training.data import MappedReader, PrefetchingReader, RealAudio, ResidentReader
from fauxley.training.objectives import Hinge, Relativistic, WassersteinGP
from fauxley.training.presets import PRESETS
from fauxley.training.state import TrainingState
from fauxley.training.step import Updater, find_gradients, train_step

# GFLOP an example at d = 64, 16384 samples: a critic's update with gradient penalty, one of the generator.
_CRITIC, _GENERATOR = 18.6, 8.5
_PRECISIONS = {"float32": ("ieee", "float32"), "TF32": ("tf32", "float32"), "bfloat16": ("tf32", "bfloat16")}


class Report:
    """What was found so far, on the disk as well."""

    def __init__(self, folder: Path, machine: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._content: dict[str, Any] = {"machine": machine}

    def add(self, part: str, rows: list[dict[str, Any]]) -> None:
        """A table: rows of the same columns."""
        self._content[part] = rows
        (self._folder / "report.json").write_text(json.dumps(self._content, indent=2) + "\n")
        text = [f"# {self._content['machine']}"]
        for name, table in self._content.items():
            if isinstance(table, list) and table:
                columns = list(table[0])
                text += ["", f"## {name}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
                text += [f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in table]
        (self._folder / "report.md").write_text("\n".join(text) + "\n")
        print(f"\n{part}")
        for row in rows:
            print("  " + "  ".join(f"{name}: {_cell(value)}" for name, value in row.items()), flush=True)


def main() -> None:
    """Measure, part after part; a part that fails is reported, and the next one begins."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--seconds", type=float, default=12, help="of each timing")
    parser.add_argument("--quick", action="store_true", help="tiny models, a few steps: does it run?")
    options = parser.parse_args()
    keep_freed_memory()
    prefer_speed()
    device = choose_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    report = Report(options.out, f"{name}, PyTorch {torch.__version__}")
    seconds = 0.2 if options.quick else options.seconds
    parts: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "Against the CPU, float32": lambda: compare_with_cpu(device, options.quick),
        "The paper's step": lambda: time_paper(device, seconds, options.quick),
        "One critic update a step, bfloat16": lambda: time_pairs(device, seconds, options.quick),
        "Generation": lambda: time_generation(device, seconds, options.quick),
        "Data": lambda: time_data(device, options.quick),
    }
    for part, measure in parts.items():
        start = time.perf_counter()
        try:
            rows = measure()
        except Exception as error:  # the other parts are worth having, and device time is dear
            rows = [{"failed": f"{type(error).__name__}: {error}".splitlines()[0]}]
        report.add(part, rows)
        print(f"  ({time.perf_counter() - start:.0f} s)")


def compare_with_cpu(device: torch.device, quick: bool) -> list[dict[str, Any]]:
    """Losses and gradients of the first update of each network, of all presets, sizes reduced; float32 throughout."""
    rows = []
    for preset, (_, full) in list(PRESETS.items())[:: 4 if quick else 1]:
        config = replace(full, architecture=replace(full.architecture, dim=8), batch_size=4, precision="float32")
        with _convolutions("ieee"):
            ours, expected = (_gradients(config, where) for where in (device, torch.device("cpu")))
        distance, size, loss = 0.0, 0.0, 0.0
        for (values, gradients), (their_values, theirs) in zip(ours, expected, strict=True):
            loss = max(loss, *(float((values[n] - their_values[n]).abs().max()) for n in values if n.endswith("loss")))
            distance += sum(float((a - b).square().sum()) for a, b in zip(gradients, theirs, strict=True))
            size += sum(float(b.square().sum()) for b in theirs)
        rows.append({"preset": preset, "loss, difference": loss, "gradients, relative": (distance / size) ** 0.5})
    return rows


def _gradients(
    config: TrainingConfig, device: torch.device
) -> list[tuple[dict[str, torch.Tensor], list[torch.Tensor]]]:
    state, found = _new_state(config, device), []
    real = _features(config, state)
    state.generator.train()
    for number, update in enumerate(dict.fromkeys(config.objective.updates())):
        values = find_gradients(state, update, real, Draws(1, number), 1)
        weights = state.networks[update.network].parameters()
        gradients = [weight.grad.double().cpu() for weight in weights if weight.grad is not None]
        found.append(({name: value.double().cpu() for name, value in values.items()}, gradients))
    return found


def time_paper(device: torch.device, seconds: float, quick: bool) -> list[dict[str, Any]]:
    """WGAN-GP, 5 + 1 updates, d = 64, batch 64."""
    rows = []
    for precision, (convolutions, dtype) in _PRECISIONS.items():
        config = _sized("wavegan", WassersteinGP(), dtype, quick)
        with _convolutions(convolutions):
            rows += [{"precision": precision, **row} for row in _time_both(config, device, seconds)]
    return rows


def time_pairs(device: torch.device, seconds: float, quick: bool) -> list[dict[str, Any]]:
    """Objectives with one critic update a step, and SpecGAN."""
    cases = [("wavegan", Relativistic()), ("wavegan", Hinge()), ("specgan", Relativistic())]
    rows = []
    for preset, objective in cases[: 1 if quick else None]:
        config = _sized(preset, objective, "bfloat16", quick)
        both = _time_both(config, device, seconds)
        rows += [{"model": preset, "objective": type(objective).__name__, **row} for row in both]
    return rows


def _time_both(config: TrainingConfig, device: torch.device, seconds: float) -> list[dict[str, Any]]:
    """A step, carried out by the host and repeated by the device."""
    recorder: Recorder = CudaGraphs(device) if device.type == "cuda" else Repetition()
    rows = []
    said: list[str] = []
    for name, updater in (("no", Updater()), ("yes", RecordedUpdater(recorder, said.append))):
        forget_peak(device)
        state = _new_state(config, device)
        real = [_features(config, state)] * config.objective.num_batches
        busy, idle, done = [], [], 0
        end = None
        while end is None or time.perf_counter() < end or len(busy) < 3:
            start = time.perf_counter()
            train_step(state, config.objective, real, lambda n, step=done: Draws(step, n), updater=updater)  # type: ignore[misc]
            issued = time.perf_counter()
            _wait(device)
            done += 1
            # Draws that turn out rarely are recorded late; their steps are outliers, which the median passes over.
            if done > 6:
                end = end or start + seconds
                busy.append(issued - start)
                idle.append(time.perf_counter() - start)
        step = statistics.median(idle)
        rows.append(
            {
                "graphs": name if not said else f"failed: {said[0]}",
                "ms/step": 1e3 * step,
                "steps/s": 1 / step,
                "TFLOP/s": _teraflop(config) / step,
                "host, share of step": statistics.median(busy) / step,
                "peak MB": peak_megabytes(device),
            }
        )
        del state, real, updater
    return rows


def _teraflop(config: TrainingConfig) -> float:
    """What a step needs, if it is of the WaveGAN and the objective that were counted; about so much for others."""
    updates = config.objective.updates()
    critics = sum(update.network == "critic" for update in updates)
    scale = (config.architecture.dim / 64) ** 2 * config.architecture.clip_length / 16384
    return (critics * _CRITIC + (len(updates) - critics) * _GENERATOR) * config.batch_size * scale / 1e3


def time_generation(device: torch.device, seconds: float, quick: bool) -> list[dict[str, Any]]:
    """From latents to audio on the host, Griffin-Lim included."""
    rows = []
    for preset in ("wavegan", "specgan"):
        architecture = _sized(preset, WassersteinGP(), "float32", quick).architecture
        parts = architecture.generator(Draws(0)), architecture.representation()
        synthesizer = Synthesizer(architecture, *parts, 16000).to(device)
        for count in (1, 64):
            latents = synthesizer.latents(range(count))
            times: list[float] = []
            while len(times) < 4 or sum(times) < seconds / 4:
                start = time.perf_counter()
                synthesizer.generate(latents=latents, batch_size=count)
                times.append(time.perf_counter() - start)
            median = statistics.median(times[1:])
            audio = count * architecture.clip_length / 16000
            rows.append({"model": preset, "clips": count, "ms": 1e3 * median, "× real time": audio / median})
    return rows


def time_data(device: torch.device, quick: bool) -> list[dict[str, Any]]:
    """What the trainer waits for a batch of 64 clips, by each way, while it does something else for 10 ms between."""
    config = PRESETS["wavegan"][1]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        dataset = stand_in(Path(scratch), 20 if quick else 1000)
        for reader in (MappedReader, PrefetchingReader, ResidentReader):
            start = time.perf_counter()
            data = RealAudio(dataset, config, device, reader=reader(dataset, device))
            begun = time.perf_counter() - start
            times = []
            for number in range(5 if quick else 200):
                start = time.perf_counter()
                data.batch(number)
                _wait(device)
                times.append(time.perf_counter() - start)
                time.sleep(0.01)
            data.close()
            rows.append({"way": reader.__name__, "ms/batch": 1e3 * statistics.median(times), "to begin, s": begun})
    return rows


def _sized(preset: str, objective: Any, precision: Any, quick: bool) -> TrainingConfig:
    config = replace(PRESETS[preset][1], objective=objective, precision=precision)
    if quick:
        architecture = replace(config.architecture, dim=2, clip_length=4096)
        config = replace(config, architecture=architecture, batch_size=2)
    return config


def _new_state(config: TrainingConfig, device: torch.device) -> TrainingState:
    return TrainingState.new(config.architecture, config.optimizer, False, 0, device, config.dtype)


def _features(config: TrainingConfig, state: TrainingState) -> torch.Tensor:
    shape = torch.Size([config.batch_size, config.architecture.channels, config.architecture.clip_length])
    features: torch.Tensor = state.representation.to_features(Draws(9).uniform(shape, 0.5).to(state.device))
    return features


@contextmanager
def _convolutions(precision: str) -> Iterator[None]:
    before = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.backends.cudnn.conv.fp32_precision = before  # type: ignore[attr-defined]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
