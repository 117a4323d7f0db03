"""`fauxley bench`: how fast this machine trains and generates, and how much memory that takes."""

import dataclasses
import json
import multiprocessing
import platform
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.table import Table

from fauxley.cli.shared.estimate import count_parameters, step_cost, step_seconds
from fauxley.errors import FauxleyError, UsageError
from fauxley.machine import (
    Device,
    choose_device,
    forget_peak,
    in_memory,
    keep_freed_memory,
    peak_megabytes,
    require_memory,
)
from fauxley.models.draws import Draws
from fauxley.models.network import AutoregressiveGenerator
from fauxley.models.synthesizer import Synthesizer
from fauxley.storage import atomic_file, check_file_place
from fauxley.terminal.formatting import output_console
from fauxley.terminal.progress import Stages
from fauxley.training.config import TrainingConfig
from fauxley.training.presets import PRESETS
from fauxley.training.state import TrainingState

_MOST_STEPS, _MOST_THREADS = 10_000, 1024


_SAMPLE_RATE = 16000  # Hz, that seconds of audio refer to
_BATCH = 64  # clips generated at a time, in batches
_EXCERPT = 256  # samples that are timed of a clip made sample by sample: all cost the same
_NAIVE_EXCERPT = 3
_GENERATIONS = 5


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What was measured of one preset. Megabytes: on a CPU of the whole process, on a GPU of tensors."""

    preset: str
    dim: int
    generator_parameters: int
    batch_size: int
    clip_seconds: float
    step_seconds: float
    """Seconds of a training step, all updates together."""
    step_clips: int
    """Real clips that a step sees."""
    single_seconds: float
    """From one latent to one clip of audio."""
    clips_per_second: float
    """Generated in batches."""
    narrow_single_seconds: float | None
    """As `single_seconds`, computed in bfloat16; nothing, where that is not for a model."""
    narrow_clips_per_second: float | None
    """As `clips_per_second`, computed in bfloat16."""
    naive_single_seconds: float | None
    """As `single_seconds`, with everything computed anew for each sample; extrapolated from a few samples."""
    idle_megabytes: float
    """Before there was any model."""
    training_megabytes: float
    generating_megabytes: float
    """In batches."""

    @property
    def training_effort(self) -> float:
        """Seconds of training for a second of real audio seen."""
        return self.step_seconds / (self.step_clips * self.clip_seconds)

    @property
    def single_effort(self) -> float:
        """Seconds for a second of generated audio, one clip at a time."""
        return self.single_seconds / self.clip_seconds

    @property
    def naive_effort(self) -> float | None:
        return None if self.naive_single_seconds is None else self.naive_single_seconds / self.clip_seconds

    @property
    def batched_effort(self) -> float:
        """Seconds for a second of generated audio, in batches."""
        return 1 / (self.clips_per_second * self.clip_seconds)


def bench(
    presets: tuple[str, ...] = ("wavenet-small", "wavegan-small", "specgan-small"),
    dim: int | None = None,
    batch_size: int | None = None,
    steps: int = 3,
    device: Device = "auto",
    threads: int | None = None,
    json_out: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
) -> None:
    """Measure how fast this machine trains and generates, and how much memory that needs.

    Example: fauxley bench --presets wavegan-small wavegan --batch-size 16

    Generation is from latents to audio, including Griffin-Lim, but without writing files. Other work on the machine
    makes the figures worse, so compare ratios within one run. Each preset is measured in a process of its own.

    Args:
        presets: Presets to measure; see 'fauxley train --help'.
        dim: Model size d, instead of the presets'.
        batch_size: Clips in a training batch, instead of the presets'.
        steps: Number of training steps to time, after one to warm up; the fastest counts.
        device: Device to compute on; auto uses a GPU if there is one.
        threads: CPU threads; by default PyTorch's choice.
        json_out: File for the figures as JSON.
    """
    if not presets:
        raise UsageError(f"give one preset or more; there are {', '.join(PRESETS)}")
    if json_out is not None:
        check_file_place(json_out)
    if unknown := [name for name in presets if name not in PRESETS]:
        raise UsageError(f"unknown preset {unknown[0]!r}; there are {', '.join(PRESETS)}")
    for name, value, most in (("steps", steps, _MOST_STEPS), ("threads", threads, _MOST_THREADS)):
        if value is not None and not 1 <= value <= most:
            raise UsageError(f"--{name} must be at least 1 and at most {most}; got {value}")
    where = choose_device(device)
    threads = threads or torch.get_num_threads()
    configs = [_sized(PRESETS[name][1], dim, batch_size) for name in presets]
    for config in configs:
        require_memory(
            f"measuring {config.preset}",
            step_cost(config).least_bytes,
            "lower --batch-size or --dim, or leave it out",
            where,
        )
    measured = [_apart(config, where, steps, threads) for config in configs]
    machine = _machine(where, threads)
    table = _table(machine, measured)
    console = output_console()
    # If the table is too wide, it is better wrapped by the terminal than cut off.
    console.width = max(console.width, 40 + sum(max(len(name), 9) + 3 for name in presets))
    console.print(table)
    if json_out is not None:
        with atomic_file(json_out) as partial:
            content = {"machine": machine, "figures": [dataclasses.asdict(figures) for figures in measured]}
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _sized(config: TrainingConfig, dim: int | None, batch_size: int | None) -> TrainingConfig:
    architecture = config.architecture if dim is None else dataclasses.replace(config.architecture, dim=dim)
    return dataclasses.replace(
        config, architecture=architecture, batch_size=config.batch_size if batch_size is None else batch_size
    )


def _apart(config: TrainingConfig, device: torch.device, steps: int, threads: int) -> Measurements:
    """Measure in a new process."""
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, spawn, _prepare_process, (threads,)) as pool,
        Stages() as stages,
    ):
        stages.begin(f"measuring {config.preset}", 0)
        try:
            return pool.submit(_measure, config, device, steps).result()
        except BrokenProcessPool as error:
            raise FauxleyError(
                f"the process that measured {config.preset} was killed, probably because memory ran out; "
                "lower --batch-size or --dim, or leave it out"
            ) from error


def _prepare_process(threads: int) -> None:
    """Set up the process that measures."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent reports that it was stopped
    torch.set_num_threads(threads)
    keep_freed_memory()  # as `fauxley generate` and `train` do


