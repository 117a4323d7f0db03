"""The audio of a dataset, in one file or in shards: reading it, and appending to it while it is packed.

Reading: the index says which shard each sound is in, and where; audio is mapped when it is first touched. A dataset of
format 1 is a single shard. In format 2 the index is mapped, too, so that memory grows with the number of shards and not
of files, and all processes of a machine share one copy.

Writing: the shard of a sound depends only on the sizes of the sounds before it. So after a kill the plan is computed
again from the parts' reports, and compared with what is on the disk.

Letters: F files, S shards, C channels.
"""

import dataclasses
import os
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, groupby
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.dataset.format import (
    AUDIO_FILE,
    INFO_FILE,
    LABELS_FILE,
    LENGTHS_FILE,
    MANIFEST_FILE,
    DatasetEntry,
    DatasetInfo,
    Shard,
    ShardedInfo,
    read_entries,
    read_info,
    read_skipped,
    shard_file,
)
from fauxley.dataset.location import Folder, Location
from fauxley.dataset.slicing import Int
from fauxley.errors import UsageError
from fauxley.sounds.finding import Skipped
from fauxley.storage import hash_file, sync

_MAPPED = 64  # shards at most; a mapped shard takes no memory, but the cache cannot free its room


class Shards:
    """The audio of an opened dataset, and the place of each file in it; see `open_shards`.

    Attributes:
        location: of the dataset.
        info: the content of dataset.json.
        lengths: (F,) samples of each file, per channel.
        first_files: (S + 1,) the first file of each shard, and F.
    """

    def __init__(
        self,
        location: Location,
        info: DatasetInfo,
        lengths: NDArray[np.integer],
        labels: NDArray[np.integer],
        shards: Sequence[Shard],
    ) -> None:
        self.location = location
        self.info = info
        self.lengths = lengths
        self._labels = labels
        self.first_files: Int = np.cumsum([0, *(shard.num_files for shard in shards)])
        self._shards = shards
        self.audio = lru_cache(maxsize=_MAPPED)(self._map)
        self._offsets = lru_cache(maxsize=_MAPPED)(self._add_up)

    def __len__(self) -> int:
        return len(self._shards)

    @cached_property
    def entries(self) -> tuple[DatasetEntry, ...]:
        """The rows of manifest.csv, in the order of the files."""
        return read_entries(self.location, self.info)

    def skipped(self) -> list[Skipped]:
        """The rows of skipped.csv."""
        return read_skipped(self.location, self.info)

    @property
    def licenses(self) -> tuple[str, ...]:
        """The distinct licences, sorted."""
        if isinstance(self.info, ShardedInfo):
            return self.info.licenses
        return tuple(sorted({entry.license for entry in self.entries} - {""}))

    @property
    def is_local(self) -> bool:
        """Whether all files are on this machine."""
        return isinstance(self.location, Folder)

    @property
    def sizes(self) -> Int:
        """The samples of each whole shard, per channel: (S,)."""
        return np.array([shard.num_samples for shard in self._shards], np.int64)

    def of(self, files: Int) -> Int:
        """The shard of each of these files."""
        return np.searchsorted(self.first_files, files, side="right") - 1

    def labels(self, files: Int) -> Int:
        """The index in `info.labels` of each file's label, or -1."""
        return self._labels[files].astype(np.int64)

    def begins(self, shard: int, files: Int) -> Int:
        """The first sample of each of these files in the audio of their shard."""
        begins: Int = self._offsets(shard)[files - self.first_files[shard]]
        return begins

    def samples(self, file: int) -> NDArray[np.int16]:
        """The audio of a file: (num_samples, C)."""
        shard = int(self.of(np.array([file]))[0])
        begin = int(self.begins(shard, np.array([file]))[0])
        audio: NDArray[np.int16] = self.audio(shard)
        return audio[begin : begin + int(self.lengths[file])]

    def only(self, files: Int) -> "Shards":
        """The same audio, restricted to these files, in file order."""
        return _Selection(self, np.unique(files))

    def check(self) -> None:
        """Raise now, not in the middle of training, if a shard on the disk is missing or has another size."""
        for shard in range(len(self)):
            self.location.check(*self._file(shard))

    def ask(self, shards: Int) -> None:
        """Have remote shards fetched before they are needed."""
        self.location.ask([self._file(int(shard)) for shard in shards])

    def _map(self, shard: int) -> NDArray[np.int16]:
        """The audio of a shard, memory-mapped: (num_samples, C)."""
        values: NDArray[np.int16] = self.location.map(*self._file(shard)).view("<i2")
        return values.reshape(-1, self.info.channels)

    def _file(self, shard: int) -> tuple[str, int, str]:
        about = self._shards[shard]
        name = shard_file(shard) if isinstance(self.info, ShardedInfo) else AUDIO_FILE
        return name, 2 * self.info.channels * about.num_samples, about.sha256

    def _add_up(self, shard: int) -> Int:
        lengths = self.lengths[self.first_files[shard] : self.first_files[shard + 1]].astype(np.int64)
        return np.cumsum(lengths) - lengths


