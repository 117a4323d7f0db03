"""What a generator that knows its own likelihood minimises; it needs no opponent."""

import math
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from fauxley.models.architecture import Architecture, AutoregressiveArchitecture, AutoregressiveGenerator
from fauxley.models.draws import Draws
from fauxley.training.objective import Loss, Networks, Objective, Update


@dataclass(frozen=True)
class MaximumLikelihood(Objective):
    """The generator minimises -log p(x), every sample predicted from the real ones before it, all at once.

    Recorded in bits per sample: log₂ of the number of levels if nothing is known.
    """

    def suits(self, architecture: Architecture) -> bool:
        return isinstance(architecture, AutoregressiveArchitecture)

    def updates(self) -> tuple[Update, ...]:
        return (Update("generator", self._update),)

    @property
    def num_batches(self) -> int:
        return 1

    def _update(self, networks: Networks, real: Tensor, draws: Draws) -> Loss:
        bits = cast(AutoregressiveGenerator, networks["generator"]).bits_per_sample(real)
        return Loss(bits.mean() * math.log(2), {"bits_per_sample": bits})
