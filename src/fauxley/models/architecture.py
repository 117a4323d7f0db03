"""What every model offers to training and synthesis, whatever is inside.

`Architecture` is a frozen dataclass of sizes with factories, the only place where one model differs from another for
the rest of the program.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fauxley.errors import UsageError
from fauxley.models.cost import Cost
from fauxley.models.critic import Critic
from fauxley.models.draws import Draws
from fauxley.models.network import AutoregressiveGenerator, Generator, Network
from fauxley.models.representations import Representation


class Work(NamedTuple):
    """What all networks of an architecture take together, counted without building them.

    Attributes:
        weights: numbers to learn; biases are left out.
        multiply_adds: for one clip to pass through each network once.
        signals: numbers between the layers when it does.
    """

    weights: int
    multiply_adds: int
    signals: int


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

    @property
    @abstractmethod
    def work(self) -> Work:
        """What the networks take, by arithmetic alone, so that absurd sizes are known before anything is allocated."""

    @abstractmethod
    def representation(self) -> Representation:
        """What turns audio into the networks' features and back; not yet fitted."""

    @abstractmethod
    def generator(self, draws: Draws | None = None) -> Generator:
        """A new generator; without `draws`, its weights are yet to be loaded."""

    @abstractmethod
    def generator_cost(self) -> Cost:
        """What the generator takes for one clip."""

    def representation_cost(self) -> Cost:
        """What the way from its features to audio takes: nothing where they are the audio."""
        return Cost()

    def networks(self, seed: int) -> dict[str, Network]:
        """New networks for training, by name: "generator", and whatever else it needs."""
        return {"generator": self.generator(Draws(seed, 0))}


@dataclass(frozen=True)
class AdversarialArchitecture(Architecture):
    """Sizes of a generator and its critic."""

    @abstractmethod
    def critic(self, draws: Draws | None = None) -> Critic:
        """A new critic; without `draws`, its weights are yet to be loaded."""

    @abstractmethod
    def critic_cost(self) -> Cost:
        """What it takes to score one clip."""

    def networks(self, seed: int) -> dict[str, Network]:
        return {**super().networks(seed), "critic": self.critic(Draws(seed, 1))}


@dataclass(frozen=True)
class AutoregressiveArchitecture(Architecture):
    """Sizes of a generator that makes one sample after another; it is trained alone."""

    @abstractmethod
    def generator(self, draws: Draws | None = None) -> AutoregressiveGenerator:
        """A new generator; without `draws`, its weights are yet to be loaded."""


def pyramid_work(
    latent_size: int, points: int, channels: int, taps: int, widths: Sequence[int], factors: Sequence[int]
) -> Work:
    """The work of a critic that narrows `points` by a factor and widens to a width a layer, and of its mirror image."""
    before, weights, multiply_adds, signals = channels, 0, 0, 0
    for width, factor in zip(widths, factors, strict=True):
        points = max(1, points // factor)
        weights += taps * before * width
        multiply_adds += taps * before * width * points
        signals += width * points
        before = width
    dense = before * points
    return Work(
        weights=2 * weights + dense * (1 + latent_size),
        multiply_adds=2 * multiply_adds + dense * (1 + latent_size),
        signals=2 * signals + latent_size,
    )


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