def _measure(config: TrainingConfig, device: torch.device, steps: int) -> Measurements:
    """Measure a preset.

    Raises:
        FauxleyError: out of memory.
    """
    with in_memory(f"{config.preset} needs more than there is: lower --batch-size or --dim, or leave it out"):
        return _measurements(config, device, steps)


def _measurements(config: TrainingConfig, device: torch.device, steps: int) -> Measurements:
    config, _ = config.settle(device)
    architecture = config.architecture
    idle = peak_megabytes(device)
    generator, representation = architecture.generator(Draws(0)), architecture.representation()
    synthesizer = Synthesizer(architecture, generator, representation, _SAMPLE_RATE).to(device)
    forget_peak(device)
    single, many, naive = _generation_seconds(synthesizer, 1), _generation_seconds(synthesizer, _BATCH), None
    narrow: tuple[float, float] | None = None
    if isinstance(generator, AutoregressiveGenerator):
        naive = _seconds(generator.naive, synthesizer.latents([0])[:, :_NAIVE_EXCERPT].to(device), 1)
        naive *= architecture.clip_length / _NAIVE_EXCERPT
    else:
        synthesizer.to(precision="bfloat16")
        narrow = _generation_seconds(synthesizer, 1), _generation_seconds(synthesizer, _BATCH)
    generating = peak_megabytes(device)
    del generator, representation, synthesizer
    forget_peak(device)
    state = TrainingState.new(
        architecture, config.optimizer, config.averaging.half_life > 0, config.seed, device, config.dtype
    )
    seconds = step_seconds(config, state, config.batch_size, steps + 1)
    return Measurements(
        config.preset,
        architecture.dim,
        count_parameters(state.generator),
        config.batch_size,
        architecture.clip_length / _SAMPLE_RATE,
        seconds,
        config.batch_size * config.objective.num_batches,
        single,
        _BATCH / many,
        narrow[0] if narrow else None,
        _BATCH / narrow[1] if narrow else None,
        naive,
        idle,
        peak_megabytes(device),
        generating,
    )


