"""The default recipe's training step: GFLOP and clips a second, and how many times as fast as plain eager PyTorch.

    python benchmarks/default_step.py [--sample-rate 44100] [--seconds 1.5] [--channels 1] [--labels 10] [--quick]

Plain are the definitions in `fauxley.kernels.functions`, differentiated by PyTorch, in float32; fast is what
`fauxley train` does here, in the precision that it chooses. One step in four takes the penalty: both kinds are timed,
in turn, and the mean of all steps is worked out from their medians. GFLOP are those of plain convolutions and products,
as PyTorch counts them. They are also given as a share of the rate of a plain product of matrices in the same precision,
which fast algorithms with fewer products can exceed.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from fauxley import kernels
from fauxley.dataset.facts import Facts
from fauxley.machine import keep_freed_memory
from fauxley.models.conditioning import label_weights
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.training.config import TrainingConfig
from fauxley.training.objectives import Relativistic
from fauxley.training.recipe import recipe
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

Step = Callable[[int], dict[str, Tensor]]
KINDS = {"with the penalty": 1, "without": 1 << 30}  # one update in how many takes it
_MATRIX = 2048


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample-rate", type=int, default=44100)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--labels", type=int, default=10, help="how many the model learns")
    parser.add_argument("--repeats", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--processor-time", action="store_true", help="one thread, and time of others left out")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="d = 2, batches of 2 short clips: does it run?")
    options = parser.parse_args()
    if options.processor_time:
        options.threads = 1
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    keep_freed_memory()
    device = torch.device(options.device)

    seconds = 0.2 if options.quick else options.seconds
    config = recipe(Facts(options.sample_rate, options.channels, seconds), on_gpu=device.type == "cuda")
    architecture = config.architecture
    assert isinstance(architecture, SpecGAN)
    architecture = replace(architecture, labels=tuple(f"label {number}" for number in range(options.labels)))
    if options.quick:
        architecture, config = replace(architecture, dim=2), replace(config, batch_size=2)
        options.repeats = 1
    config, _ = replace(config, architecture=architecture).settle(device)

    clock = time.process_time if options.processor_time else time.perf_counter
    steps = steps_of(config, device)
    check(steps)
    flops = {kind: count(steps["plain", kind]) / config.batch_size for kind in KINDS}
    taken = measure(steps, options.repeats, device, clock)
    every = config.objective.penalty_every if isinstance(config.objective, Relativistic) else 1
    costly, free = KINDS
    flop = (flops[costly] + (every - 1) * flops[free]) / every
    mean = {name: (taken[name, costly] + (every - 1) * taken[name, free]) / every for name in ("plain", "fast")}
    rate = matrix_rate(config.dtype, device, clock)
    figures = {
        "GFLOP a clip": flop / 1e9,
        "clips a second": config.batch_size / mean["fast"],
        "plain / fast": mean["plain"] / mean["fast"],
        **{f"plain / fast, {kind}": taken["plain", kind] / taken["fast", kind] for kind in KINDS},
        "share of a matrix product's rate": flop * config.batch_size / mean["fast"] / rate,
    }
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{options.threads} CPU threads"
    print(
        f"default at {options.sample_rate} Hz, {architecture.clip_length} samples, {options.channels} channel(s), "
        f"{options.labels} labels, d = {architecture.dim}, batch {config.batch_size}, {config.precision}, {where}"
    )
    for (name, kind), value in taken.items():
        print(f"  {name}, {kind}: {1e3 * value:.0f} ms/step, {flops[kind] / 1e9:.2f} GFLOP a clip")
    for name, value in figures.items():
        print(f"{name}: {value:.3g}")
    print(f"ratio to plain PyTorch: {figures['plain / fast']:.2f}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def steps_of(config: TrainingConfig, device: torch.device) -> dict[tuple[str, str], Step]:
    """Training steps of both implementations and both kinds, from the same weights on the same numbers."""
    architecture, size = config.architecture, config.batch_size
    audio = torch.rand(size, architecture.channels, architecture.clip_length) - 0.5
    representation = architecture.representation()
    representation.fit(iter([audio]))
    batches = [representation.to_features(audio).to(device)]
    known = architecture.known_labels
    labels = [label_weights(None, known, size).to(device)] if known else []
    steps: dict[tuple[str, str], Step] = {}
    implementations: dict[kernels.Implementation, torch.dtype] = {"plain": torch.float32, "fast": config.dtype}
    for name, precision in implementations.items():
        for kind, every in KINDS.items():
            state = TrainingState.new(architecture, config.optimizer, False, 0, device, precision)
            objective = Relativistic(penalty_every=every)
            steps[name, kind] = step_of(name, state, objective, batches, labels)
    return steps


def step_of(
    implementation: kernels.Implementation,
    state: TrainingState,
    objective: Relativistic,
    batches: list[Tensor],
    labels: list[Tensor],
) -> Step:
    """Take step number n of a state with one implementation of the kernels."""

    def step(number: int) -> dict[str, Tensor]:
        with kernels.use(implementation):
            return train_step(state, objective, batches, lambda update: Draws(number, update), labels=labels)

    return step


def check(steps: dict[tuple[str, str], Step]) -> None:
    """Take the first step with all and compare the losses; this warms up, too."""
    first = {key: step(0) for key, step in steps.items()}
    for kind in KINDS:
        for loss in ("critic_loss", "generator_loss"):
            torch.testing.assert_close(first["fast", kind][loss], first["plain", kind][loss], rtol=0.05, atol=0.05)


class Flops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts floating-point operations; PyTorch's own counter cannot watch derivatives of derivatives."""

    total: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def count(step: Step) -> int:
    """The floating-point operations of a step."""
    flops = Flops()  # type: ignore[no-untyped-call]
    with flops:
        step(1)
    return flops.total


def measure(
    steps: dict[tuple[str, str], Step], repeats: int, device: torch.device, clock: Callable[[], float]
) -> dict[tuple[str, str], float]:
    """Median seconds of a step of each, taking turns."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for number in range(2, repeats + 2):
        for key, step in steps.items():
            start = clock()
            step(number)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[key].append(clock() - start)
    return {key: statistics.median(each) for key, each in times.items()}


def matrix_rate(dtype: torch.dtype, device: torch.device, clock: Callable[[], float]) -> float:
    """Operations a second of a product of matrices, the best of several."""
    a, b = (torch.rand(_MATRIX, _MATRIX, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(4):
        start = clock()
        product = a @ b
        float(product[0, 0])  # a GPU is waited for
        times.append(clock() - start)
    return 2 * _MATRIX**3 / min(times)


if __name__ == "__main__":
    main()
