"""Random numbers in places that stay, for work that is repeated without asking where they are."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from fauxley.models.draws import Draws


class BufferedDraws(Draws):
    """Draws anew, on each occasion, what was asked for on the first, into the same buffers.

    Args:
        first: the random numbers of the first occasion.
        device: of the buffers.
    """

    def __init__(self, first: Draws, device: torch.device) -> None:
        self._first = first
        self._device = device
        self._asked: list[tuple[Callable[[Draws], Any], Any]] = []
        self._position = 0

    def rewind(self) -> None:
        """Give the same numbers once more."""
        self._position = 0

    def refill(self, draws: Draws) -> bool:
        """Take over the numbers of another occasion; False if what happens there is not what happened here."""
        self.rewind()
        for ask, buffer in self._asked:
            drawn = ask(draws)
            if not isinstance(buffer, Tensor):
                if drawn != buffer:
                    return False
            else:
                to_device(drawn, buffer)
        return True

    def latents(self, count: int, size: int) -> Tensor:
        return cast(Tensor, self._give(lambda draws: draws.latents(count, size)))

    def interpolation(self, count: int) -> Tensor:
        return cast(Tensor, self._give(lambda draws: draws.interpolation(count)))

    def shifts(self, layers: int, count: int, radius: int, per_example: bool) -> Tensor:
        return cast(Tensor, self._give(lambda draws: draws.shifts(layers, count, radius, per_example)))

    def uniform(self, shape: torch.Size, limit: float) -> Tensor:
        return cast(Tensor, self._give(lambda draws: draws.uniform(shape, limit)))

    def happens(self, probability: float) -> bool:
        return bool(self._give(lambda draws: draws.happens(probability)))

    def _give(self, ask: Callable[[Draws], Any]) -> Any:
        if self._position == len(self._asked):
            drawn = ask(self._first)
            if isinstance(drawn, Tensor):
                drawn = to_device(drawn, torch.empty(drawn.shape, dtype=drawn.dtype, device=self._device))
            self._asked.append((ask, drawn))
        self._position += 1
        return self._asked[self._position - 1][1]


def to_device(values: Tensor, buffer: Tensor) -> Tensor:
    """Lay values of the host into a buffer, which a GPU does when it gets there, without the host's waiting for it."""
    if buffer.is_cuda:
        # PyTorch reuses a pinned block only once the copies out of it are done.
        return buffer.copy_(values.contiguous().pin_memory(), non_blocking=True)
    return buffer.copy_(values)
