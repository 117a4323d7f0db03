"""The order in which clips are drawn, endless, as a pure function of (seed, position).

Position p is the p-th clip drawn since training began. Nothing is remembered, so resuming at any step is exact and
costs one permutation. Only the raw words of NumPy's Philox are used: NumPy promises them for ever, but not what its
generators make of them.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.dataset.slicing import Int
from fauxley.errors import UsageError


class Draws(NamedTuple):
    """For each position: which clip, and a number uniform in [0, 1) that is its own, for the random start."""

    clip: Int
    uniform: NDArray[np.float64]


class Order(ABC):
    """An endless order of clips."""

    @abstractmethod
    def draw(self, positions: Int) -> Draws:
        """What is drawn at `positions`, `(B,)`."""

    def soon(self, positions: Int) -> Int:
        """The shards that will be wanted some time after `positions`; none if there is nothing to fetch ahead."""
        return positions[:0]


def uniform(words: np.random.Philox, size: int) -> NDArray[np.float64]:
    """Numbers uniform in [0, 1), `(size,)`, from the next words."""
    return (words.random_raw(size) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Shuffled(Order):
    """Epoch after epoch, each a new permutation of `clips`, so that each is drawn equally often.

    Args:
        clips: `(N,)` indices to be drawn.
        seed: not negative.
        stream: tells orders of the same seed apart.
    """

    def __init__(self, clips: Int, seed: int, stream: int = 0) -> None:
        if seed < 0:
            raise UsageError(f"the seed must not be negative; got {seed}")
        self._clips = clips
        self._seed = seed
        self._stream = stream
        self._epoch = -1
        self._current: Draws

    def draw(self, positions: Int) -> Draws:
        epochs, within = np.divmod(positions, len(self._clips))
        clip = np.empty(len(positions), np.int64)
        own = np.empty(len(positions))
        for epoch in np.unique(epochs):
            here = epochs == epoch
            drawn = self._draw_epoch(int(epoch))
            clip[here] = drawn.clip[within[here]]
            own[here] = drawn.uniform[within[here]]
        return Draws(clip, own)

    def _draw_epoch(self, epoch: int) -> Draws:
        if epoch != self._epoch:
            words = np.random.Philox(np.random.SeedSequence([self._seed, self._stream, epoch]))
            size = len(self._clips)
            permutation = np.argsort(words.random_raw(size), kind="stable")
            self._epoch, self._current = epoch, Draws(self._clips[permutation], uniform(words, size))
        return self._current


class Balanced(Order):
    """The labels in turn, each with a shuffled order of its own, so that each label is drawn equally often.

    Args:
        labels: `(N,)` label index of each clip.
        seed: not negative.
    """

    def __init__(self, labels: Int, seed: int) -> None:
        self._orders = [Shuffled(np.flatnonzero(labels == label), seed, 1 + int(label)) for label in np.unique(labels)]

    def draw(self, positions: Int) -> Draws:
        rounds, turns = np.divmod(positions, len(self._orders))
        clip = np.empty(len(positions), np.int64)
        own = np.empty(len(positions))
        for turn, order in enumerate(self._orders):
            here = turns == turn
            clip[here], own[here] = order.draw(rounds[here])
        return Draws(clip, own)
