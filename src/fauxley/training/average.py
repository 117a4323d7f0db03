"""The averaged generator: a slower, steadier copy that usually sounds better than the newest one."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from fauxley.errors import UsageError
from fauxley.models.architecture import Generator


@dataclass(frozen=True)
class Averaging:
    """Exponential moving average of the generator's weights (Karras et al. 2018, section 6)."""

    half_life: float = 0.0
    """Generated samples after which a weight counts half in the averaged generator; 0: no averaging."""
    ramp: float = 0.05
    """The half-life is at most this share of the samples seen so far, so that the first, useless weights fade."""

    def __post_init__(self) -> None:
        if not self.half_life >= 0:
            raise UsageError(f"half_life must not be negative; got {self.half_life}")
        if not self.ramp > 0:
            raise UsageError(f"ramp must be positive; got {self.ramp}")

    def decay(self, batch_size: int, step: int) -> float:
        """Factor by which the old average counts after `step` updates of `batch_size` samples each."""
        half_life = min(self.half_life, self.ramp * step * batch_size)
        return float(0.5 ** (batch_size / half_life)) if half_life > 0 else 0.0


def averaged_copy(generator: Generator) -> Generator:
    """A copy of `generator` that is never trained itself."""
    return copy.deepcopy(generator).requires_grad_(False).eval()


@torch.no_grad()
def update_average(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """Move each weight of `average` towards the generator's by (1 - decay); statistics are taken over as they are."""
    old, new = (tuple(p.data for p in network.parameters()) for network in (average, generator))
    torch._foreach_lerp_(old, new, 1 - decay)
    for buffer, newest in zip(average.buffers(), generator.buffers(), strict=True):
        buffer.copy_(newest)
