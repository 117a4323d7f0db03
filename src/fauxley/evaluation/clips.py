"""Where clips to be judged come from: a dataset, a model, a folder of sound files.

A source is a fixed, ordered set of clips that can be gone through in batches or asked for single ones. Order is
random but a function of the seed, because the inception score looks at consecutive groups. What a model makes is
rounded to 16 bits as its files are, so that a model and a folder of its sounds get the same figures.

A source may be asked for its clips by another process, on another machine that sees the same files: see `elsewhere`.

Letters: B batch, C channels, T samples.
"""

import dataclasses
import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.slicing import Clips
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.precision import Settled
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import checksum, load_verified
from fauxley.sounds.decode import read_audio
from fauxley.sounds.files import find_audio, quantise
from fauxley.sounds.sources import AudioFileError, printable, probe

_LARGEST_PEAK = 100.0  # times full scale: 40 dB too loud is a mistake of units, not a sound
_NAMED = 5  # files in a warning

Audio = NDArray[np.float32]
Reader = Callable[[], Audio]


class ClipSource(ABC):
    """A fixed, ordered set of clips.

    Attributes:
        title: what it is, for people.
        sample_rate: in Hz.
        clip_length: T.
        passed_over: what of it was not used, and why.
    """

    title: str
    sample_rate: int
    clip_length: int
    passed_over: Sequence[str] = ()

    @abstractmethod
    def __len__(self) -> int:
        """How many clips."""

    @abstractmethod
    def read(self, indices: Sequence[int]) -> Audio:
        """The clips of those indices, (N, T) in [-1, 1], channels mixed by mean."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What a clip is called: a file, a seed."""

    def elsewhere(self, indices: Sequence[int]) -> Reader:
        """What reads the same clips in another process: names rather than sounds, so that little has to be sent."""
        return partial(self.read, indices)


