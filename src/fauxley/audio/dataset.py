"""Endless batches from a prepared folder of sounds, memory-mapped, in an order that is a function of (seed, step).

Letters: B clips in a batch, N clips in all, C channels, T samples in a clip.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fauxley.audio.files import Skipped
from fauxley.audio.order import Balanced, Order, Shuffled
from fauxley.audio.slicing import Clips, Int, Slicing
from fauxley.audio.sources import Float, printable
from fauxley.audio.store import DatasetInfo, Entry, read_skipped, read_store
from fauxley.errors import FauxleyError, UsageError


class Dataset:
    """A prepared folder, open for reading; made by `fauxley.audio.packing.pack`, opened by `Dataset.open`."""

    def __init__(self, folder: Path, info: DatasetInfo, entries: tuple[Entry, ...], audio: NDArray[np.int16]) -> None:
        self.folder = folder
        self.info = info
        self.entries = entries
        self._audio = audio  # (num_samples, C), memory-mapped
        self._offsets: Int = np.array([entry.offset for entry in entries], np.int64)
        self._lengths: Int = np.array([entry.num_samples for entry in entries], np.int64)
        places = {label: index for index, label in enumerate(info.labels)}
        self._labels: Int = np.array([places.get(entry.label, -1) for entry in entries], np.int64)
        # Each trainer asks again and again for the same few.
        self._clips = lru_cache(maxsize=8)(lambda slicing: slicing.clips(self._lengths))
        self._orders = lru_cache(maxsize=8)(self._order)

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Open a dataset folder.

        Raises:
            FauxleyError: missing, not a dataset, of a newer format, incomplete or inconsistent.
        """
        folder = Path(folder)
        info, entries, audio = read_store(folder)
        return cls(folder, info, entries, audio)

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.info.sample_rate

    @property
    def channels(self) -> int:
        return self.info.channels

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels, sorted; empty if the sounds have none."""
        return self.info.labels

    @property
    def duration_seconds(self) -> float:
        """Of all files together."""
        return self.info.num_samples / self.info.sample_rate

    def only(self, files: Sequence[int]) -> "Dataset":
        """As if the folder held the files of these indices only."""
        entries = tuple(self.entries[file] for file in files)
        samples = sum(entry.num_samples for entry in entries)
        info = dataclasses.replace(self.info, num_files=len(entries), num_samples=samples)
        return Dataset(self.folder, info, entries, self._audio)

    def skipped(self) -> list[Skipped]:
        """What was not used, and why."""
        return read_skipped(self.folder)

    def audio(self, file: int) -> Float:
        """The whole of the file of that index, `(C, num_samples)` float32 in [-1, 1]."""
        start = self._offsets[file]
        return self._audio[start : start + self._lengths[file]].T.astype(np.float32) / np.float32(32768)

    def clips(self, slicing: Slicing | None = None) -> Clips:
        """The clips that a slicing (None: the dataset's own) gives, in file order.

        Raises:
            FauxleyError: there are none: without padding, every file is shorter than a clip.
        """
        clips: Clips = self._clips(slicing or self.info.slicing)
        if not len(clips.file):
            raise FauxleyError(
                f"no file of {printable(self.folder)} is as long as a clip; use pad_end or shorter clips"
            )
        return clips

    def num_clips(self, slicing: Slicing | None = None) -> int:
        return len(self.clips(slicing).file)

    def clip_labels(self, slicing: Slicing | None = None) -> Int:
        """`(N,)` index into `labels` of each clip; -1 where it has none."""
        return self._labels[self.clips(slicing).file]

    def read(self, clips: Clips, clip_length: int) -> NDArray[np.int16]:
        """Cut the given clips: `(N, C, T)` int16, zeros after the end."""
        batch = np.zeros((len(clips.file), self.channels, clip_length), np.int16)
        starts = (self._offsets[clips.file] + clips.start).tolist()
        for row, start, length in zip(batch, starts, clips.num_samples.tolist(), strict=True):
            row[:, :length] = self._audio[start : start + length].T
        return batch

    def draw(
        self, step: int, batch_size: int, seed: int, *, slicing: Slicing | None = None, balance_labels: bool = False
    ) -> tuple[Int, Clips]:
        """Which clips make up the batch of `step`: their indices into `clips(slicing)`, `(B,)`, and where they lie."""
        slicing = slicing or self.info.slicing
        if batch_size < 1 or step < 0:
            raise UsageError(f"batch_size must be positive and step not negative; got {batch_size} and {step}")
        order = self._orders(slicing, seed, balance_labels)
        chosen, uniform = order.draw(np.arange(step * batch_size, (step + 1) * batch_size))
        clips = Clips(*(column[chosen] for column in self.clips(slicing)))
        return chosen, slicing.starts(clips, self._lengths, uniform)

    def batch(
        self, step: int, batch_size: int, seed: int, *, slicing: Slicing | None = None, balance_labels: bool = False
    ) -> NDArray[np.int16]:
        """The batch of `step`, `(B, C, T)` int16; divide by 32768. A pure function of its arguments.

        Args:
            step: counts batches from 0.
            batch_size: B.
            seed: not negative; another seed is another order.
            slicing: None takes the dataset's own.
            balance_labels: draw each label equally often instead of each clip.
        """
        _, clips = self.draw(step, batch_size, seed, slicing=slicing, balance_labels=balance_labels)
        return self.read(clips, (slicing or self.info.slicing).clip_length)

    def batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        *,
        slicing: Slicing | None = None,
        balance_labels: bool = False,
    ) -> Iterator[NDArray[np.int16]]:
        """Endless batches from `start_step` on; see `batch`."""
        step = start_step
        while True:
            yield self.batch(step, batch_size, seed, slicing=slicing, balance_labels=balance_labels)
            step += 1

    def once(self, batch_size: int, slicing: Slicing | None = None) -> Iterator[NDArray[np.int16]]:
        """Every clip once, in file order, `(B, C, T)` int16; the last batch may be smaller. For statistics."""
        slicing = slicing or self.info.slicing
        clips = self.clips(slicing)
        for first in range(0, len(clips.file), batch_size):
            part = Clips(*(column[first : first + batch_size] for column in clips))
            yield self.read(part, slicing.clip_length)

    def _order(self, slicing: Slicing, seed: int, balance_labels: bool) -> Order:
        if not balance_labels:
            return Shuffled(np.arange(self.num_clips(slicing)), seed)
        if not self.labels:
            raise UsageError(f"{printable(self.folder)} has no labels to balance")
        return Balanced(self.clip_labels(slicing), seed)
