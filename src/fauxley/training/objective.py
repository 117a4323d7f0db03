"""What training minimises, as the training step sees it.

An objective is a frozen dataclass, at once configuration and behaviour. It divides a step into updates, each of one
network by the gradient of one loss; whether one network is trained, or two against each other, is its own affair.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.models.architecture import Architecture
from fauxley.models.draws import Draws

Networks = Mapping[str, nn.Module]


@dataclass(frozen=True)
class Loss:
    """A mean over the batch, to be minimised, and numbers that tell how it fares: one per example (B,), or one ()."""

    total: Tensor
    values: Mapping[str, Tensor] = field(default_factory=dict)


def _leave(network: nn.Module) -> None:
    """Most networks are left as the optimiser leaves them."""


@dataclass(frozen=True)
class Update:
    """One update of a step.

    Args:
        network: name of the network that is moved; all others stay.
        loss: of all networks on real features (B, ...), with the random numbers of this update.
        after: restrains the network once it has moved.
    """

    network: str
    loss: Callable[[Networks, Tensor, Draws], Loss]
    after: Callable[[nn.Module], None] = _leave


@dataclass(frozen=True)
class Objective(ABC):
    """Losses of all networks, with their regularisers."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if not 0 <= getattr(self, each.name) < math.inf:
                raise UsageError(f"{each.name} must be finite and not negative; got {getattr(self, each.name)}")

    @abstractmethod
    def suits(self, architecture: Architecture) -> bool:
        """Whether the architecture has the networks that it needs."""

    @abstractmethod
    def updates(self) -> tuple[Update, ...]:
        """The updates of a step, in order; the last is the generator's."""

    @property
    @abstractmethod
    def num_batches(self) -> int:
        """Batches of real clips in a step: one for each update, beginning with the first; the rest share the last."""

    def describe(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What to record of an update, from the values of its whole batch."""
        return {name: value.mean() for name, value in values.items()}
