"""Random numbers as functions of a seed and a purpose, independent of any other draws.

So resuming is exact without a saved generator state, every device sees the same numbers, and each of many processes can
compute the whole batch's numbers and take its share.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor


class Purpose(IntEnum):
    """What random numbers are for. It is the first number of a key, so no two purposes share a stream."""

    GENERATOR_WEIGHTS = 0
    CRITIC_WEIGHTS = 1
    UPDATE = 2
    PREVIEW = 3
    INVERSION_WEIGHTS = 4
    VARIATIONS = 5
    PITCHES = 6
    PHASES = 7


class Draws:
    """Random numbers, drawn on the CPU.

    Args:
        key: determines the numbers: a purpose, the seed, and whatever else distinguishes occasions, such as the step.
            The latent of a sound has a key of a single number, its seed.
    """

    def __init__(self, *key: int) -> None:
        # NumPy's compatibility policy fixes SeedSequence's hash; PyTorch's own mixing of seeds is weak.
        # SeedSequence treats (1,) and (1, 0) alike, so the length of the key goes in front.
        (state,) = np.random.SeedSequence((len(key), *key)).generate_state(1, np.uint64)
        self._generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))

    def latents(self, count: int, size: int) -> Tensor:
        """Latent vectors, uniform in [-1, 1] (paper, Table 6): (count, size)."""
        return torch.rand(count, size, generator=self._generator) * 2 - 1

    def uniform(self, shape: torch.Size, limit: float) -> Tensor:
        """Numbers uniform in [-limit, limit], for initial weights and first phases."""
        return (torch.rand(shape, generator=self._generator) * 2 - 1) * limit

    def happens(self, probability: float) -> bool:
        """True with this probability; one draw for the whole batch."""
        return float(torch.rand(1, generator=self._generator)) < probability

    def choices(self, count: int, options: int) -> Tensor:
        """Which of so many options, each equally likely: (count,) int64."""
        return torch.randint(options, (count,), generator=self._generator)

    def interpolation(self, count: int) -> Tensor:
        """Positions between a real and a generated example for the gradient penalty, uniform in [0, 1]: (count,)."""
        return torch.rand(count, generator=self._generator)

    def shifts(self, layers: int, count: int, radius: int, per_example: bool) -> Tensor:
        """Shifts for phase shuffle, uniform in -radius ... radius: (layers, count) int64.

        The official code draws one shift a layer for the whole batch; `per_example` draws one for each example.
        """
        shape = (layers, count if per_example else 1)
        return torch.randint(-radius, radius + 1, shape, generator=self._generator).expand(layers, count)


@dataclass(frozen=True)
class Share:
    """The examples of process `rank` out of `world_size` in a batch of `whole` examples: every `world_size`-th row.

    Rows are interleaved, not in blocks, because datasets in shards assign their shards to the rows of a batch in turn.
    """

    rank: int
    world_size: int
    whole: int

    @property
    def rows(self) -> slice:
        return slice(self.rank, self.whole, self.world_size)

    def __len__(self) -> int:
        return len(range(self.rank, self.whole, self.world_size))


class SharedDraws(Draws):
    """Random numbers for one process's share of a batch: those that `Draws` gives for the same rows of the whole batch.

    Args:
        key: see `Draws`; the same in all processes.
        share: the process's examples.
    """

    def __init__(self, *key: int, share: Share) -> None:
        super().__init__(*key)
        self._share = share

    def latents(self, count: int, size: int) -> Tensor:
        return super().latents(self._whole(count), size)[self._share.rows]

    def interpolation(self, count: int) -> Tensor:
        return super().interpolation(self._whole(count))[self._share.rows]

    def shifts(self, layers: int, count: int, radius: int, per_example: bool) -> Tensor:
        return super().shifts(layers, self._whole(count), radius, per_example)[:, self._share.rows]

    def _whole(self, count: int) -> int:
        if count != len(self._share):
            raise ValueError(f"numbers for {count} examples of a share of {len(self._share)}")
        return self._share.whole
