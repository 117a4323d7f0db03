"""The processes that train one model together, as each of them sees the others.

Every process computes its own rows of each batch and holds all weights. What one process alone would do and many
must do together is named here, so that the rest of the trainer neither knows nor cares how many there are. A rank is
a process's number; rank 0 leads: it alone reads checkpoints, writes and speaks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fauxley.models.draws import Draws
from fauxley.training.state import TrainingState


class Ranks(ABC):
    """The processes, seen from one of them."""

    rank: int
    world_size: int
    supervised: bool
    """Whether a launcher started the processes, and passes signals on to them."""

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    @abstractmethod
    def rows(self) -> slice | NDArray[np.intp]:
        """The rows of each batch that this process computes."""

    @abstractmethod
    def draws(self, *key: int) -> Draws:
        """The random numbers of an occasion, for this process's rows."""

    @abstractmethod
    def average_gradients(self, name: str, network: nn.Module) -> None:
        """Replace the gradients of the network `name`, over this process's rows, by those over the whole batch."""

    @abstractmethod
    def gather(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The values of the whole batch, from those of this process's examples."""

    @abstractmethod
    def any(self, flag: bool) -> bool:
        """Whether `flag` is true on any process."""

    @abstractmethod
    def follow(self, state: TrainingState) -> None:
        """Make every process's state that of rank 0."""

    @abstractmethod
    def check_same(self, state: TrainingState) -> None:
        """Check that the weights are the same everywhere.

        Raises:
            FauxleyError: they are not.
        """

    @abstractmethod
    def check_agreed(self, what: str, value: object) -> None:
        """Check that `value`, by its text, is the same everywhere.

        Raises:
            UsageError: it is not; `what` names it.
        """

    @abstractmethod
    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Enter rank 0 first, then one process of each other machine, then the rest, which find everything done."""


class OneRank(Ranks):
    """A process alone, with nobody to ask."""

    rank = 0
    world_size = 1
    supervised = False
    rows = slice(None)

    def draws(self, *key: int) -> Draws:
        return Draws(*key)

    def average_gradients(self, name: str, network: nn.Module) -> None:
        """They are those of the whole batch."""

    def gather(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(values)

    def any(self, flag: bool) -> bool:
        return flag

    def follow(self, state: TrainingState) -> None:
        """The state is its own."""

    def check_same(self, state: TrainingState) -> None:
        """Nothing to compare with."""

    def check_agreed(self, what: str, value: object) -> None:
        """Nobody to disagree."""

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        yield


ONE = OneRank()