class _Selection(Shards):
    """Some of the files of other shards, renumbered, and read from where they are.

    Args:
        whole: the other shards.
        files: (F,) their indices, increasing.
    """

    def __init__(self, whole: Shards, files: Int) -> None:
        lengths = whole.lengths[files]
        total = int(lengths.sum(dtype=np.int64))
        info = dataclasses.replace(whole.info, num_files=len(files), num_samples=total)
        super().__init__(whole.location, info, lengths, whole.labels(files), whole._shards)
        self.first_files = np.searchsorted(files, whole.first_files)
        self._whole = whole
        self._files = files

    @cached_property
    def entries(self) -> tuple[DatasetEntry, ...]:
        return tuple(self._whole.entries[file] for file in self._files)

    def begins(self, shard: int, files: Int) -> Int:
        return self._whole.begins(shard, self._files[files])


def open_shards(location: Location) -> Shards:
    """Open a dataset.

    Raises:
        FauxleyError: it is missing, not a dataset, of another format version, incomplete or inconsistent.
    """
    info = read_info(location)
    shards = _open_many(location, info) if isinstance(info, ShardedInfo) else _open_one(location, info)
    shards.check()
    return shards


def _open_one(location: Location, info: DatasetInfo) -> Shards:
    entries = read_entries(location, info)
    if any(entry.num_samples < 1 for entry in entries):
        raise location.broken(f"{MANIFEST_FILE} lists a file without samples")
    ends = list(accumulate((entry.num_samples for entry in entries), initial=0))
    if len(entries) != info.num_files or ends[-1] != info.num_samples:
        raise location.broken(f"{MANIFEST_FILE} does not match {INFO_FILE}")
    if any(entry.offset != end for entry, end in zip(entries, ends, strict=False)):
        raise location.broken(f"the offsets in {MANIFEST_FILE} do not increase from row to row")
    places = {label: index for index, label in enumerate(info.labels)}
    lengths = np.array([entry.num_samples for entry in entries], np.int64)
    labels = np.array([places.get(entry.label, -1) for entry in entries], np.int64)
    shards = Shards(location, info, lengths, labels, [Shard(info.num_files, info.num_samples, "")])
    shards.entries = entries
    return shards


def _open_many(location: Location, info: ShardedInfo) -> Shards:
    files = [shard.num_files for shard in info.shards]
    samples = [shard.num_samples for shard in info.shards]
    if info.lanes < 1 or any(count < 1 for count in (*files, *samples)):
        raise location.broken(f"{INFO_FILE} is inconsistent")
    lengths = location.map(LENGTHS_FILE, 4 * info.num_files, info.lengths_sha256).view("<u4")
    labels = location.map(LABELS_FILE, 4 * info.num_files, info.labels_sha256).view("<i4")
    if (sum(files), sum(samples)) != (info.num_files, info.num_samples):
        raise location.broken(f"{INFO_FILE} is inconsistent: the sizes of its shards do not add up to its totals")
    shards = Shards(location, info, lengths, labels, info.shards)
    sums = np.add.reduceat(lengths, shards.first_files[:-1], dtype=np.int64)
    if sums.tolist() != samples:
        raise location.broken(f"{LENGTHS_FILE} does not match {INFO_FILE}")
    if not lengths.all():
        raise location.broken(f"{LENGTHS_FILE} lists a file without samples")
    if labels.min() < -1 or labels.max() >= len(info.labels):
        raise location.broken(f"{LABELS_FILE} does not match {INFO_FILE}")
    largest = max(shard.num_samples for shard in info.shards)
    location.expect(min(info.lanes, len(shards)) * 2 * info.channels * largest)
    return shards


_BLOCK = 1 << 20


class _Place(NamedTuple):
    """The place of a sound: its shard, and its first byte and the one past its last."""

    shard: int
    begin: int
    end: int


class ShardWriter:
    """Appends sounds, one directly after another, to files in a folder.

    Args:
        folder: of the files.
        limit: bytes of a shard, which only a single larger sound may exceed; None writes one file.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        if limit is not None and limit < 1:
            raise UsageError(f"the size of a shard must be positive; got {limit}")
        self._folder = folder
        self._limit = limit
        self._sounds: list[_Place] = []  # in order

    @property
    def offsets(self) -> list[int]:
        """The first byte of each sound in its file."""
        return [place.begin for place in self._sounds]

    def append(self, source: IO[bytes], sizes: Sequence[int]) -> None:
        """Write the next sounds, of `sizes` bytes, and flush them to the disk."""
        for shard, places in groupby(self._plan(sizes), key=lambda place: place.shard):
            with self.path(shard).open("ab") as file:
                copy_bytes(source, file, sum(place.end - place.begin for place in places))
                file.flush()
                sync(file.fileno())

    def recover(self, parts: Sequence[Sequence[int]]) -> int:
        """The number of parts, with sounds of these sizes, that are complete on the disk; the rest is cut off."""
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
        """A sound that was written: (num_samples, channels)."""
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
        """Assign places to the next sounds."""
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