class DatasetClips(ClipSource):
    """`count` clips of a dataset (None: all), drawn without repetition.

    Args:
        clip_length: samples that clips are cut to; None: as the dataset was prepared.
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
        self.dataset = dataset
        clips = dataset.clips(slicing)
        # Where clips begin anywhere in a file, they begin at a place drawn once.
        rng = np.random.default_rng([seed, 1])
        clips = slicing.starts(clips, [entry.num_samples for entry in dataset.entries], rng.random(len(clips.file)))
        order = rng.permutation(len(clips.file))[:count]
        self.clips = Clips(*(column[order] for column in clips))
        self.labels = dataset.clip_labels(slicing)[order]

    def __len__(self) -> int:
        return len(self.clips.file)

    def read(self, indices: Sequence[int]) -> Audio:
        return _cut(self.dataset, self._chosen(indices), self.clip_length)

    def elsewhere(self, indices: Sequence[int]) -> Reader:
        folder, chosen = self.dataset.folder.absolute(), self._chosen(indices)
        return partial(_cut_elsewhere, folder, self._contents, chosen, self.clip_length)

    def _chosen(self, indices: Sequence[int]) -> Clips:
        chosen = np.asarray(indices, np.int64)
        return Clips(*(column[chosen] for column in self.clips))

    @cached_property
    def _contents(self) -> str:
        return _hash(self.dataset)

    def name(self, index: int) -> str:
        return printable(self.dataset.entries[int(self.clips.file[index])].file)


class ModelClips(ClipSource):
    """What a model makes of the seeds from `seed` on.

    Args:
        path: where other processes find the model; without, it is sent to them.
    """

    def __init__(
        self, synthesizer: Synthesizer, title: str, count: int, seed: int = 0, path: Path | None = None
    ) -> None:
        self.title = title
        self.sample_rate = synthesizer.sample_rate
        self.clip_length = synthesizer.architecture.clip_length
        self._synthesizer = synthesizer
        self._count = count
        self._seed = seed
        self._path = path

    def __len__(self) -> int:
        return self._count

    def read(self, indices: Sequence[int]) -> Audio:
        return _make(self._synthesizer, self.title, self._seeds(indices))

    def elsewhere(self, indices: Sequence[int]) -> Reader:
        if self._path is None:
            return super().elsewhere(indices)
        model = self._path.absolute(), self._checksum, self._synthesizer.precision
        return partial(_make_elsewhere, *model, self.title, self._seeds(indices))

    @cached_property
    def _checksum(self) -> str:
        return checksum(self._synthesizer)

    def _seeds(self, indices: Sequence[int]) -> list[int]:
        return [self._seed + int(index) for index in indices]

    def name(self, index: int) -> str:
        return f"seed {self._seed + index}"


class FolderClips(ClipSource):
    """The sounds of a folder, from their beginning, at most `count` of them in an order drawn by `seed`.

    Files that cannot be read or hold NaN, infinity or values beyond 100 times full scale are passed over with a
    warning that names them, and are listed in `passed_over`.

    Args:
        progress: called with 1 after each file that was looked into.

    Raises:
        FauxleyError: there are none that can be read, or they have another sample rate.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        sample_rate: int,
        clip_length: int,
        count: int,
        seed: int = 0,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.title = title
        self.sample_rate = sample_rate
        self.clip_length = clip_length
        found = find_audio(folder).files
        self._folder = folder
        self._files: list[Path] = []
        self.passed_over: list[str] = []
        for index in np.random.default_rng([seed, 1]).permutation(len(found)):
            if len(self._files) == count:
                break
            if reason := self._why_not(found[index]):
                self.passed_over.append(f"{printable(found[index].relative_to(folder))} {reason}")
            else:
                self._files.append(found[index])
            progress(1)
        if self.passed_over:
            warnings.warn(self._complaint(), stacklevel=2)
        if not self._files:
            none = "no sound can be used" if found else "no sounds"
            raise FauxleyError(f"{none} in {printable(folder)}; give a model, a dataset or a folder of sounds")

    def _complaint(self) -> str:
        files = "1 file is" if len(self.passed_over) == 1 else f"{len(self.passed_over)} files are"
        more = len(self.passed_over) - _NAMED
        named = "; ".join(self.passed_over[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
        return f"{printable(self._folder)}: {files} passed over: {named}"

    def _why_not(self, path: Path) -> str:
        """What keeps a file from being judged; "" if nothing does."""
        try:
            rate = probe(path).sample_rate
        except AudioFileError:
            return "cannot be read"
        if rate != self.sample_rate:
            wanted = self.sample_rate
            raise UsageError(
                f"{printable(path)} has {rate} Hz and the data {wanted} Hz; write the sounds at {wanted} Hz "
                f"(fauxley generate --sample-rate {wanted}), or prepare the data with --sample-rate {rate}"
            )
        try:
            clip = read_audio(path, self.sample_rate, 1)
        except AudioFileError:
            return "cannot be read to its end"
        if not np.isfinite(clip).all():
            return "holds NaN or infinity"
        peak = float(np.abs(clip).max(initial=0))
        return f"has a peak of {peak:.3g} times full scale" if peak > _LARGEST_PEAK else ""

    def __len__(self) -> int:
        return len(self._files)

    def read(self, indices: Sequence[int]) -> Audio:
        return _decode([self._files[index] for index in indices], self.sample_rate, self.clip_length)

    def elsewhere(self, indices: Sequence[int]) -> Reader:
        files = [self._files[index].absolute() for index in indices]
        return partial(_decode, files, self.sample_rate, self.clip_length)

    def name(self, index: int) -> str:
        return printable(self._files[index].relative_to(self._folder))


def _cut(dataset: Dataset, clips: Clips, clip_length: int) -> Audio:
    return np.asarray(dataset.read(clips, clip_length).mean(1) / 32768, np.float32)


def _make(synthesizer: Synthesizer, title: str, seeds: Sequence[int]) -> Audio:
    audio = synthesizer.generate(latents=synthesizer.latents(seeds), batch_size=max(1, len(seeds)))
    if not torch.isfinite(audio).all():
        raise FauxleyError(f"{title} makes numbers that are not finite; it is damaged")
    return np.asarray(quantise(audio.numpy().astype(np.float64)).mean(1) / 32768, np.float32)


def _decode(files: Sequence[Path], sample_rate: int, clip_length: int) -> Audio:
    clips = np.zeros((len(files), clip_length), np.float32)
    for row, file in zip(clips, files, strict=True):
        audio = read_audio(file, sample_rate, 1, longest=clip_length)[0]
        row[: len(audio)] = audio
    return clips


def _cut_elsewhere(folder: Path, contents: str, clips: Clips, clip_length: int) -> Audio:
    return _cut(_open(folder, contents), clips, clip_length)


@lru_cache(maxsize=2)  # training and test data
def _open(folder: Path, contents: str) -> Dataset:
    dataset = Dataset.open(folder)
    if _hash(dataset) != contents:
        raise FauxleyError(f"{printable(folder)} is another dataset on a worker; all machines must see the same")
    return dataset


def _make_elsewhere(model: Path, sha256: str, precision: Settled, title: str, seeds: Sequence[int]) -> Audio:
    return _make(load_verified(model, sha256).to(precision=precision), title, seeds)


def _hash(dataset: Dataset) -> str:
    return hashlib.sha256(repr(dataset.contents()).encode(errors="surrogateescape")).hexdigest()
