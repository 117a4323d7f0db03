"""A training step with fast kernels against the same step with plain ones.

    python benchmarks/train_step.py [--model specgan] [--objective relativistic] [--dim 64] [--batch-size 64] [--quick]

Plain are the definitions in `fauxley.kernels.functions`, differentiated by PyTorch. All take the same steps from the
same weights on the same numbers; that the losses agree is checked first. Then they take turns, and the figures are
medians. Both precisions are compared with plain float32, and bfloat16 with plain bfloat16, too.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from fauxley import kernels
from fauxley.machine import keep_freed_memory
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.training.objectives import Adversarial, Hinge, Relativistic, WassersteinGP
from fauxley.training.optimizers import Adam
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

Step = Callable[[int], dict[str, Tensor]]
MODELS = {"wavegan": WaveGAN, "specgan": SpecGAN}
OBJECTIVES: dict[str, Callable[..., Adversarial]] = {
    "wgan-gp": WassersteinGP,
    "relativistic": Relativistic,
    "hinge": Hinge,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="wavegan", choices=MODELS)
    parser.add_argument("--objective", default="wgan-gp", choices=OBJECTIVES)
    parser.add_argument("--dim", type=int, default=64, help="model size d")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--clip-length", type=int, default=16384)
    parser.add_argument("--critic-steps", type=int, help="critic updates in a step; default: the objective's")
    parser.add_argument("--repeats", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--processor-time", action="store_true", help="one thread, and time of others left out")
    parser.add_argument("--json", type=Path, help="add the ratios to this file")
    parser.add_argument("--quick", action="store_true", help="d = 4, batches of 4: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.dim, options.batch_size, options.repeats, options.clip_length = 4, 4, 3, 4096
    if options.processor_time:
        options.threads = 1
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)

    keep_freed_memory()
    architecture, optimizer = MODELS[options.model](options.clip_length, dim=options.dim), Adam()
    objective = OBJECTIVES[options.objective](**({"critic_steps": n} if (n := options.critic_steps) else {}))
    precisions = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    audio = torch.rand(objective.critic_steps, options.batch_size, architecture.channels, options.clip_length) - 0.5
    representation = architecture.representation()
    representation.fit(iter(audio))
    batches = [representation.to_features(each).to(device) for each in audio]
    steps: dict[str, Step] = {}
    for implementation in ("plain", "fast"):
        for precision, dtype in precisions.items():
            state = TrainingState.new(architecture, optimizer, False, 0, device, dtype)
            steps[f"{implementation} {precision}"] = step_of(implementation, state, objective, batches)
    check(steps)
    seconds = measure(
        steps, options.repeats, device, time.process_time if options.processor_time else time.perf_counter
    )
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{options.threads} CPU threads"
    what = f"{options.model}, {options.objective}, {objective.critic_steps} + 1 updates"
    print(f"{what}, d = {options.dim}, batch {options.batch_size}, {options.clip_length} samples, {where}")
    print("  ".join(f"{name}: {1e3 * value:.1f} ms/step" for name, value in seconds.items()))
    ratios = {name: seconds["plain float32"] / seconds[f"fast {name}"] for name in precisions}
    ratios["bfloat16 (plain bfloat16)"] = seconds["plain bfloat16"] / seconds["fast bfloat16"]
    print("  ".join(f"plain / {name}: {ratio:.2f}" for name, ratio in ratios.items()))
    if options.json is not None:
        key = f"{options.model} {options.objective} d={options.dim} batch={options.batch_size}"
        record(options.json, key, ratios)


def step_of(
    implementation: kernels.Implementation, state: TrainingState, objective: Adversarial, batches: list[Tensor]
) -> Step:
    """Take step number n of a state with one implementation of the kernels."""

    def step(number: int) -> dict[str, Tensor]:
        with kernels.use(implementation):
            return train_step(state, objective, batches, lambda update: Draws(number, update))

    return step


def check(steps: dict[str, Step]) -> None:
    """Take the first step with all and compare the losses; this warms up, too."""
    first = {name: step(0) for name, step in steps.items()}
    for loss in ("critic_loss", "generator_loss"):
        expected = first["plain float32"][loss]
        torch.testing.assert_close(first["fast float32"][loss], expected, rtol=1e-3, atol=2e-3)
        for name in ("plain bfloat16", "fast bfloat16"):
            torch.testing.assert_close(first[name][loss], expected, rtol=0.05, atol=0.05)


def record(path: Path, key: str, ratios: dict[str, float]) -> None:
    """Add ratios to a JSON file, which `benchmarks/compare.py` compares with those committed."""
    content = json.loads(path.read_text()) if path.exists() else {}
    content[key] = {name: round(ratio, 3) for name, ratio in ratios.items()}
    path.write_text(json.dumps(content, indent=2) + "\n")


def measure(
    steps: dict[str, Step],
    repeats: int,
    device: torch.device,
    clock: Callable[[], float],
) -> dict[str, float]:
    """Median seconds of a step of each, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(1, repeats + 1):
        for name, step in steps.items():
            start = clock()
            step(number)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(clock() - start)
    return {name: statistics.median(each) for name, each in times.items()}


if __name__ == "__main__":
    main()
