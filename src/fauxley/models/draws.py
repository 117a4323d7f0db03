"""Every random number is a function of a seed and of what it is for, never of what was drawn before elsewhere.

That makes resuming exact without saving any generator's state, gives the same numbers on every device, and lets one
process of many compute the whole batch's numbers and take its share.
"""

import numpy as np
import torch
from torch import Tensor


class Draws:
    """The random numbers of one occasion, drawn on the CPU.

    Args:
        key: what names the occasion: a seed alone, or (seed, step, update).
    """

    def __init__(self, *key: int) -> None:
        # SeedSequence's hash is fixed by NumPy's compatibility policy; PyTorch's own mixing of seeds is weak.
        # It takes (1,) and (1, 0) for the same, so the length goes in front.
        (state,) = np.random.SeedSequence((len(key), *key)).generate_state(1, np.uint64)
        self._generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))

    def latents(self, count: int, size: int) -> Tensor:
        """Latent vectors, uniform in [-1, 1] (paper, Table 6): (count, size)."""
        return torch.rand(count, size, generator=self._generator) * 2 - 1

    def uniform(self, shape: torch.Size, limit: float) -> Tensor:
        """Uniform in [-limit, limit]: initial weights."""
        return (torch.rand(shape, generator=self._generator) * 2 - 1) * limit

    def interpolation(self, count: int) -> Tensor:
        """Where between a real and a generated example the gradient penalty looks, uniform in [0, 1]: (count,)."""
        return torch.rand(count, generator=self._generator)

    def shifts(self, layers: int, count: int, radius: int, per_example: bool) -> list[list[int]]:
        """Shifts for phase shuffle, uniform in -radius ... radius: one list of `count` for each layer.

        The official code draws one shift a layer for the whole batch; `per_example` draws one for each example.
        """
        shape = (layers, count if per_example else 1)
        drawn: list[list[int]] = torch.randint(-radius, radius + 1, shape, generator=self._generator).tolist()
        return [row if per_example else row * count for row in drawn]
