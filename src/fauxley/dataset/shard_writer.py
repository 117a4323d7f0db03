"""Grows the audio of a dataset: one file, or one shard after another.

Which shard a file of sounds goes to follows from the sizes of those before it alone. So after a kill, the plan is
made again from what the parts reported, and compared with what is on the disk.
"""

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.dataset.parts import hash_file
from fauxley.dataset.store import AUDIO_FILE, Shard, shard_file
from fauxley.errors import UsageError
from fauxley.storage import sync

_BLOCK = 1 << 20


class _Place(NamedTuple):
    """Where a sound is: in which shard, from which byte to which."""

    shard: int
    begin: int
    end: int


class ShardWriter:
    """Appends sounds, end to end, to files in a folder.

    Args:
        folder: where they are.
        limit: bytes of a shard, which only a single sound may exceed; None: all into one file.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        if limit is not None and limit < 1:
            raise UsageError(f"the size of a shard must be positive; got {limit}")
        self._folder = folder
        self._limit = limit
        self._sounds: list[_Place] = []  # in order

    @property
    def offsets(self) -> list[int]:
        """Where each sound begins in its file, in bytes."""
        return [place.begin for place in self._sounds]

    def append(self, source: IO[bytes], sizes: Sequence[int]) -> None:
        """Write the next sounds, of `sizes` bytes, and wait until the disk has them."""
        for shard, places in groupby(self._plan(sizes), key=lambda place: place.shard):
            with self.path(shard).open("ab") as file:
                copy_bytes(source, file, sum(place.end - place.begin for place in places))
                file.flush()
                sync(file.fileno())

    def recover(self, parts: Sequence[Sequence[int]]) -> int:
        """How many of the parts, of sounds of these sizes, are on the disk whole; the rest of what is there is cut."""
        count = 0
        for sizes in parts:
            before = len(self._sounds)
            if any(place.end > self._size_on_disk(place.shard) for place in self._plan(sizes)):
                del self._sounds[before:]
                break
            count += 1
        kept = {place.shard: place.end for place in self._sounds}
        for path in self._folder.glob("*.int16"):
            if path not in map(self.path, kept):
                path.unlink()
        for shard, end in kept.items():
            os.truncate(self.path(shard), end)
        return count

    def samples(self, number: int, channels: int) -> NDArray[np.int16]:
        """A sound that was written, `(num_samples, channels)`."""
        shard, begin, end = self._sounds[number]
        shape = ((end - begin) // (2 * channels), channels)
        return np.memmap(self.path(shard), "<i2", "r", begin, shape)

    def finish(self, bytes_per_sample: int) -> tuple[Shard, ...]:
        """The shards that were written."""
        shards = []
        for shard, group in groupby(self._sounds, key=lambda place: place.shard):
            places = list(group)
            shards.append(Shard(len(places), places[-1].end // bytes_per_sample, hash_file(self.path(shard))))
        return tuple(shards)

    def path(self, shard: int) -> Path:
        return self._folder / (AUDIO_FILE if self._limit is None else shard_file(shard))

    def _plan(self, sizes: Sequence[int]) -> list[_Place]:
        """Find a place for each of the next sounds."""
        planned = []
        shard, end = (self._sounds[-1].shard, self._sounds[-1].end) if self._sounds else (0, 0)
        for size in sizes:
            if end and self._limit is not None and end + size > self._limit:
                shard, end = shard + 1, 0
            planned.append(_Place(shard, end, end + size))
            end += size
        self._sounds += planned
        return planned

    def _size_on_disk(self, shard: int) -> int:
        path = self.path(shard)
        return path.stat().st_size if path.exists() else 0


def copy_bytes(source: IO[bytes], target: IO[bytes], num_bytes: int) -> None:
    """Copy the next `num_bytes` bytes."""
    while num_bytes:
        block = source.read(min(num_bytes, _BLOCK))
        if not block:
            raise EOFError("a part is shorter than reported")
        target.write(block)
        num_bytes -= len(block)
