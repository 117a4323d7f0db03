"""What every model offers to training and synthesis, whatever is inside.

`Architecture` is a frozen dataclass of sizes with factories, the only place where one model differs from another for
the rest of the program.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.kernels.convolution import input_gradients
from fauxley.models.cost import Cost
from fauxley.models.draws import Draws, Purpose
from fauxley.models.representations import Representation

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@dataclass(frozen=True)
class Architecture(ABC):
    """Sizes of a generator and of what else it takes to train it."""

    clip_length: int
    channels: int

    @property
    @abstractmethod
    def latent_size(self) -> int:
        """Numbers in a latent vector."""

    @property
    def mixes_examples(self) -> bool:
        """Whether what becomes of an example depends on the others in its batch (batch normalisation)."""
        return False

    @abstractmethod
    def representation(self) -> Representation:
        """What turns audio into the networks' features and back; not yet fitted."""

    @abstractmethod
    def generator(self, draws: Draws | None = None) -> "Generator":
        """A new generator; without `draws`, its weights are yet to be loaded."""

    @abstractmethod
    def generator_cost(self) -> Cost:
        """What the generator takes for one clip."""

    def representation_cost(self) -> Cost:
        """What the way from its features to audio takes: nothing where they are the audio."""
        return Cost()

    @abstractmethod
    def training_cost(self) -> Cost:
        """What it takes for one clip to pass through each of the networks once, with the signals of all layers kept."""

    def networks(self, seed: int) -> "dict[str, Network]":
        """New networks for training, by name: "generator", and whatever else it needs."""
        return {"generator": self.generator(Draws(Purpose.GENERATOR_WEIGHTS, seed))}


@dataclass(frozen=True)
class AdversarialArchitecture(Architecture):
    """Sizes of a generator and its critic."""

    @abstractmethod
    def critic(self, draws: Draws | None = None) -> "Critic":
        """A new critic; without `draws`, its weights are yet to be loaded."""

    @abstractmethod
    def critic_cost(self) -> Cost:
        """What it takes to score one clip."""

    def training_cost(self) -> Cost:
        critic = self.critic_cost()
        # A generator's layers are as large as its critic's, in reverse order.
        return replace(self.generator_cost() + critic, numbers=2 * critic.numbers)

    def networks(self, seed: int) -> "dict[str, Network]":
        return {**super().networks(seed), "critic": self.critic(Draws(Purpose.CRITIC_WEIGHTS, seed))}


@dataclass(frozen=True)
class AutoregressiveArchitecture(Architecture):
    """Sizes of a generator that makes one sample after another; it is trained alone."""

    @abstractmethod
    def generator(self, draws: Draws | None = None) -> "AutoregressiveGenerator":
        """A new generator; without `draws`, its weights are yet to be loaded."""


def require_at_least(architecture: Architecture, least: Mapping[str, int]) -> None:
    """Check sizes against their smallest sensible values.

    Raises:
        UsageError: one is too small.
    """
    for name, bound in least.items():
        if getattr(architecture, name) < bound:
            raise UsageError(f"{name} must be at least {bound}; got {getattr(architecture, name)}")


def require_at_most(architecture: Architecture, most: Mapping[str, int]) -> None:
    """Check sizes against their largest sensible values.

    Raises:
        UsageError: one is too large.
    """
    for name, bound in most.items():
        if getattr(architecture, name) > bound:
            raise UsageError(f"{name} must be at most {bound}; got {getattr(architecture, name)}")


class Network(nn.Module):
    """A network whose convolutions can be computed in less precision than its weights are kept in.

    Attributes:
        precision: of the signals between the layers; everything before the first and after the last is in float32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.precision = torch.float32

    def _narrow(self, x: Tensor) -> Tensor:
        """A signal on its way into the convolutions."""
        return x if self.precision == torch.float32 else x.to(self.precision)

    def _widen(self, x: Tensor) -> Tensor:
        """A signal that leaves them."""
        return x if self.precision == torch.float32 else x.float()


class Generator(Network, ABC):
    """A network that turns latents (B, latent_size) into features."""

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Features of latents (B, latent_size)."""


