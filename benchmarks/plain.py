"""What the benchmarks compare with: the same networks and losses as one would write them without further thought.

Channels-first `Conv1d`, `ConvTranspose1d` and their two-dimensional sisters, padding as TensorFlow's, a pass of the
critic for each batch, penalties by `autograd.grad`. Weights are loaded from ours and random numbers drawn in the order
in which ours draw them, so that both compute the same.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.training.objectives import Adversarial, Hinge, Relativistic, WassersteinGP
from fauxley.training.optimizers import Optimizer
from fauxley.training.state import TrainingState


class PlainGenerator(nn.Module):
    """WaveGAN's generator, channels first."""

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
    """WaveGAN's critic, channels first, with phase shuffle."""

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

    def forward(self, x: Tensor, shifts: list[list[int]]) -> Tensor:
        for number, (layer, padding) in enumerate(zip(self.layers, self.paddings, strict=True)):
            x = F.leaky_relu(layer(F.pad(x, padding)), 0.2)
            if number < len(shifts):
                x = shifted(x, shifts[number][0])
        scores: Tensor = self.dense(x.transpose(1, 2).flatten(1)).squeeze(1)
        return scores


class PlainImageGenerator(nn.Module):
    """SpecGAN's generator."""

    def __init__(self, architecture: SpecGAN) -> None:
        super().__init__()
        widths = (*reversed(architecture.widths), architecture.channels)
        self.grid = bins, frames = architecture.grid
        self.dense = nn.Linear(architecture.latent_size, bins * frames * widths[0])
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(before, after, architecture.kernel_length, 2) for before, after in pairwise(widths)
        )

    def forward(self, z: Tensor) -> Tensor:
        bins, frames = self.grid
        x = self.dense(z).view(len(z), frames, bins, -1).transpose(1, 3).contiguous()
        for layer in self.layers:
            height, width = 2 * x.shape[2], 2 * x.shape[3]
            x = layer(F.relu(x))[:, :, 1 : 1 + height, 1 : 1 + width]
        return torch.tanh(x)


class PlainImageCritic(nn.Module):
    """SpecGAN's critic."""

    def __init__(self, architecture: SpecGAN) -> None:
        super().__init__()
        widths = (architecture.channels, *architecture.widths)
        bins, frames = architecture.grid
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, architecture.kernel_length, 2) for before, after in pairwise(widths)
        )
        self.dense = nn.Linear(bins * frames * widths[-1], 1)

    def forward(self, x: Tensor, shifts: list[list[int]]) -> Tensor:
        for layer in self.layers:
            x = F.leaky_relu(layer(F.pad(x, (1, 2, 1, 2))), 0.2)
        scores: Tensor = self.dense(x.transpose(1, 3).flatten(1)).squeeze(1)
        return scores


def shifted(x: Tensor, shift: int) -> Tensor:
    """Phase shuffle of a whole batch."""
    length = x.shape[2]
    padded = F.pad(x, (max(shift, 0), max(-shift, 0)), mode="reflect")
    return padded[:, :, :length] if shift > 0 else padded[:, :, -shift : -shift + length]


def channels_first(network: nn.Module, order: tuple[int, int, int]) -> dict[str, Tensor]:
    """Our weights (width, in, out) in the layout of PyTorch's layers; those of images are in it already."""
    state = network.state_dict()
    return {name: value.permute(order) if value.dim() == 3 else value for name, value in state.items()}


class Plain:
    """The reference's networks and optimisers, beginning as copies of ours."""

    def __init__(self, state: TrainingState, architecture: WaveGAN | SpecGAN, optimizer: Optimizer) -> None:
        self.architecture = architecture
        self.generator: nn.Module
        self.critic: nn.Module
        if isinstance(architecture, WaveGAN):
            self.generator, self.critic = PlainGenerator(architecture), PlainCritic(architecture)
        else:
            self.generator, self.critic = PlainImageGenerator(architecture), PlainImageCritic(architecture)
        self.generator.load_state_dict(channels_first(state.generator, (1, 2, 0)))
        self.critic.load_state_dict(channels_first(state.networks["critic"], (2, 1, 0)))
        self.generator.to(state.device)
        self.critic.to(state.device)
        self.generator_optimizer = optimizer.build(self.generator.parameters())
        self.critic_optimizer = optimizer.build(self.critic.parameters())

    def step(self, objective: Adversarial, batches: list[Tensor], draws: list[Draws]) -> dict[str, Tensor]:
        """One step, with the numbers of `draws`, one for each update, in the order in which ours takes them."""
        for real, drawn in zip(batches, draws[:-1], strict=True):
            critic_loss = self._move(self.critic_optimizer, self._critic_loss(objective, real, drawn))
        loss = self._generator_loss(objective, batches[-1], draws[-1])
        return {"critic_loss": critic_loss, "generator_loss": self._move(self.generator_optimizer, loss)}

    def _move(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    def _critic_loss(self, objective: Adversarial, real: Tensor, drawn: Draws) -> Tensor:
        fake = self._generate(drawn, real).detach()
        if isinstance(objective, WassersteinGP):
            alpha = drawn.interpolation(len(real)).to(real).view(-1, *[1] * (real.dim() - 1))
            between = (real + alpha * (fake - real)).requires_grad_()
            on_real, on_fake, on_between = (self._score(x, drawn) for x in (real, fake, between))
            penalty = (_squares(on_between, between).sqrt() - 1).square().mean()
            return on_fake.mean() - on_real.mean() + objective.penalty_weight * penalty
        if isinstance(objective, Relativistic):
            real.requires_grad_()
            fake.requires_grad_()
            on_real, on_fake = (self._score(x, drawn) for x in (real, fake))
            penalty = (_squares(on_real, real) + _squares(on_fake, fake)).mean()
            return F.softplus(on_fake - on_real).mean() + objective.penalty_weight / 2 * penalty
        if not isinstance(objective, Hinge):
            raise TypeError(f"no plain {type(objective).__name__}")
        if drawn.happens(1 / max(objective.penalty_every, 1)):
            real.requires_grad_()
            on_fake, on_real = (self._score(x, drawn) for x in (fake, real))
            penalty = objective.penalty_every * objective.penalty_weight / 2 * _squares(on_real, real).mean()
        else:
            on_real, on_fake = (self._score(x, drawn) for x in (real, fake))
            penalty = real.new_zeros(())
        return F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean() + penalty

    def _generator_loss(self, objective: Adversarial, real: Tensor, drawn: Draws) -> Tensor:
        fake = self._generate(drawn, real)
        if isinstance(objective, Relativistic):
            on_real = self._score(real.detach(), drawn)
            return F.softplus(on_real - self._score(fake, drawn)).mean()
        return -self._score(fake, drawn).mean()

    def _generate(self, drawn: Draws, real: Tensor) -> Tensor:
        fake: Tensor = self.generator(drawn.latents(len(real), self.architecture.latent_size).to(real))
        return fake

    def _score(self, x: Tensor, drawn: Draws) -> Tensor:
        model = self.architecture
        layers = model.shuffled_layers if isinstance(model, WaveGAN) else 0
        scores: Tensor = self.critic(x, drawn.shifts(layers, len(x), model.phase_shuffle, False).tolist())
        return scores


def _squares(scores: Tensor, x: Tensor) -> Tensor:
    """Squared lengths of the gradients: (B,)."""
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)
