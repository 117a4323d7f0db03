"""`fauxley bench`: how fast this machine trains and generates."""

import dataclasses
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console
from rich.table import Table

from fauxley.apps.devices import Device, choose_device
from fauxley.apps.estimate import count_parameters, step_seconds
from fauxley.atomic import atomic_file
from fauxley.errors import UsageError
from fauxley.models.synthesizer import Synthesizer
from fauxley.training.config import TrainingConfig
from fauxley.training.presets import PRESETS
from fauxley.training.state import TrainingState

_SAMPLE_RATE = 16000  # Hz, that multiples of real time refer to
_GENERATIONS = 5


@dataclasses.dataclass(frozen=True)
class Figures:
    """What was measured of one preset."""

    preset: str
    dim: int
    generator_parameters: int
    batch_size: int
    step_seconds: float
    """Of a training step: all critic updates and the generator's."""
    single_seconds: float
    """From one latent to one clip of audio."""
    clips_per_second: float
    """Generated in batches."""
    clip_seconds: float

    @property
    def trained_per_second(self) -> float:
        """Real clips seen by the critic in a second."""
        return self.batch_size / self.step_seconds


def bench(
    presets: tuple[str, ...] = ("wavegan-small", "specgan-small"),
    dim: int | None = None,
    batch_size: int | None = None,
    steps: int = 3,
    device: Device = "auto",
    threads: int | None = None,
    json_out: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
) -> None:
    """Measure how fast this machine trains and generates.

    Example: fauxley bench --presets wavegan-small wavegan --batch-size 16

    Generation is from latents to audio, Griffin-Lim included, without writing files. Other work on the machine makes
    the figures worse: compare ratios of figures of one run.

    Args:
        presets: Which models; see 'fauxley train --help'.
        dim: Model size d, instead of the presets'.
        batch_size: Clips in a training batch, instead of the presets'.
        steps: Training steps to time, after one to warm up; the fastest counts.
        device: Where to compute; auto takes a GPU if there is one.
        threads: CPU threads; by default PyTorch's choice.
        json_out: Also write the figures to this file.
    """
    if unknown := [name for name in presets if name not in PRESETS]:
        raise UsageError(f"unknown preset {unknown[0]!r}; there are {', '.join(PRESETS)}")
    if steps < 1 or (threads is not None and threads < 1):
        raise UsageError(f"--steps and --threads must be at least 1; got {steps} and {threads}")
    where = choose_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    measured = [_measure(_sized(PRESETS[name][1], dim, batch_size), where, steps) for name in presets]
    machine = _machine(where)
    Console().print(_table(machine, measured))
    if json_out is not None:
        with atomic_file(json_out) as partial:
            content = {"machine": machine, "figures": [dataclasses.asdict(figures) for figures in measured]}
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _sized(config: TrainingConfig, dim: int | None, batch_size: int | None) -> TrainingConfig:
    architecture = config.architecture if dim is None else dataclasses.replace(config.architecture, dim=dim)
    return dataclasses.replace(config, architecture=architecture, batch_size=batch_size or config.batch_size)


def _measure(config: TrainingConfig, device: torch.device, steps: int) -> Figures:
    architecture = config.architecture
    state = TrainingState.new(architecture, config.optimizer, False, config.seed, device)
    synthesizer = Synthesizer(architecture, state.generator, state.representation, _SAMPLE_RATE)
    single = _generation_seconds(synthesizer, 1)
    many = _generation_seconds(synthesizer, 64)
    return Figures(
        config.preset,
        architecture.dim,
        count_parameters(state.generator),
        config.batch_size,
        step_seconds(config, state, config.batch_size, steps + 1),
        single,
        64 / many,
        architecture.clip_length / _SAMPLE_RATE,
    )


def _generation_seconds(synthesizer: Synthesizer, count: int) -> float:
    times = []
    for _ in range(_GENERATIONS + 1):
        start = time.perf_counter()
        synthesizer.generate(count, batch_size=count)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _machine(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return f"{name}, {platform.machine()}, PyTorch {torch.__version__}"


def _table(machine: str, measured: list[Figures]) -> Table:
    table = Table(title=f"fauxley bench: {machine}")
    for heading in (
        "preset",
        "d",
        "s / step",
        "clips trained / s",
        "ms for one clip",
        "× real time",
        "clips / s",
        "× real time",
    ):
        table.add_column(heading, justify="left" if heading == "preset" else "right", no_wrap=heading == "preset")
    for figures in measured:
        table.add_row(
            figures.preset,
            str(figures.dim),
            f"{figures.step_seconds:.3g}",
            f"{figures.trained_per_second:.3g}",
            f"{1e3 * figures.single_seconds:.3g}",
            f"{figures.clip_seconds / figures.single_seconds:.0f}",
            f"{figures.clips_per_second:.0f}",
            f"{figures.clips_per_second * figures.clip_seconds:.0f}",
        )
    return table