class AutoregressiveGenerator(Generator):
    """A generator of sample after sample, each drawn from a distribution given those before.

    The latent (B, T) is what each of T samples is drawn by: any T, not only the clip's length.
    """

    @abstractmethod
    def bits_per_sample(self, features: Tensor) -> Tensor:
        """Mean negative log₂ likelihood of the samples of real features (B, ...), each given all before it: (B,)."""

    @abstractmethod
    def naive(self, z: Tensor) -> Tensor:
        """What `forward` gives, with everything computed anew for each sample: to compare with."""


class Critic(Network, ABC):
    """A network that gives features one score a clip: (B,).

    Args:
        shuffled_layers: number of layers followed by phase shuffle.
        shuffle_radius: largest shift in samples.
        shuffle_per_example: a shift for each example, not one for each batch.
        mixes_examples: an example's score depends on the others in the batch (batch normalisation).
    """

    def __init__(
        self, shuffled_layers: int, shuffle_radius: int, shuffle_per_example: bool, mixes_examples: bool
    ) -> None:
        super().__init__()
        self.shuffled_layers = shuffled_layers
        self.shuffle_radius = shuffle_radius
        self.shuffle_per_example = shuffle_per_example
        self.mixes_examples = mixes_examples

    @abstractmethod
    def forward(self, features: Tensor, shifts: Tensor) -> Tensor:
        """Score a batch: (B,). `shifts` holds, for each shuffled layer, the shift of each example: (layers, B)."""

    def differentiate(self, features: Tensor, shifts: Tensor, sloped: int) -> tuple[Tensor, Tensor]:
        """Scores (B,), and their gradients by the last `sloped` examples, (sloped, ...).

        Both can be differentiated by the weights, and the scores by the features.
        """
        plain, at = torch.split(features, [len(features) - sloped, sloped])
        if not sloped:
            return self(features, shifts), at
        at = at.detach().requires_grad_()
        scores: Tensor = self(torch.cat([plain, at]) if len(plain) else at, shifts)
        return scores, input_gradients(scores[len(plain) :], at)[0]

    def score(self, *batches: Tensor, draws: Draws) -> tuple[Tensor, ...]:
        """Score several batches, each with phase shuffle drawn for itself, in one pass wherever that is the same."""
        return self.score_with_gradients(*batches, at=(), draws=draws)[0]

    def score_with_gradients(
        self, *batches: Tensor, at: Sequence[Tensor], draws: Draws
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Score several batches and then those of `at`, and differentiate the scores of the latter by them.

        Returns:
            Scores (B,), batch by batch, and gradients like the batches `at`.
        """
        together = (*batches, *at)
        sizes = [len(batch) for batch in together]
        options = self.shuffle_radius, self.shuffle_per_example
        shifts = [draws.shifts(self.shuffled_layers, size, *options).to(together[0].device) for size in sizes]
        if self.mixes_examples:
            sloped = [0] * len(batches) + sizes[len(batches) :]
            found = [self.differentiate(*each) for each in zip(together, shifts, sloped, strict=True)]
            return tuple(scores for scores, _ in found), tuple(gradients for _, gradients in found[len(batches) :])
        features = torch.cat(together) if len(together) > 1 else together[0]
        scores, gradients = self.differentiate(features, torch.cat(shifts, 1), sum(sizes[len(batches) :]))
        return torch.split(scores, sizes), torch.split(gradients, sizes[len(batches) :]) if at else ()


def initialize(module: ModuleT, draws: Draws | None) -> ModuleT:
    """Set weights as TensorFlow 1 does by default: Glorot's uniform distribution, biases zero.

    The variance is 2 / (fan_in + fan_out), both counted over all taps, whatever the direction of the convolution.
    """
    if draws is None:
        return module
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                limit = math.sqrt(6 / _fans(parameter.shape))
                parameter.copy_(draws.uniform(parameter.shape, limit))
            elif name.endswith("bias"):
                parameter.zero_()
    return module


def _fans(shape: torch.Size) -> int:
    """Connections in and out of a weight, added: dense (out, in), audio's (width, in, out), images' (·, ·, k, k)."""
    if len(shape) == 3:
        return shape[0] * (shape[1] + shape[2])
    return (shape[0] + shape[1]) * math.prod(shape[2:])
