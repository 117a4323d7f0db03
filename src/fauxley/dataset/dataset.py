"""Endless batches of prepared sounds, memory-mapped, in an order that is a function of (seed, step).

Letters: B clips in a batch, N clips in all, C channels, T samples in a clip.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fauxley.dataset.format import DatasetEntry, ShardedInfo
from fauxley.dataset.location import Folder, locate
from fauxley.dataset.order import Balanced, BalancedLanes, Laned, Order, Shuffled
from fauxley.dataset.shards import Shards, open_shards
from fauxley.dataset.slicing import ClipIndex, Clips, Int, Slicing
from fauxley.errors import FauxleyError, UsageError
from fauxley.sounds.finding import Skipped
from fauxley.sounds.reading import Float

_ALL = slice(None)


class Dataset:
    """Prepared sounds, open for reading. `fauxley.dataset.packing.pack` makes a dataset, `Dataset.open` opens it."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self.info = shards.info
        # A trainer asks for the same few again and again.
        self._index = lru_cache(maxsize=8)(lambda slicing: ClipIndex(slicing, shards.lengths, shards.first_files))
        self._orders = lru_cache(maxsize=8)(self._order)

    @classmethod
    def open(cls, place: Path | str) -> "Dataset":
        """Open a dataset: its folder, or the URL of one in shards.

        Files behind a URL are fetched when they are needed, into a local cache of limited size; see `DownloadCache`.

        Raises:
            FauxleyError: it is missing, not a dataset, of a newer format, incomplete or inconsistent.
        """
        return cls(open_shards(locate(place)))

    @property
    def folder(self) -> Path:
        """The folder of the dataset.

        Raises:
            FauxleyError: the dataset is behind a URL.
        """
        location = self._shards.location
        if not isinstance(location, Folder):
            raise FauxleyError(f"{location} is not a folder on this machine")
        return location.path

    @property
    def name(self) -> str:
        """The name of its location, for messages."""
        return str(self._shards.location)

    @property
    def entries(self) -> tuple[DatasetEntry, ...]:
        """The row of each file in manifest.csv. Of millions of files they are large; training does not need them."""
        return self._shards.entries

    @property
    def licenses(self) -> tuple[str, ...]:
        """The distinct licences, sorted."""
        return self._shards.licenses

    def fingerprint(self, slicing: Slicing | None = None) -> str:
        """A short hash of all sounds, labels and names, and of how clips are cut (None: the dataset's own slicing)."""
        settings = (self.sample_rate, self.channels, self.info.normalize, slicing or self.info.slicing)
        return hashlib.sha256(repr((settings, self._contents())).encode()).hexdigest()[:16]

    def _contents(self) -> Any:
        """A value for hashing that depends on all sounds, labels and names."""
        if isinstance(self.info, ShardedInfo):
            return self.info.manifest_sha256, [shard.sha256 for shard in self.info.shards]
        return [(entry.file, entry.label, entry.num_samples, entry.sha256) for entry in self.entries]

    @property
    def sample_rate(self) -> int:
        """The sample rate, in Hz."""
        return self.info.sample_rate

    @property
    def channels(self) -> int:
        """The number of channels of every sound."""
        return self.info.channels

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels, sorted; empty if the sounds have none."""
        return self.info.labels

    @property
    def lengths(self) -> NDArray[np.integer[Any]]:
        """The samples of each file, per channel: (F,)."""
        return self._shards.lengths

    @property
    def duration_seconds(self) -> float:
        """The duration of all files together."""
        return self.info.num_samples / self.info.sample_rate

    def only(self, files: Sequence[int]) -> "Dataset":
        """A dataset that consists only of the files with these indices, in file order."""
        return Dataset(self._shards.only(np.array(files, np.int64)))

    def skipped(self) -> list[Skipped]:
        """The files that were not used, and why."""
        return self._shards.skipped()

    def audio(self, file: int) -> Float:
        """The whole file of this index: (C, num_samples) float32 in [-1, 1]."""
        return self._shards.samples(file).T.astype(np.float32) / np.float32(32768)

    def clips(self, slicing: Slicing | None = None) -> Clips:
        """The clips that a slicing gives (None: the dataset's own), in file order.

        Raises:
            FauxleyError: there are none, because without padding every file is shorter than a clip.
        """
        index = self.index(slicing)
        return index.find(np.arange(len(index)))

    def index(self, slicing: Slicing | None = None) -> ClipIndex:
        """The clips of `clips`, as an index by number instead of a list."""
        index: ClipIndex = self._index(slicing or self.info.slicing)
        if not len(index):
            raise FauxleyError(f"no file of {self.name} is as long as a clip; use pad_end or shorter clips")
        return index

    def num_clips(self, slicing: Slicing | None = None) -> int:
        """The number of clips that a slicing gives."""
        return len(self.index(slicing))

    def clip_labels(self, slicing: Slicing | None = None) -> Int:
        """The index into `labels` of each clip, -1 for no label: (N,)."""
        return self._shards.labels(self.clips(slicing).file)

    def labels_of(self, clips: Clips) -> Int:
        """The index into `labels` of each of these clips, -1 for no label: (N,)."""
        return self._shards.labels(clips.file)

    def label_counts(self, slicing: Slicing | None = None) -> dict[str, int]:
        """The number of clips of each label that has any; "" counts those without. Counted shard by shard."""
        index = self.index(slicing)
        counts = np.zeros(len(self.labels) + 1, np.int64)
        for shard in range(len(self._shards)):
            found = self.labels_of(index.of_shard(shard))
            counts += np.bincount(found + 1, minlength=len(counts))
        return {label: int(count) for label, count in zip(("", *self.labels), counts, strict=True) if count}

    def again(self) -> "Dataset":
        """The same sounds for use by another thread: a dataset's cached orders serve one thread at a time."""
        return Dataset(self._shards)

    def read(self, clips: Clips, clip_length: int) -> NDArray[np.int16]:
        """Cut the given clips out: (N, C, T) int16, zeros after the end."""
        batch = np.zeros((len(clips.file), self.channels, clip_length), np.int16)
        shards = self._shards.of(clips.file)
        wanted = np.unique(shards)
        self._shards.ask(wanted)
        for shard in wanted.tolist():
            audio = self._shards.audio(shard)
            rows = np.flatnonzero(shards == shard)
            starts = self._shards.begins(shard, clips.file[rows]) + clips.start[rows]
            lengths = clips.num_samples[rows]
            for row, start, length in zip(rows.tolist(), starts.tolist(), lengths.tolist(), strict=True):
                batch[row, :, :length] = audio[start : start + length].T
        return batch

    @property
    def is_local(self) -> bool:
        """Whether all of its audio is on this machine."""
        return self._shards.is_local

    @property
    def total_samples(self) -> int:
        """The samples of all shards, per channel."""
        return int(self._shards.sizes.sum())

    def whole(self) -> Iterator[NDArray[np.int16]]:
        """All audio, shard after shard, each (num_samples, C), memory-mapped."""
        for shard in range(len(self._shards)):
            yield self._shards.audio(shard)

    def places(self, clips: Clips) -> Int:
        """The first sample of each of the given clips in the shards of `whole`, laid end to end: (N,)."""
        shards = self._shards.of(clips.file)
        sizes = self._shards.sizes
        places = (np.cumsum(sizes) - sizes)[shards] + clips.start
        for shard in np.unique(shards).tolist():
            here = shards == shard
            places[here] += self._shards.begins(shard, clips.file[here])
        return places

    def draw(
        self, step: int, batch_size: int, seed: int, *, slicing: Slicing | None = None, balance_labels: bool = False
    ) -> tuple[Int, Clips]:
        """The clips of the batch of `step`: their indices into `clips(slicing)`, (B,), and where they lie."""
        slicing = slicing or self.info.slicing
        if batch_size < 1 or step < 0:
            raise UsageError(f"batch_size must be positive and step not negative; got {batch_size} and {step}")
        order = self._orders(slicing, seed, balance_labels)
        chosen, uniform = order.draw(np.arange(step * batch_size, (step + 1) * batch_size))
        return chosen, slicing.starts(self.index(slicing).find(chosen), self._shards.lengths, uniform)

    def batch(
        self,
        step: int,
        batch_size: int,
        seed: int,
        *,
        slicing: Slicing | None = None,
        balance_labels: bool = False,
        rows: slice | NDArray[np.intp] = _ALL,
    ) -> NDArray[np.int16]:
        """The batch of `step`, (B, C, T) int16; divide by 32768. It is a pure function of the arguments.

        Args:
            step: counts batches from 0.
            batch_size: B.
            seed: not negative; another seed gives another order.
            slicing: None takes the dataset's own.
            balance_labels: whether to draw each label equally often, instead of each clip.
            rows: which of the B clips are read and returned. The draw does not depend on it, so processes that share a
                batch, with rows such as `slice(rank, None, world_size)`, together get exactly the whole batch.
        """
        _, clips = self.draw(step, batch_size, seed, slicing=slicing, balance_labels=balance_labels)
        mine = Clips(*(column[rows] for column in clips))
        batch = self.read(mine, (slicing or self.info.slicing).clip_length)
        positions = np.arange(step * batch_size, (step + 1) * batch_size)
        self._shards.ask(self._orders(slicing or self.info.slicing, seed, balance_labels).soon(positions[rows]))
        return batch

    def batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        *,
        slicing: Slicing | None = None,
        balance_labels: bool = False,
        rows: slice = _ALL,
    ) -> Iterator[NDArray[np.int16]]:
        """Endless batches from `start_step` on; see `batch`."""
        step = start_step
        while True:
            yield self.batch(step, batch_size, seed, slicing=slicing, balance_labels=balance_labels, rows=rows)
            step += 1

    def once(self, batch_size: int, slicing: Slicing | None = None) -> Iterator[NDArray[np.int16]]:
        """Every clip once, in file order, for statistics: (B, C, T) int16; the last batch may be smaller."""
        slicing = slicing or self.info.slicing
        index = self.index(slicing)
        for first in range(0, len(index), batch_size):
            numbers = np.arange(first, min(first + batch_size, len(index)))
            yield self.read(index.find(numbers), slicing.clip_length)

    def _order(self, slicing: Slicing, seed: int, balance_labels: bool) -> Order:
        if balance_labels and not self.labels:
            raise UsageError(f"{self.name} has no labels to balance")
        if not isinstance(self.info, ShardedInfo):
            clips = np.arange(self.num_clips(slicing))
            return Balanced(self.clip_labels(slicing), seed) if balance_labels else Shuffled(clips, seed)
        index = self.index(slicing)
        if not balance_labels:
            return Laned(index.counts, self.info.lanes, seed)
        return BalancedLanes(
            index.counts, self.info.lanes, seed, lambda shard: self._shards.labels(index.of_shard(shard).file)
        )
