"""Everything that changes during training: networks, optimisers, the averaged generator, and the step.

The averaged generator is a moving average of the generator, which usually sounds better than the newest weights.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from fauxley.errors import UsageError
from fauxley.models.architecture import Architecture
from fauxley.models.network import Generator
from fauxley.models.representations import Representation
from fauxley.training.optimizers import Optimizer, RepeatableOptimizer


@dataclass(frozen=True)
class Averaging:
    """An exponential moving average of the generator's weights (Karras et al. 2018, section 6)."""

    half_life: float = 0.0
    """Number of generated samples after which a weight counts half in the averaged generator. 0: no averaging."""
    ramp: float = 0.05
    """The half-life is at most this share of the samples seen so far, so that the first, useless weights fade."""

    def __post_init__(self) -> None:
        if not self.half_life >= 0:
            raise UsageError(f"half_life must not be negative; got {self.half_life}")
        if not self.ramp > 0:
            raise UsageError(f"ramp must be positive; got {self.ramp}")

    def decay(self, batch_size: int, step: int) -> float:
        """The factor of the old average after `step` updates of `batch_size` samples each."""
        half_life = min(self.half_life, self.ramp * step * batch_size)
        return float(0.5 ** (batch_size / half_life)) if half_life > 0 else 0.0


def averaged_copy(generator: Generator) -> Generator:
    """Make the averaged generator: a copy that is not trained itself."""
    return copy.deepcopy(generator).requires_grad_(False).eval()


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """Move each weight of `average` towards the generator's by (1 - decay), and copy moving statistics."""
    old, new = (tuple(p.data for p in network.parameters()) for network in (average, generator))
    torch._foreach_lerp_(old, new, 1 - decay)
    for buffer, newest in zip(average.buffers(), generator.buffers(), strict=True):
        buffer.copy_(newest)


@dataclass
class TrainingState:
    """All networks by name, the optimiser of each, and the number of steps taken."""

    networks: Mapping[str, nn.Module]
    optimizers: dict[str, RepeatableOptimizer]
    average: Generator | None
    representation: Representation
    step: int = 0
    attempt: int = 0
    """The number of times that training was set back after diverging; each attempt draws other random numbers."""
    milliseconds: int = 0
    """The time trained so far, for runs that end by time."""

    @classmethod
    def new(
        cls,
        architecture: Architecture,
        optimizer: Optimizer,
        averaged: bool,
        seed: int,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> "TrainingState":
        """Make the state before the first step. Initial weights are drawn on the CPU, so they are the same everywhere.

        Args:
            averaged: whether to keep an averaged generator.
            precision: of the signals between the layers; weights, optimisers and the average stay in float32.
        """
        networks = {name: network.to(device) for name, network in architecture.networks(seed).items()}
        state = cls(
            networks,
            {name: optimizer.build(network.parameters()) for name, network in networks.items()},
            None,
            architecture.representation().to(device),
        )
        if averaged:
            state.average = averaged_copy(state.generator)
        for network in networks.values():
            network.precision = precision
        return state

    @property
    def generator(self) -> Generator:
        return cast(Generator, self.networks["generator"])

    @property
    def device(self) -> torch.device:
        return next(self.generator.parameters()).device

    @property
    def best_generator(self) -> Generator:
        """The averaged generator if there is one, otherwise the generator."""
        return self.average or self.generator

    def state_dict(self) -> dict[str, Any]:
        parts = {name: part.state_dict() for name, part in self.parts().items()}
        return {"step": self.step, "attempt": self.attempt, "milliseconds": self.milliseconds, **parts}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Load what `state_dict` returned, after `fauxley.training.checkpoint` has checked it."""
        for name, part in self.parts().items():
            part.load_state_dict(saved[name])
        self.step, self.attempt = saved["step"], saved["attempt"]
        self.milliseconds = saved.get("milliseconds", 0)  # earlier versions did not save it

    def parts(self) -> dict[str, Any]:
        """The networks, their optimisers, the representation and the average, by their names in a file."""
        optimizers = {f"{name}_optimizer": optimizer for name, optimizer in self.optimizers.items()}
        parts = {**self.networks, **optimizers, "representation": self.representation}
        return parts if self.average is None else {**parts, "average": self.average}

    def set_learning_rate(self, rate: float, waiting: str = "") -> None:
        """Set the learning rate of all networks for the next step, but 0 for the network `waiting`."""
        for name, optimizer in self.optimizers.items():
            optimizer.learning_rate = 0.0 if name == waiting else rate

    def is_finite(self) -> bool:
        """Whether all weights and statistics are finite numbers."""
        networks = (*self.networks.values(), self.best_generator)
        finite = [torch.isfinite(p).all() for network in networks for p in (*network.parameters(), *network.buffers())]
        return bool(torch.stack(finite).all())  # asks a GPU once, not for each weight
