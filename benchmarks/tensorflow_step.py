"""A training step of WaveGAN beside the same step in TensorFlow, as the official code takes it.

    python3.11 -m venv build/tensorflow && build/tensorflow/bin/pip install "tensorflow-cpu==2.15.*"
    python benchmarks/tensorflow_step.py --python build/tensorflow/bin/python [--dim 64 --batch-size 8] [--quick]

TensorFlow has an environment and a process of its own, `benchmarks/tensorflow_wavegan.py`, since it asks for another
NumPy. WGAN-GP, five critic updates and one of the generator, in float32. All start from the weights that TensorFlow
drew and take every step on the same clips and random numbers; that the losses agree is checked before anything is
timed. Then TensorFlow, plain PyTorch and fauxley take turns, and the figures are medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fauxley import kernels
from fauxley.interop.variables import convert, wavegan_variables
from fauxley.machine import keep_freed_memory
from fauxley.models.draws import Draws
from fauxley.models.wavegan import WaveGAN
from fauxley.training.objectives import WassersteinGP
from fauxley.training.optimizers import Adam
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

OBJECTIVE = WassersteinGP()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the Python that has TensorFlow")
    parser.add_argument("--dim", type=int, default=16, help="model size d")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--clip-length", type=int, default=16384)
    parser.add_argument("--repeats", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--implementations", nargs="+", choices=["plain", "fast"], default=["plain", "fast"])
    parser.add_argument("--processor-time", action="store_true", help="one thread, and time of others left out")
    parser.add_argument("--quick", action="store_true", help="d = 2, batches of 2: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.dim, options.batch_size, options.repeats, options.clip_length = 2, 2, 2, 4096
    if options.processor_time:
        options.threads = 1
    torch.set_num_threads(options.threads)
    keep_freed_memory()

    architecture = WaveGAN(options.clip_length, dim=options.dim)
    with tempfile.TemporaryDirectory() as folder:
        official = TensorFlow(options, Path(folder), architecture)
        clock = time.process_time if options.processor_time else time.perf_counter
        ours = {name: OneOfOurs(name, architecture, official.weights, clock) for name in options.implementations}
        seconds: dict[str, list[float]] = {name: [] for name in ("tensorflow", *ours)}
        for number in range(options.repeats + 1):
            audio = np.random.default_rng(number).uniform(
                -0.5, 0.5, (OBJECTIVE.critic_steps, options.batch_size, architecture.channels, options.clip_length)
            )
            batches = list(torch.from_numpy(audio.astype(np.float32)))[: None if number else 1]
            answers = {name: each.step(number, batches) for name, each in ours.items()}
            drawn = next(iter(ours.values())).drawn
            answers["tensorflow"] = official.step(batches, drawn)
            if number == 0:  # one critic update, to compare and to warm up
                check(answers)
                continue
            for name, answer in answers.items():
                seconds[name].append(answer["seconds"])
        official.end()
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    where = f"{options.threads} CPU threads{', processor time' * options.processor_time}"
    print(
        f"wavegan, wgan-gp, {OBJECTIVE.critic_steps} + 1 updates, d = {options.dim}, batch {options.batch_size}, "
        f"{options.clip_length} samples, float32, {where}, TensorFlow {official.version}, "
        f"PyTorch {torch.__version__}"
    )
    print("  ".join(f"{name}: {1e3 * median:.1f} ms/step" for name, median in medians.items()))
    for name in ours:
        ratios = [theirs / own for theirs, own in zip(seconds["tensorflow"], seconds[name], strict=True)]
        ratio = medians["tensorflow"] / medians[name]
        print(f"tensorflow / {name}: ratio {ratio:.2f}, from {min(ratios):.2f} to {max(ratios):.2f} in single turns")


class Recording(Draws):
    """Draws numbers, and keeps them for TensorFlow."""

    def __init__(self, *key: int) -> None:
        super().__init__(*key)
        self.z: Tensor
        self.alpha: Tensor
        self.phases: list[Tensor] = []

    def latents(self, count: int, size: int) -> Tensor:
        self.z = super().latents(count, size)
        return self.z

    def interpolation(self, count: int) -> Tensor:
        self.alpha = super().interpolation(count)
        return self.alpha

    def shifts(self, layers: int, count: int, radius: int, per_example: bool) -> Tensor:
        shifts = super().shifts(layers, count, radius, per_example)
        self.phases.append(shifts[:, 0])
        return shifts


class OneOfOurs:
    """Training with one implementation of the kernels."""

    def __init__(
        self,
        implementation: kernels.Implementation,
        architecture: WaveGAN,
        weights: dict[str, np.ndarray],
        clock: Callable[[], float],
    ) -> None:
        self.implementation, self.clock = implementation, clock
        self.state = TrainingState.new(architecture, Adam(1e-4, beta1=0.5, beta2=0.9), False, 0, torch.device("cpu"))
        for network, names in zip(self.state.networks.values(), wavegan_variables(architecture), strict=True):
            network.load_state_dict(convert(weights, names))
        self.drawn: list[Recording] = []

    def step(self, number: int, batches: list[Tensor]) -> dict[str, float]:
        """Take a step; the random numbers of each update remain in `drawn`."""
        self.drawn = [Recording(number, update) for update in range(len(batches) + 1)]
        with kernels.use(self.implementation):
            start = self.clock()
            values = train_step(self.state, WassersteinGP(len(batches)), batches, lambda update: self.drawn[update])
            seconds = self.clock() - start
        return {"seconds": seconds, **{name: float(value) for name, value in values.items() if name.endswith("_loss")}}


class TensorFlow:
    """Training by TensorFlow, in a process of its own."""

    def __init__(self, options: argparse.Namespace, folder: Path, architecture: WaveGAN) -> None:
        self._numbers, weights = folder / "numbers.npz", folder / "weights.npz"
        settings = {
            "dim": architecture.dim,
            "channels": architecture.channels,
            "clip_length": architecture.clip_length,
            "strides": architecture.strides,
            "phase_shuffle": architecture.phase_shuffle,
            "batch_size": options.batch_size,
            "threads": options.threads,
            "processor_time": options.processor_time,
            "weights": str(weights),
        }
        script = Path(__file__).with_name("tensorflow_wavegan.py")
        self._process = subprocess.Popen(
            [options.python, str(script), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self._answer()["tensorflow"]
        with np.load(weights) as file:
            self.weights = dict(file)

    def step(self, batches: list[Tensor], drawn: list[Recording]) -> dict[str, float]:
        """Take a step on features (B, C, T) with numbers that were drawn before."""
        *critic, generator = drawn
        phases = [torch.stack(each.phases) for each in critic]
        numbers = {
            "real": torch.stack(batches).transpose(2, 3),
            "z": torch.stack([each.z for each in critic]),
            "alpha": torch.stack([each.alpha for each in critic])[:, :, None, None],
            "shifts": torch.stack(phases),
            "generator_z": generator.z,
            "generator_shifts": generator.phases[0].expand_as(phases[0]),
        }
        arrays: dict[str, Any] = {name: value.numpy() for name, value in numbers.items()}
        np.savez(self._numbers, **arrays)
        assert self._process.stdin is not None
        print(self._numbers, file=self._process.stdin, flush=True)
        return self._answer()

    def end(self) -> None:
        """Have the process end."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise SystemExit("The process with TensorFlow has ended; does that Python (--python) have tensorflow-cpu?")
        answer: dict[str, Any] = json.loads(line)
        return answer


def check(answers: dict[str, dict[str, float]]) -> None:
    """Compare the losses of a step with one critic update.

    The generator's loss comes behind that update, in which Adam makes full steps of gradients that are but rounding.
    """
    for name, answer in answers.items():
        for loss, atol in (("critic_loss", 1e-4), ("generator_loss", 0.01)):
            np.testing.assert_allclose(answer[loss], answers["tensorflow"][loss], rtol=2e-4, atol=atol, err_msg=name)


if __name__ == "__main__":
    main()
