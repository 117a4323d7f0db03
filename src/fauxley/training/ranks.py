"""The processes that train one model together, from the point of view of each.

Every process computes its own rows of each batch and holds all weights. Each method here is something that many
processes must do together and a single one does alone, so that the rest of the trainer need not know how many there
are. A rank is a process's number; rank 0 leads: only it reads checkpoints, writes, and reports.
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
    """Whether a launcher started the processes and passes signals on to them."""

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and reports."""
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
        """Average the gradients of the network `name`, computed on this process's rows, over the whole batch."""

    @abstractmethod
    def gather(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Collect the values of the whole batch; each process provides those of its own examples."""

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
        """Check that `str(value)` is the same in all processes.

        Raises:
            UsageError: it is not; the message calls it `what`.
        """

    @abstractmethod
    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let rank 0 enter first, then one process of each other machine, then the rest, which find everything done."""


class OneRank(Ranks):
    """A process that trains alone."""

    rank = 0
    world_size = 1
    supervised = False
    rows = slice(None)

    def draws(self, *key: int) -> Draws:
        return Draws(*key)

    def average_gradients(self, name: str, network: nn.Module) -> None:
        """Do nothing: the gradients are already those of the whole batch."""

    def gather(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(values)

    def any(self, flag: bool) -> bool:
        return flag

    def follow(self, state: TrainingState) -> None:
        """Do nothing: there is no other process."""

    def check_same(self, state: TrainingState) -> None:
        """Do nothing: there is no other process."""

    def check_agreed(self, what: str, value: object) -> None:
        """Do nothing: there is no other process."""

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        yield


ONE = OneRank()
