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
        """The random numbers of a key (see `Draws`), for this process's rows."""

    @abstractmethod
    def average_gradients(self, name: str, network: nn.Module) -> None:
        """Replace the gradients of the network `name`, over this process's rows, by those over the whole batch."""

    @abstractmethod
    def gather(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Collect the values of the whole batch; each process gives those of its own examples."""

    @abstractmethod
    def any(self, flag: bool) -> bool:
        """Whether `flag` is true on any process."""

    @abstractmethod
    def follow(self, state: TrainingState) -> None:
        """Copy the state of rank 0 to all other processes."""

    @abstractmethod
    def check_same(self, state: TrainingState) -> None:
        """Check that the weights are the same everywhere.

        Raises:
            FauxleyError: they are not.
        """

    @abstractmethod
    def check_agreed(self, what: str, value: object) -> None:
        """Check that the text of `value` is the same in all processes.

        Raises:
            UsageError: it is not; the message names it by `what`.
        """

    @abstractmethod
    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Enter rank 0 first, then one process of each other machine, then the rest, which find everything done."""


class OneRank(Ranks):
    """A process that trains alone."""

    rank = 0
    world_size = 1
    supervised = False
    rows = slice(None)

    def draws(self, *key: int) -> Draws:
        return Draws(*key)

    def average_gradients(self, name: str, network: nn.Module) -> None:
        """Do nothing: the gradients are those of the whole batch."""

    def gather(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(values)

    def any(self, flag: bool) -> bool:
        return flag

    def follow(self, state: TrainingState) -> None:
        """Do nothing: there is nobody to follow."""

    def check_same(self, state: TrainingState) -> None:
        """Do nothing: there is nothing to compare with."""

    def check_agreed(self, what: str, value: object) -> None:
        """Do nothing: there is nobody to disagree."""

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        yield


ONE = OneRank()
