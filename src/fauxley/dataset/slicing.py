"""How files are cut into clips of one length: the official loader's rule, computed from file lengths alone.

A dataset stores whole files; a slicing is only an index over them, so that one dataset serves every clip length. The
one exception is a dataset cut at the onsets of hits: it stores hits instead of files (see `HitSlicing`).

Letters: F files, N clips, S shards.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fauxley.dataset.cutting import Cutting
from fauxley.errors import UsageError

Int = NDArray[np.int64]

_CLIP_LENGTHS = [1 << power for power in range(12, 19)]  # 4096 ... 262144, the lengths that models can have


class Clips(NamedTuple):
    """Clips as three (N,) arrays: clip i is `audio[file[i]][start[i] : start[i] + num_samples[i]]`.

    If `num_samples` is less than the clip length, the rest of the clip is zeros.
    """

    file: Int
    start: Int
    num_samples: Int


@dataclass(frozen=True)
class Slicing:
    """Which clips are cut out of a file.

    Attributes:
        mode: `first`: only the clip at the beginning, for one-shots. `all`: a clip every `hop` samples. `random`: as
            many clips as `all`, but with a new random start each time a clip is drawn, for long recordings. `onsets`: a
            clip for each hit of a recording.
        clip_length: samples in a clip.
        overlap: the share of a clip that the next one repeats, from 0 to less than 1.
        pad_end: whether to pad the end of a file with zeros to a whole clip; otherwise the remainder is dropped, and so
            are files shorter than a clip.
    """

    mode: Literal["first", "all", "random", "onsets"] = "first"
    clip_length: int = 16384
    overlap: float = 0.0
    pad_end: bool = True

    def __post_init__(self) -> None:
        if self.mode not in ("first", "all", "random", "onsets"):
            raise UsageError(f"slicing must be first, all, random or onsets; got {self.mode!r}")
        if self.clip_length < 1:
            raise UsageError(f"clip_length must be positive; got {self.clip_length}")
        if not 0 <= self.overlap < 1:
            raise UsageError(f"overlap must be at least 0 and less than 1; got {self.overlap}")
        if self.hop < 1:
            raise UsageError(f"an overlap of {self.overlap} leaves no step between clips of {self.clip_length} samples")

    @property
    def hop(self) -> int:
        """Samples from the start of a clip to the start of the next; halves are rounded to even, as `round` does."""
        return int(round(self.clip_length * (1 - self.overlap)) + 1e-4)

    def clips(self, lengths: ArrayLike, offset: int = 0) -> Clips:
        """The official index over files of `lengths` (F,), in file order, without the first `offset` samples of each.

        The official loader draws one offset below the clip length for each file and pass. Training here uses `starts`
        instead, because an offset cuts off the attack of every one-shot.
        """
        left = np.maximum(np.asarray(lengths, np.int64) - offset, 0)
        counts = self.counts(left)
        file = np.repeat(np.arange(len(left)), counts)
        within = np.arange(len(file)) - np.repeat(np.cumsum(counts) - counts, counts)
        start = within * self.hop
        num_samples = np.minimum(self.clip_length, left[file] - start)
        return Clips(file, start + offset, num_samples)

    def counts(self, lengths: ArrayLike) -> Int:
        """The number of clips in each of the files of `lengths` (F,)."""
        lengths = np.asarray(lengths, np.int64)
        if self.pad_end:
            counts = -(-lengths // self.hop)
        else:
            counts = np.where(lengths >= self.clip_length, 1 + (lengths - self.clip_length) // self.hop, 0)
        return np.minimum(counts, 1) if self.mode in ("first", "onsets") else counts

    def starts(self, clips: Clips, lengths: ArrayLike, draw: NDArray[np.float64]) -> Clips:
        """The starts of clips of `self.clips(lengths)` for this draw; `draw`, one for each clip, is uniform in [0, 1).

        Starts are random only in the mode `random`. There all possible starts, 0 ... length - clip_length, are divided
        evenly among the clips of the file, and each clip starts anywhere within its part. So every start is equally
        likely, the file's beginning and end are reached, and a file shorter than a clip keeps its beginning. Unlike the
        official rule, it pads only files shorter than a clip.
        """
        if self.mode != "random":
            return clips
        length = np.asarray(lengths)[clips.file].astype(np.int64)  # only these: all lengths may be many, on a disk
        places = np.maximum(length - self.clip_length, 0) + 1
        count = self.counts(length)
        start = ((clips.start // self.hop + draw) / count * places).astype(np.int64)
        start = np.minimum(start, places - 1)  # because of rounding for draws close to 1
        return Clips(clips.file, start, np.minimum(self.clip_length, length - start))


@dataclass(frozen=True)
class HitSlicing(Slicing):
    """The slicing of a dataset that was cut at its onsets, with the settings of the cutting.

    The files of such a dataset are hits, each at most `clip_length` long, so a hit is a clip.
    """

    mode: Literal["first", "all", "random", "onsets"] = "onsets"
    cutting: Cutting = field(default_factory=Cutting)


def fitting_clip_length(seconds: float, sample_rate: int) -> int:
    """The shortest possible clip length that holds `seconds`, to within a tenth; the longest one if none does."""
    return next((n for n in _CLIP_LENGTHS if n >= 0.9 * seconds * sample_rate), _CLIP_LENGTHS[-1])


_LISTED = 64  # shards at most


class ClipIndex:
    """The clips that a slicing gives of all files, numbered in file order, and listed shard by shard when needed.

    Args:
        slicing: which clips are cut out of a file.
        lengths: (F,) samples of each file.
        first_files: (S + 1,) the first file of each shard, and F.

    Attributes:
        counts: (S,) clips of each shard.
        ends: (S,) one past the number of the last clip of each shard.
    """

    def __init__(self, slicing: Slicing, lengths: NDArray[np.integer], first_files: Int) -> None:
        self._slicing = slicing
        self._lengths = lengths
        self._first_files = first_files
        shards = (lengths[first:last] for first, last in pairwise(first_files))
        self.counts: Int = np.array([slicing.counts(shard).sum() for shard in shards], np.int64)
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
        first, last = self._first_files[shard : shard + 2]
        clips = self._slicing.clips(self._lengths[first:last])
        return clips._replace(file=clips.file + first)
