"""A training step of WGAN-GP against the same mathematics in plain PyTorch.

    python benchmarks/train_step.py [--dim 64] [--batch-size 64] [--clip-length 16384] [--device cpu] [--quick]

The reference is what one would write without further thought: channels-first `Conv1d` and `ConvTranspose1d`, padding
as TensorFlow's, three passes of the critic, the penalty by `autograd.grad`. All take the same steps from the same
weights on the same numbers; that the losses agree is checked first. Then they take turns, and the figures are medians.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.apps.devices import keep_freed_memory
from fauxley.models.draws import Draws
from fauxley.models.wavegan import WaveGAN
from fauxley.training.objectives import WassersteinGP
from fauxley.training.optimizers import Adam
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step


class PlainGenerator(nn.Module):
    """The paper's generator, channels first."""

    def __init__(self, architecture: WaveGAN) -> None:
        super().__init__()
        widths = (*reversed(architecture.widths), architecture.channels)
        self.strides = architecture.strides
        self.front = [(architecture.kernel_length - stride) // 2 for stride in self.strides]
        self.dense = nn.Linear(architecture.latent_size, 16 * widths[0])
        self.layers = nn.ModuleList(
            nn.ConvTranspose1d(before, after, architecture.kernel_length, stride)
            for before, after, stride in zip(widths[:-1], widths[1:], self.strides, strict=True)
        )

    def forward(self, z: Tensor) -> Tensor:
        x = self.dense(z).unflatten(1, (16, -1)).transpose(1, 2)
        for layer, stride, front in zip(self.layers, self.strides, self.front, strict=True):
            length = x.shape[2] * stride
            x = layer(F.relu(x))[:, :, front : front + length]
        return torch.tanh(x)


class PlainCritic(nn.Module):
    """The paper's critic, channels first, with phase shuffle."""

    def __init__(self, architecture: WaveGAN) -> None:
        super().__init__()
        widths = (architecture.channels, *architecture.widths)
        paddings = [architecture.kernel_length - stride for stride in architecture.strides]
        self.paddings = [(padding // 2, padding - padding // 2) for padding in paddings]
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, architecture.kernel_length, stride)
            for before, after, stride in zip(widths[:-1], widths[1:], architecture.strides, strict=True)
        )
        self.dense = nn.Linear(16 * widths[-1], 1)

    def forward(self, x: Tensor, shifts: Tensor) -> Tensor:
        for number, (layer, padding) in enumerate(zip(self.layers, self.paddings, strict=True)):
            x = F.leaky_relu(layer(F.pad(x, padding)), 0.2)
            if number < len(shifts):
                x = shifted(x, int(shifts[number, 0]))
        scores: Tensor = self.dense(x.transpose(1, 2).flatten(1)).squeeze(1)
        return scores


def shifted(x: Tensor, shift: int) -> Tensor:
    """Phase shuffle of a whole batch."""
    length = x.shape[2]
    padded = F.pad(x, (max(shift, 0), max(-shift, 0)), mode="reflect")
    return padded[:, :, :length] if shift > 0 else padded[:, :, -shift : -shift + length]


def channels_first(network: nn.Module, order: tuple[int, int, int]) -> dict[str, Tensor]:
    """Our weights (width, in, out) in the layout of PyTorch's layers."""
    state = network.state_dict()
    return {name: value.permute(order) if value.dim() == 3 else value for name, value in state.items()}


class Plain:
    """The reference's networks and optimisers, beginning as copies of ours."""

    def __init__(self, state: TrainingState, architecture: WaveGAN, optimizer: Adam) -> None:
        self.architecture = architecture
        self.generator = PlainGenerator(architecture).to(state.device)
        self.critic = PlainCritic(architecture).to(state.device)
        self.generator.load_state_dict(channels_first(state.generator, (1, 2, 0)))
        self.critic.load_state_dict(channels_first(state.networks["critic"], (2, 1, 0)))
        self.generator_optimizer = optimizer.build(self.generator.parameters())
        self.critic_optimizer = optimizer.build(self.critic.parameters())

    def step(self, objective: WassersteinGP, batches: list[Tensor], draws: Callable[[int], Draws]) -> dict[str, Tensor]:
        """One step, with the numbers of `draws` in the order in which ours takes them."""
        for number, real in enumerate(batches):
            critic_loss = self._update_critic(objective, real, draws(number))
        generator_loss = self._update_generator(batches[-1], draws(len(batches)))
        return {"critic_loss": critic_loss, "generator_loss": generator_loss}

    def _update_critic(self, objective: WassersteinGP, real: Tensor, drawn: Draws) -> Tensor:
        fake = self._generate(drawn, real).detach()
        on_real, on_fake = self.critic(real, self._shifts(drawn, real)), self.critic(fake, self._shifts(drawn, real))
        alpha = drawn.interpolation(len(real)).to(real).view(-1, 1, 1)
        between = (real + alpha * (fake - real)).requires_grad_()
        on_between = self.critic(between, self._shifts(drawn, real))
        (gradient,) = torch.autograd.grad(on_between.sum(), between, create_graph=True)
        penalty = (gradient.square().sum((1, 2)).sqrt() - 1).square().mean()
        loss: Tensor = on_fake.mean() - on_real.mean() + objective.penalty_weight * penalty
        self.critic_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic_optimizer.step()
        return loss.detach()

    def _update_generator(self, real: Tensor, drawn: Draws) -> Tensor:
        loss: Tensor = -self.critic(self._generate(drawn, real), self._shifts(drawn, real)).mean()
        self.generator_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.generator_optimizer.step()
        return loss.detach()

    def _generate(self, drawn: Draws, real: Tensor) -> Tensor:
        fake: Tensor = self.generator(drawn.latents(len(real), self.architecture.latent_size).to(real))
        return fake

    def _shifts(self, drawn: Draws, real: Tensor) -> Tensor:
        model = self.architecture
        return drawn.shifts(model.shuffled_layers, len(real), model.phase_shuffle, False)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=64, help="model size d")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--clip-length", type=int, default=16384)
    parser.add_argument("--critic-steps", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--json", type=Path, help="add the ratios to this file")
    parser.add_argument("--quick", action="store_true", help="d = 4, batches of 4: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.dim, options.batch_size, options.repeats, options.clip_length = 4, 4, 3, 4096
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)

    keep_freed_memory()
    architecture, optimizer = WaveGAN(options.clip_length, dim=options.dim), Adam()
    objective = WassersteinGP(options.critic_steps)
    states = {
        name: TrainingState.new(architecture, optimizer, False, 0, device, dtype)
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }
    plain = Plain(states["float32"], architecture, optimizer)
    shape = (options.batch_size, architecture.channels, options.clip_length)
    batches = [torch.rand(shape, device=device) - 0.5 for _ in range(options.critic_steps)]
    steps: dict[str, Callable[[int], dict[str, Tensor]]] = {
        "plain": lambda number: plain.step(objective, batches, lambda update: Draws(number, update)),
    }
    for name, state in states.items():
        steps[name] = lambda number, state=state: train_step(  # type: ignore[misc]
            state, objective, batches, lambda update: Draws(number, update)
        )
    check(steps)
    seconds = measure(steps, options.repeats, device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{options.threads} CPU threads"
    print(f"d = {options.dim}, batch {options.batch_size}, {options.clip_length} samples, {where}")
    print("  ".join(f"{name}: {1e3 * value:.1f} ms/step" for name, value in seconds.items()))
    print("  ".join(f"plain / {name}: {seconds['plain'] / seconds[name]:.2f}" for name in states))
    if options.json is not None:
        key = f"train_step d={options.dim} batch={options.batch_size}"
        record(options.json, key, {name: seconds["plain"] / seconds[name] for name in states})


def check(steps: dict[str, Callable[[int], dict[str, Tensor]]]) -> None:
    """Take the first step with all and compare the losses; this warms up, too."""
    first = {name: step(0) for name, step in steps.items()}
    for loss, expected in first["plain"].items():
        torch.testing.assert_close(first["float32"][loss], expected, rtol=1e-3, atol=2e-3)
        torch.testing.assert_close(first["bfloat16"][loss], expected, rtol=0.05, atol=0.05)


def record(path: Path, key: str, ratios: dict[str, float]) -> None:
    """Add ratios to a JSON file, which `benchmarks/compare.py` compares with those committed."""
    content = json.loads(path.read_text()) if path.exists() else {}
    content[key] = {name: round(ratio, 3) for name, ratio in ratios.items()}
    path.write_text(json.dumps(content, indent=2) + "\n")


def measure(
    steps: dict[str, Callable[[int], dict[str, Tensor]]], repeats: int, device: torch.device
) -> dict[str, float]:
    """Median seconds of a step of each, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(1, repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step(number)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in times.items()}


if __name__ == "__main__":
    main()
