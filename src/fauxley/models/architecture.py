"""The interface of all models to training and synthesis.

An `Architecture` is a frozen dataclass of sizes with factories for the networks and the representation. Nothing else in
the program depends on which model it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fauxley.errors import UsageError
from fauxley.models.cost import Cost, Pyramid
from fauxley.models.critic import Critic
from fauxley.models.draws import Draws, Purpose
from fauxley.models.network import AutoregressiveGenerator, Generator, Network
from fauxley.models.representations import Representation


@dataclass(frozen=True)
class Architecture(ABC):
    """The sizes of a model: of its generator and of everything that training it needs."""

    clip_length: int
    channels: int

    @property
    @abstractmethod
    def latent_size(self) -> int:
        """Numbers in a latent vector."""

    @property
    def known_labels(self) -> tuple[str, ...]:
        """The labels that a conditional model knows; empty for an unconditional one."""
        labels: tuple[str, ...] = getattr(self, "labels", ())  # some architectures are never conditional
        return labels

    @property
    def mixes_examples(self) -> bool:
        """Whether outputs for an example depend on the others in its batch (batch normalisation)."""
        return False

    @property
    def most_seconds(self) -> int:
        """About how many seconds one clip may take on one core; models from strangers that need more are refused."""
        return 60

    @abstractmethod
    def representation(self) -> Representation:
        """A new representation, which converts audio to features and back; not yet fitted."""

    @abstractmethod
    def generator(self, draws: Draws | None = None) -> Generator:
        """A new generator; without `draws` its weights are not initialised, for loading."""

    @abstractmethod
    def generator_cost(self) -> Cost:
        """The cost of generating the features of one clip."""

    def representation_cost(self) -> Cost:
        """The cost of converting the features of one clip to audio; none if they are audio."""
        return Cost()

    @abstractmethod
    def training_cost(self) -> Cost:
        """The cost of passing one clip through each network once, with the outputs of all layers kept in memory."""

    def networks(self, seed: int) -> dict[str, Network]:
        """New networks for training, by name: "generator", and "critic" if there is one."""
        return {"generator": self.generator(Draws(Purpose.GENERATOR_WEIGHTS, seed))}


@dataclass(frozen=True)
class AdversarialArchitecture(Architecture):
    """Sizes of a generator and its critic."""

    @abstractmethod
    def critic(self, draws: Draws | None = None) -> Critic:
        """A new critic; without `draws` its weights are not initialised, for loading."""

    @property
    @abstractmethod
    def pyramid(self) -> Pyramid:
        """The sizes of all layers, from which costs follow."""

    def critic_cost(self) -> Cost:
        """The cost of scoring one clip."""
        return self.pyramid.critic_cost

    def training_cost(self) -> Cost:
        critic = self.critic_cost()
        # A generator's layers are as large as its critic's, in reverse order.
        return replace(self.generator_cost() + critic, numbers=2 * critic.numbers)

    def networks(self, seed: int) -> dict[str, Network]:
        return {**super().networks(seed), "critic": self.critic(Draws(Purpose.CRITIC_WEIGHTS, seed))}


@dataclass(frozen=True)
class AutoregressiveArchitecture(Architecture):
    """Sizes of a generator that draws one sample after another. It is trained by likelihood, without a critic."""

    @property
    def most_seconds(self) -> int:
        return 900  # a WaveNet of usual size takes about 16 seconds for a second of sound

    @abstractmethod
    def generator(self, draws: Draws | None = None) -> AutoregressiveGenerator:
        """A new generator; without `draws` its weights are not initialised, for loading."""


def require_at_least(architecture: Architecture, least: Mapping[str, int]) -> None:
    """Check that sizes are not below their smallest sensible values.

    Raises:
        UsageError: a size is too small.
    """
    for name, bound in least.items():
        if getattr(architecture, name) < bound:
            raise UsageError(f"{name} must be at least {bound}; got {getattr(architecture, name)}")


def require_at_most(architecture: Architecture, most: Mapping[str, int]) -> None:
    """Check that sizes are not above their largest sensible values.

    Raises:
        UsageError: a size is too large.
    """
    for name, bound in most.items():
        if getattr(architecture, name) > bound:
            raise UsageError(f"{name} must be at most {bound}; got {getattr(architecture, name)}")
