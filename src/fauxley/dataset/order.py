"""The endless order in which clips are drawn, as a pure function of (seed, position).

Position p is the p-th clip drawn since training began. No state is kept, so resuming at any step is exact and costs one
permutation. Only the raw words of NumPy's Philox are used, because NumPy guarantees them for all versions, but not what
its generators compute from them.

A dataset in shards is drawn well mixed, but from only a few shards at a time. An epoch is a permutation, too: the
shards are shuffled, and the clips within each; this sequence of N clips is cut into L lanes of equal length, and the
lanes are read in turn:

    position p of the epoch → lane p mod L, place p div L within it

So every clip is drawn once in an epoch. A batch comes from L shards (2 L at most, where lanes pass from one to the
next). A shard is read once in an epoch, or twice if a lane begins within it. A process that takes every w-th row, with
w a divisor of L, reads only its own L/w lanes. A permutation of all clips would touch every shard within a few batches.

Letters: B positions, S shards, L lanes, N clips in all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.dataset.slicing import Int
from fauxley.errors import UsageError


class DrawnClips(NamedTuple):
    """The clip drawn at each position, and a number uniform in [0, 1) that determines its random start."""

    clip: Int
    uniform: NDArray[np.float64]


class Order(ABC):
    """An endless order of clips."""

    @abstractmethod
    def draw(self, positions: Int) -> DrawnClips:
        """Draw the clips at `positions` (B,)."""

    def soon(self, positions: Int) -> Int:
        """The shards that will be needed some time after `positions`; none if nothing is to be fetched ahead."""
        return positions[:0]


def uniform(words: np.random.Philox, size: int) -> NDArray[np.float64]:
    """Numbers uniform in [0, 1), (size,), made of the next words."""
    return (words.random_raw(size) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Shuffled(Order):
    """Epochs, each a new permutation of `clips`, so that all clips are drawn equally often.

    Args:
        clips: (N,) indices to be drawn.
        seed: not negative.
        stream: distinguishes orders of the same seed.
    """

    def __init__(self, clips: Int, seed: int, stream: int = 0) -> None:
        if seed < 0:
            raise UsageError(f"the seed must not be negative; got {seed}")
        self._clips = clips
        self._seed = seed
        self._stream = stream
        self._epoch = -1
        self._current: DrawnClips

    def draw(self, positions: Int) -> DrawnClips:
        epochs, within = np.divmod(positions, len(self._clips))
        clip = np.empty(len(positions), np.int64)
        own = np.empty(len(positions))
        for epoch in np.unique(epochs):
            here = epochs == epoch
            drawn = self._draw_epoch(int(epoch))
            clip[here] = drawn.clip[within[here]]
            own[here] = drawn.uniform[within[here]]
        return DrawnClips(clip, own)

    def _draw_epoch(self, epoch: int) -> DrawnClips:
        if epoch != self._epoch:
            words = np.random.Philox(np.random.SeedSequence([self._seed, self._stream, epoch]))
            size = len(self._clips)
            permutation = np.argsort(words.random_raw(size), kind="stable")
            self._epoch, self._current = epoch, DrawnClips(self._clips[permutation], uniform(words, size))
        return self._current


class Balanced(Order):
    """The labels in turn, each with its own shuffled order, so that all labels are drawn equally often.

    Clips without a label are not a label of their own: they are drawn as often as they would be without balancing, so
    that a single file that was never sorted does not make up a large part of every batch.

    Args:
        labels: (N,) index of each clip's label; -1 for none.
        seed: not negative.
    """

    def __init__(self, labels: Int, seed: int) -> None:
        self._total = len(labels)
        bare = np.flatnonzero(labels < 0)
        self._bare = len(bare)
        self._bare_order = Shuffled(bare, seed)
        known = np.unique(labels[labels >= 0])
        self._orders = [Shuffled(np.flatnonzero(labels == label), seed, 1 + int(label)) for label in known]

    def draw(self, positions: Int) -> DrawnClips:
        clip = np.empty(len(positions), np.int64)
        own = np.empty(len(positions))
        before, after = (places * self._bare // self._total for places in (positions, positions + 1))  # drawn by then
        without = after > before
        if without.any():
            clip[without], own[without] = self._bare_order.draw(before[without])
        rounds, turns = np.divmod(positions - before, max(1, len(self._orders)))
        for turn, order in enumerate(self._orders):
            here = (turns == turn) & ~without
            clip[here], own[here] = order.draw(rounds[here])
        return DrawnClips(clip, own)


class Laned(Order):
    """Lanes through shards.

    Args:
        counts: (S,) clips of each shard; clips are numbered across shards.
        lanes: L.
        seed: not negative.
    """

    def __init__(self, counts: Int, lanes: int, seed: int) -> None:
        if seed < 0:
            raise UsageError(f"the seed must not be negative; got {seed}")
        self._counts = counts
        self._firsts = np.cumsum(counts) - counts
        self._total = int(counts.sum())
        self._lanes = min(lanes, self._total)
        self._seed = seed
        self._epoch = lru_cache(maxsize=4)(self._shuffle_shards)
        # A batch may span two epochs, and a lane two shards.
        self._shard = lru_cache(maxsize=4 * self._lanes)(self._shuffle_clips)

    def draw(self, positions: Int) -> DrawnClips:
        clip = np.empty(len(positions), np.int64)
        own = np.empty(len(positions))
        for epoch, shard, rows, places in self._visits(positions):
            drawn = self._shard(epoch, shard)
            clip[rows] = drawn.clip[places]
            own[rows] = drawn.uniform[places]
        return DrawnClips(clip, own)

    def soon(self, positions: Int) -> Int:
        """The shards that are needed half a shard after `positions`."""
        ahead = positions + self._lanes * (self._total // len(self._counts) // 2)
        return np.unique([shard for _, shard, _, _ in self._visits(ahead)])

    def _visits(self, positions: Int) -> list[tuple[int, int, Int, Int]]:
        """What to draw from which shard: (epoch, shard, rows of `positions`, places within the shard)."""
        epochs, within = np.divmod(positions, self._total)
        index, lane = np.divmod(within, self._lanes)
        # The first N mod L lanes have one clip more.
        each, more = divmod(self._total, self._lanes)
        sequence = lane * each + np.minimum(lane, more) + index
        visits = []
        for epoch in np.unique(epochs):
            rows = np.flatnonzero(epochs == epoch)
            shards, ends = self._epoch(int(epoch))
            turns = np.searchsorted(ends, sequence[rows], side="right")
            for turn in np.unique(turns):
                here = rows[turns == turn]
                shard = int(shards[turn])
                visits.append((int(epoch), shard, here, sequence[here] - (ends[turn] - self._counts[shard])))
        return visits

    def _shuffle_shards(self, epoch: int) -> tuple[Int, Int]:
        """The shards in the order of an epoch, and the end of each in the epoch's sequence of clips."""
        words = np.random.Philox(np.random.SeedSequence([self._seed, epoch]))
        shards = np.argsort(words.random_raw(len(self._counts)), kind="stable")
        return shards, np.cumsum(self._counts[shards])

    def _shuffle_clips(self, epoch: int, shard: int) -> DrawnClips:
        words = np.random.Philox(np.random.SeedSequence([self._seed, epoch, shard + 1]))
        clips = self._firsts[shard] + self._choose(shard, words)
        return DrawnClips(clips, uniform(words, len(clips)))

    def _choose(self, shard: int, words: np.random.Philox) -> Int:
        """Choose as many clips of a shard as it has, in drawing order, counted from its first clip."""
        return np.argsort(words.random_raw(int(self._counts[shard])), kind="stable")


class BalancedLanes(Laned):
    """Lanes through shards that take the labels in turn, so rare labels' clips are drawn often and common ones' seldom.

    Labels are balanced within each shard. A label that only few shards contain is therefore drawn less often.

    Args:
        labels: returns the label of each clip of a shard.
    """

    def __init__(self, counts: Int, lanes: int, seed: int, labels: Callable[[int], Int]) -> None:
        super().__init__(counts, lanes, seed)
        self._labels = labels

    def _choose(self, shard: int, words: np.random.Philox) -> Int:
        labels = self._labels(shard)
        present = np.unique(labels)
        chosen = np.empty(len(labels), np.int64)
        for turn, label in enumerate(present):
            clips = np.flatnonzero(labels == label)
            wanted = len(chosen[turn :: len(present)])
            rounds = -(-wanted // len(clips))
            shuffled = np.argsort(words.random_raw(rounds * len(clips)).reshape(rounds, -1), axis=1, kind="stable")
            chosen[turn :: len(present)] = clips[shuffled].reshape(-1)[:wanted]
        return chosen