def _generation_seconds(synthesizer: Synthesizer, count: int) -> float:
    """Seconds to make `count` clips from latents, in one batch."""
    latents = synthesizer.latents(range(count))
    if isinstance(synthesizer.generator, AutoregressiveGenerator):
        excerpt = latents[:, :_EXCERPT].to(synthesizer.device)
        return _seconds(synthesizer.generator, excerpt, 3) * latents.shape[1] / excerpt.shape[1]
    return _seconds(lambda z: synthesizer.generate(latents=z, batch_size=count), latents, _GENERATIONS)


def _seconds(make: Callable[[torch.Tensor], torch.Tensor], latents: torch.Tensor, trials: int) -> float:
    """The median of several trials, after one that includes setup."""
    times = []
    for _ in range(trials + 1):
        start = time.perf_counter()
        with torch.inference_mode():
            make(latents).cpu()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _machine(device: torch.device, threads: int) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, threads: {threads}"
    return f"{name}, {platform.machine()}, PyTorch {torch.__version__}"


def _optional(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


# Label → what stands in a column.
_ROWS: dict[str, Callable[[Measurements], str]] = {
    "model size d": lambda f: str(f.dim),
    "generator, million parameters": lambda f: f"{f.generator_parameters / 1e6:.2f}",
    "training: clips in a batch": lambda f: str(f.batch_size),
    "  s / step": lambda f: f"{f.step_seconds:.3g}",
    "  s / s of audio seen": lambda f: f"{f.training_effort:.3g}",
    "  MB": lambda f: f"{f.training_megabytes:.0f}",
    "one clip: ms": lambda f: f"{1e3 * f.single_seconds:.3g}",
    "  s / s of audio": lambda f: f"{f.single_effort:.3g}",
    "  × real time": lambda f: f"{1 / f.single_effort:.3g}",
    "  naive: s / s of audio ¹": lambda f: _optional(f.naive_effort),
    "  bfloat16: ms": lambda f: _optional(f.narrow_single_seconds and 1e3 * f.narrow_single_seconds),
    f"batches of {_BATCH}: clips / s": lambda f: f"{f.clips_per_second:.3g}",
    "  s / s of audio ": lambda f: f"{f.batched_effort:.3g}",
    "  × real time ": lambda f: f"{1 / f.batched_effort:.3g}",
    "  bfloat16: clips / s": lambda f: _optional(f.narrow_clips_per_second),
    "  MB ": lambda f: f"{f.generating_megabytes:.0f}",
}


def _table(machine: str, measured: list[Measurements]) -> Table:
    idle = max(figures.idle_megabytes for figures in measured)
    caption = (
        f"MB: peaks, with the {idle:.0f} MB of a process without a model. "
        f"Models that go sample by sample: timed over {_EXCERPT} samples and scaled to the clip; "
        f"¹ the whole receptive field anew for each sample, extrapolated from {_NAIVE_EXCERPT} samples."
    )
    table = Table(title=f"fauxley bench: {machine}", caption=caption, caption_justify="left")
    table.add_column("", no_wrap=True)
    for figures in measured:
        table.add_column(figures.preset, justify="right", no_wrap=True)
    for label, cell in _ROWS.items():
        table.add_row(label, *map(cell, measured))
    return table
