"""Sources of clips to be judged, by figures or by listeners: a dataset or a model (folders: see `folder_clips`).

A source is a fixed, ordered set of clips. Its order is random but determined by the seed, because the inception score
looks at consecutive groups. Clips can be read in two ways:

- `read`, for figures: mono, at the source's sample rate and length. A model's sounds are rounded to 16 bits like its
  files, so that a model and a folder of its sounds get the same figures.
- `originals`, for listeners: each clip with its own channels, rate and length, its label and its origin.

Another process, on any machine that sees the same files, can read clips by the function that `portable_reader` returns.

Letters: N clips, C channels, T samples.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.slicing import Clips
from fauxley.errors import FauxleyError, printable
from fauxley.models.precision import Settled
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import checksum, load_verified
from fauxley.sounds.reading import Float
from fauxley.sounds.writing import quantise

_MADE_AT_ONCE = 32  # clips of a model

Audio = NDArray[np.float32]
Reader = Callable[[], Audio]


class OriginalClip(NamedTuple):
    """A clip (C, T) as its source has it, its rate in Hz, its intended label ("" if unknown), and its origin."""

    audio: Float
    sample_rate: int
    label: str
    origin: str


class ClipSource(ABC):
    """A fixed, ordered set of clips.

    Attributes:
        title: the source's name for people.
        sample_rate: in Hz.
        clip_length: T.
        channels: C of the originals.
        labels: the labels that occur in the source; empty if it has none.
        path: its file or folder, if known.
        passed_over: the files that are not used, each with the reason.
    """

    title: str
    sample_rate: int
    clip_length: int
    channels: int = 1
    labels: tuple[str, ...] = ()
    path: Path | None = None
    passed_over: Sequence[str] = ()

    @property
    def chosen(self) -> str:
        """How the clips were chosen from more that a model made, in words; "" if they were not chosen."""
        return ""

    @abstractmethod
    def __len__(self) -> int:
        """The number of clips."""

    @abstractmethod
    def read(self, indices: Sequence[int]) -> Audio:
        """Read clips by index: (N, T) in [-1, 1], channels averaged."""

    @abstractmethod
    def name(self, index: int) -> str:
        """The name of a clip: its file or its seed."""

    def label(self, index: int) -> str:
        """The label that a clip has, or that a model was asked for; "" if it is unknown."""
        return ""

    def originals(self) -> Iterator[OriginalClip]:
        """All clips, in order, as the source has them."""
        for index in range(len(self)):
            yield OriginalClip(self.read([index]), self.sample_rate, self.label(index), self.name(index))

    def portable_reader(self, indices: Sequence[int]) -> Reader:
        """A function that reads the same clips in another process. It holds names, not sounds, so it is small."""
        return partial(self.read, indices)


class DatasetClips(ClipSource):
    """Clips of a dataset, drawn without repetition.

    Args:
        count: the number of clips; None for all.
        clip_length: samples in a clip; None for the dataset's own.

    Attributes:
        label_numbers: index of each clip's label in `labels`, or -1, (N,).
    """

    def __init__(
        self, dataset: Dataset, title: str, count: int | None = None, seed: int = 0, clip_length: int | None = None
    ) -> None:
        slicing = dataset.info.slicing
        if clip_length is not None:
            slicing = dataclasses.replace(slicing, clip_length=clip_length)
        self.title = title
        self.sample_rate = dataset.sample_rate
        self.clip_length = slicing.clip_length
        self.channels = dataset.channels
        self.labels = dataset.labels
        self.dataset = dataset
        clips = dataset.clips(slicing)
        # If clips may begin anywhere in a file, a place is drawn once for each.
        rng = np.random.default_rng([seed, 1])
        clips = slicing.starts(clips, [entry.num_samples for entry in dataset.entries], rng.random(len(clips.file)))
        order = rng.permutation(len(clips.file))[:count]
        self.clips = Clips(*(column[order] for column in clips))
        self.label_numbers = dataset.clip_labels(slicing)[order]

    def __len__(self) -> int:
        return len(self.clips.file)

    def read(self, indices: Sequence[int]) -> Audio:
        return _cut(self.dataset, self._chosen(indices), self.clip_length)

    def originals(self) -> Iterator[OriginalClip]:
        for index, file in enumerate(self.clips.file.tolist()):
            audio = self.dataset.read(self._chosen([index]), self.clip_length)[0].astype(np.float32) / 32768
            entry = self.dataset.entries[file]
            yield OriginalClip(audio, self.sample_rate, entry.label, entry.file)

    def portable_reader(self, indices: Sequence[int]) -> Reader:
        folder, chosen = self.dataset.folder.absolute(), self._chosen(indices)
        return partial(_cut_in_worker, folder, self._contents, chosen, self.clip_length)

    def _chosen(self, indices: Sequence[int]) -> Clips:
        chosen = np.asarray(indices, np.int64)
        return Clips(*(column[chosen] for column in self.clips))

    @cached_property
    def _contents(self) -> str:
        return self.dataset.fingerprint()

    def name(self, index: int) -> str:
        return printable(self.dataset.entries[int(self.clips.file[index])].file)

    def label(self, index: int) -> str:
        number = int(self.label_numbers[index])
        return self.labels[number] if number >= 0 else ""


class ModelClips(ClipSource):
    """Sounds of a model, of the seeds from `seed` on; a conditional model takes all its labels in turn.

    Args:
        path: a folder in which other processes find the model; None: the model itself is sent to them.
    """

    def __init__(
        self, synthesizer: Synthesizer, title: str, count: int, seed: int = 0, path: Path | None = None
    ) -> None:
        self.title = title
        self.sample_rate = synthesizer.sample_rate
        self.clip_length = synthesizer.architecture.clip_length
        self.channels = synthesizer.architecture.channels
        self.path = path
        self.labels = synthesizer.labels
        self._synthesizer = synthesizer
        self._count = count
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def read(self, indices: Sequence[int]) -> Audio:
        return _generate_mono(self._synthesizer, self.title, self._seeds(indices))

    def originals(self) -> Iterator[OriginalClip]:
        for start in range(0, len(self), _MADE_AT_ONCE):
            indices = range(start, min(start + _MADE_AT_ONCE, len(self)))
            made = _generate(self._synthesizer, self.title, self._seeds(indices))
            for index, audio in zip(indices, made, strict=True):
                yield OriginalClip(audio, self.sample_rate, self.label(index), self.name(index))

    def portable_reader(self, indices: Sequence[int]) -> Reader:
        if self.path is None:
            return super().portable_reader(indices)
        model = self.path.absolute(), self._checksum, self._synthesizer.precision
        return partial(_generate_in_worker, *model, self.title, self._seeds(indices))

    @cached_property
    def _checksum(self) -> str:
        return checksum(self._synthesizer)

    def _seeds(self, indices: Sequence[int]) -> list[int]:
        return [self._seed + int(index) for index in indices]

    def name(self, index: int) -> str:
        return " ".join(filter(None, (self.label(index), f"seed {self._seed + index}")))

    def label(self, index: int) -> str:
        return self.labels[(self._seed + index) % len(self.labels)] if self.labels else ""


def _cut(dataset: Dataset, clips: Clips, clip_length: int) -> Audio:
    return np.asarray(dataset.read(clips, clip_length).mean(1) / 32768, np.float32)


def _generate(synthesizer: Synthesizer, title: str, seeds: Sequence[int]) -> Audio:
    """Generate the clips of these seeds: (N, C, T)."""
    labels = [synthesizer.labels[seed % len(synthesizer.labels)] for seed in seeds] if synthesizer.labels else None
    latents = synthesizer.latents(seeds)
    audio = synthesizer.generate(latents=latents, labels=labels, batch_size=max(1, len(seeds)))
    if not torch.isfinite(audio).all():
        raise FauxleyError(f"{title} makes numbers that are not finite; it is damaged")
    return np.asarray(audio.numpy())


def _generate_mono(synthesizer: Synthesizer, title: str, seeds: Sequence[int]) -> Audio:
    """Generate clips, rounded to 16 bits and averaged over channels: (N, T)."""
    audio = _generate(synthesizer, title, seeds).astype(np.float64)
    return np.asarray(quantise(audio).mean(1) / 32768, np.float32)


def _cut_in_worker(folder: Path, contents: str, clips: Clips, clip_length: int) -> Audio:
    return _cut(_open(folder, contents), clips, clip_length)


@lru_cache(maxsize=2)  # training and test data
def _open(folder: Path, contents: str) -> Dataset:
    dataset = Dataset.open(folder)
    if dataset.fingerprint() != contents:
        raise FauxleyError(f"{printable(folder)} is another dataset on a worker; all machines must see the same")
    return dataset


def _generate_in_worker(model: Path, sha256: str, precision: Settled, title: str, seeds: Sequence[int]) -> Audio:
    return _generate_mono(load_verified(model, sha256).to(precision=precision), title, seeds)
