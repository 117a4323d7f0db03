"""What every model offers to training and synthesis, whatever is inside.

`Architecture` is a frozen dataclass of sizes with factories, the only place where one model differs from another for
the rest of the program.
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
    """Sizes of a generator and of what else it takes to train it."""

    clip_length: int
    channels: int

    @property
    @abstractmethod
    def latent_size(self) -> int:
        """Numbers in a latent vector."""

    @property
    def known_labels(self) -> tuple[str, ...]:
        """The labels that sounds can be asked for; none: the model is not conditional."""
        labels: tuple[str, ...] = getattr(self, "labels", ())  # not every architecture can learn any
        return labels

    @property
    def mixes_examples(self) -> bool:
        """Whether what becomes of an example depends on the others in its batch (batch normalisation)."""
        return False

    @property
    def most_seconds(self) -> int:
        """How long one clip may take to make, about, on one core: a stranger's model may ask for a year."""
        return 60

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

    @abstractmethod
    def training_cost(self) -> Cost:
        """What it takes for one clip to pass through each of the networks once, with the signals of all layers kept."""

    def networks(self, seed: int) -> dict[str, Network]:
        """New networks for training, by name: "generator", and whatever else it needs."""
        return {"generator": self.generator(Draws(Purpose.GENERATOR_WEIGHTS, seed))}


@dataclass(frozen=True)
class AdversarialArchitecture(Architecture):
    """Sizes of a generator and its critic."""

    @abstractmethod
    def critic(self, draws: Draws | None = None) -> Critic:
        """A new critic; without `draws`, its weights are yet to be loaded."""

    @property
    @abstractmethod
    def pyramid(self) -> Pyramid:
        """The sizes that follow from one another, layer by layer."""

    def critic_cost(self) -> Cost:
        """What it takes to score one clip."""
        return self.pyramid.critic_cost

    def training_cost(self) -> Cost:
        critic = self.critic_cost()
        # A generator's layers are as large as its critic's, in reverse order.
        return replace(self.generator_cost() + critic, numbers=2 * critic.numbers)

    def networks(self, seed: int) -> dict[str, Network]:
        return {**super().networks(seed), "critic": self.critic(Draws(Purpose.CRITIC_WEIGHTS, seed))}


@dataclass(frozen=True)
class AutoregressiveArchitecture(Architecture):
    """Sizes of a generator that makes one sample after another; it is trained alone."""

    @property
    def most_seconds(self) -> int:
        return 900  # a WaveNet of usual size takes about 16 for a second of sound

    @abstractmethod
    def generator(self, draws: Draws | None = None) -> AutoregressiveGenerator:
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
