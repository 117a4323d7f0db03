"""The clips that a slicing gives, numbered through all files, looked up without ever listing them all.

A shard's clips are listed when one of them is wanted; of the others only their number is known.

Letters: N clips, S shards.
"""

from functools import lru_cache

import numpy as np

from fauxley.dataset.shards import Shards
from fauxley.dataset.slicing import Clips, Int, Slicing

_LISTED = 64  # shards at most


class ClipIndex:
    """The clips of `shards` under `slicing`, in file order.

    Attributes:
        counts: (S,) clips of each shard.
        ends: (S,) the number after the last clip of each.
    """

    def __init__(self, shards: Shards, slicing: Slicing) -> None:
        self._shards = shards
        self._slicing = slicing
        lengths = (shards.lengths[slice(*shards.first_files[shard : shard + 2])] for shard in range(len(shards)))
        self.counts: Int = np.array([slicing.counts(part).sum() for part in lengths], np.int64)
        self.ends: Int = np.cumsum(self.counts)
        self.of_shard = lru_cache(maxsize=_LISTED)(self._list)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def find(self, numbers: Int) -> Clips:
        """The clips of these numbers."""
        shards = np.searchsorted(self.ends, numbers, side="right")
        found = np.empty((3, len(numbers)), np.int64)
        for shard in np.unique(shards):
            here = shards == shard
            first = self.ends[shard] - self.counts[shard]
            found[:, here] = [column[numbers[here] - first] for column in self.of_shard(int(shard))]
        return Clips(*found)

    def _list(self, shard: int) -> Clips:
        first, last = self._shards.first_files[shard : shard + 2]
        clips = self._slicing.clips(self._shards.lengths[first:last])
        return clips._replace(file=clips.file + first)
