"""How files are cut into clips of one length: the official loader's rule, as arithmetic on file lengths alone.

A dataset keeps whole files; a slicing is only an index over them, so that one dataset serves every clip length. The one
exception is a dataset cut at the onsets of hits: it keeps the hits, which take the place of files (see `HitSlicing`).

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

_CLIP_LENGTHS = [1 << power for power in range(12, 19)]  # 4096 ... 262144, what the models can be built for


class Clips(NamedTuple):
    """An index of clips, three `(N,)` arrays: clip i is `audio[file[i]][start[i] : start[i] + num_samples[i]]`.

    What `num_samples` lacks of the clip length is filled with zeros at the end.
    """

    file: Int
    start: Int
    num_samples: Int


@dataclass(frozen=True)
class Slicing:
    """Which clips a file gives.

    Attributes:
        mode: `first`: only the clip at the beginning, for one-shots. `all`: one clip every `hop`. `random`: as many
            as `all`, but each time a clip is drawn its start is drawn anew, for long material. `onsets`: one clip for
            each hit that a recording was cut into.
        clip_length: samples in a clip.
        overlap: share of a clip that the next one repeats, 0 up to but not including 1.
        pad_end: fill the end of a file with zeros to a whole clip; otherwise drop what is left over, and with it
            files shorter than a clip.
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
        """Samples from the start of a clip to the start of the next; halves round to even, as Python's `round`."""
        return int(round(self.clip_length * (1 - self.overlap)) + 1e-4)

    def clips(self, lengths: ArrayLike, offset: int = 0) -> Clips:
        """The official index over files of `lengths` `(F,)`, in file order, after dropping `offset` samples of each.

        The official loader draws one offset below the clip length for each file and pass. Training here uses
        `starts` instead, for `offset` takes the attack from every one-shot.
        """
        left = np.maximum(np.asarray(lengths, np.int64) - offset, 0)
        counts = self.counts(left)
        file = np.repeat(np.arange(len(left)), counts)
        within = np.arange(len(file)) - np.repeat(np.cumsum(counts) - counts, counts)
        start = within * self.hop
        num_samples = np.minimum(self.clip_length, left[file] - start)
        return Clips(file, start + offset, num_samples)

    def counts(self, lengths: ArrayLike) -> Int:
        """How many clips each of the files of `lengths`, `(F,)`, gives."""
        lengths = np.asarray(lengths, np.int64)
        if self.pad_end:
            counts = -(-lengths // self.hop)
        else:
            counts = np.where(lengths >= self.clip_length, 1 + (lengths - self.clip_length) // self.hop, 0)
        return np.minimum(counts, 1) if self.mode in ("first", "onsets") else counts

    def starts(self, clips: Clips, lengths: ArrayLike, draw: NDArray[np.float64]) -> Clips:
        """Where the given clips of `self.clips(lengths)` begin this time; `draw`, one a clip, is uniform in [0, 1).

        Fixed unless the mode is `random`. There the places where a clip can begin, 0 ... length - clip_length, are
        dealt out evenly among the clips of the file, and each begins anywhere within its share. So every place is
        equally likely, head and tail are reached, and a file shorter than a clip is never beheaded: in contrast to
        the official rule, nothing is padded that need not be.
        """
        if self.mode != "random":
            return clips
        length = np.asarray(lengths)[clips.file].astype(np.int64)  # the many others may be on a disk
        places = np.maximum(length - self.clip_length, 0) + 1
        count = self.counts(length)
        start = ((clips.start // self.hop + draw) / count * places).astype(np.int64)
        start = np.minimum(start, places - 1)  # against rounding of draws next to 1
        return Clips(clips.file, start, np.minimum(self.clip_length, length - start))


@dataclass(frozen=True)
class HitSlicing(Slicing):
    """The slicing of a dataset that was cut at its onsets, which remembers how.

    What such a dataset lists as files are hits, each no longer than `clip_length`, so a hit is a clip.
    """

    mode: Literal["first", "all", "random", "onsets"] = "onsets"
    cutting: Cutting = field(default_factory=Cutting)


def fitting_clip_length(seconds: float, sample_rate: int) -> int:
    """The shortest clip of a model that holds `seconds`, give or take a tenth; the longest there is if none does."""
    return next((n for n in _CLIP_LENGTHS if n >= 0.9 * seconds * sample_rate), _CLIP_LENGTHS[-1])


_LISTED = 64  # shards at most


class ClipIndex:
    """The clips that a slicing gives of all files, numbered in file order, but listed by the shard when needed.

    Args:
        slicing: which clips a file gives.
        lengths: (F,) samples of each file.
        first_files: (S + 1,) the first file of each shard, and F.

    Attributes:
        counts: (S,) clips of each shard.
        ends: (S,) the number after the last clip of each.
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
