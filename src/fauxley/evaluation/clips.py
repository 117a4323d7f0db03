"""Sources of clips to be judged, by figures or by listeners: a dataset, a model, or a folder of sound files.

A source is a fixed, ordered set of clips. Its order is random but determined by the seed, because the inception score
looks at consecutive groups. Clips can be read in two ways:

- `read`, for figures: mono, at the source's sample rate and length. A model's sounds are rounded to 16 bits like its
  files, so that a model and a folder of its sounds get the same figures.
- `originals`, for listeners: each clip with its own channels, rate and length, its label and its origin.

Another process, on any machine that sees the same files, can read clips by the function that `portable_reader` returns.

Letters: N clips, C channels, T samples.
"""

import dataclasses
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import INFO_FILE
from fauxley.dataset.slicing import Clips
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.models.precision import Settled
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import checksum, load_verified
from fauxley.runs import names_model
from fauxley.serialization import parse_json, read_file
from fauxley.sounds.catalogue import list_sounds
from fauxley.sounds.finding import find_audio
from fauxley.sounds.reading import AudioFileError, Float, probe, read_audio
from fauxley.sounds.writing import quantise

_LARGEST_PEAK = 100.0  # times full scale: sounds 40 dB too loud are a mistake of units
_LARGEST_SIDECAR = 1 << 20  # bytes
_NAMED = 5  # files in a warning
_LOOKED_INTO = 20  # sidecars read to find out how a folder's sounds were chosen
_PROBED = 100  # files opened to find out how long a folder's sounds are
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


class _Files(ClipSource):
    """Files of a folder, decoded when they are needed."""

    path: Path

    def __init__(
        self,
        ordered: Iterable[Path],
        count: int,
        reason_against: Callable[[Path], str],
        progress: Callable[[int], None],
    ) -> None:
        """Take the first `count` files against which there is no reason."""
        self._files: list[Path] = []
        self.passed_over: list[str] = []
        for file in ordered:
            if len(self._files) == count:
                break
            if reason := reason_against(file):
                self.passed_over.append(f"{printable(file.relative_to(self.path))} {reason}")
            else:
                self._files.append(file)
            progress(1)

    def __len__(self) -> int:
        return len(self._files)

    def read(self, indices: Sequence[int]) -> Audio:
        return _decode([self._files[index] for index in indices], self.sample_rate, self.clip_length)

    def portable_reader(self, indices: Sequence[int]) -> Reader:
        files = [self._files[index].absolute() for index in indices]
        return partial(_decode, files, self.sample_rate, self.clip_length)

    def name(self, index: int) -> str:
        return printable(self._files[index].relative_to(self.path))


class FolderClips(_Files):
    """The sounds of a folder, from their beginning, in an order drawn by `seed`; all must have one sample rate.

    Files that cannot be read, or that hold NaN, infinity or values beyond 100 times full scale, are skipped with a
    warning that names them, and are listed in `passed_over`.

    Args:
        count: the most clips to take.
        progress: called with 1 after each file that was examined.

    Raises:
        FauxleyError: none of the files can be read.
        UsageError: the files have another sample rate.
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
        self.path = folder
        found = find_audio(folder).files
        order = np.random.default_rng([seed, 1]).permutation(len(found))
        super().__init__((found[index] for index in order), count, self._reason_against, progress)
        if self.passed_over:
            warnings.warn(self._complaint(), stacklevel=2)
        if not self._files:
            none = "no sound can be used" if found else "no sounds"
            raise FauxleyError(f"{none} in {printable(folder)}; give a model, a dataset or a folder of sounds")

    def label(self, index: int) -> str:
        """The label in the sound's sidecar, or otherwise the name of its sub-folder."""
        file = self._files[index]
        label = _facts(file).get("label")
        return label if isinstance(label, str) and label else (file.relative_to(self.path).parts[:-1] or ("",))[0]

    @property
    def chosen(self) -> str:
        return next(filter(None, (_how_chosen(_facts(file)) for file in self._files[:_LOOKED_INTO])), "")

    def _complaint(self) -> str:
        files = "1 file is" if len(self.passed_over) == 1 else f"{len(self.passed_over)} files are"
        more = len(self.passed_over) - _NAMED
        named = "; ".join(self.passed_over[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
        return f"{printable(self.path)}: {files} skipped: {named}"

    def _reason_against(self, path: Path) -> str:
        """Why a file cannot be judged; "" if it can."""
        try:
            rate = probe(path).sample_rate
        except AudioFileError:
            return "cannot be read"
        if rate != self.sample_rate:
            wanted = self.sample_rate
            raise UsageError(
                f"{printable(path)} has {rate} Hz and the data {wanted} Hz; write the sounds at {wanted} Hz, "
                f"or prepare the data at {rate} Hz"
            )
        try:
            clip = read_audio(path, self.sample_rate, 1)
        except AudioFileError:
            return "cannot be read to its end"
        if not np.isfinite(clip).all():
            return "holds NaN or infinity"
        peak = float(np.abs(clip).max(initial=0))
        return f"has a peak of {peak:.3g} times full scale" if peak > _LARGEST_PEAK else ""


class MixedFolderClips(_Files):
    """The sounds of a folder, each at its own rate, channels and length, with its label in the folder.

    Files that cannot be decoded are skipped and listed in `passed_over`. The source's rate and channels are those of
    the first file, its length is that of the longest among the first hundred.

    Args:
        count: the most clips to take.

    Raises:
        FauxleyError: none of the files can be used.
    """

    def __init__(self, folder: Path, title: str, count: int, seed: int = 0) -> None:
        self.title = title
        self.path = folder
        sounds = list_sounds(folder).sounds
        headers = []
        for sound in sounds[:_PROBED]:
            with suppress(AudioFileError):
                headers.append(probe(folder / sound.file))
        if not headers:
            raise FauxleyError(f"no sound in {printable(folder)} can be used; 'fauxley scan' says why")
        self.sample_rate = headers[0].sample_rate
        self.channels = headers[0].channels
        seconds = max(header.num_samples / header.sample_rate for header in headers)
        self.clip_length = round(seconds * self.sample_rate)
        self.labels = tuple(sorted({sound.label for sound in sounds} - {""}))
        self._sounds = {folder / sound.file: sound for sound in sounds}
        order = np.random.default_rng(seed).permutation(len(sounds))
        ordered = (folder / sounds[index].file for index in order)
        super().__init__(ordered, count, _reason_against_decoding, lambda done: None)

    def originals(self) -> Iterator[OriginalClip]:
        for file in self._files:
            sound = self._sounds[file]
            yield OriginalClip(read_audio(file), probe(file).sample_rate, sound.label, sound.file)


def open_clips(path: Path, count: int, seed: int = 0) -> ClipSource:
    """Open at most `count` clips of a dataset, a model or run, or a folder of sound files, whichever `path` is.

    Raises:
        FauxleyError: it is none of these, or damaged.
    """
    title = printable(path.name)
    source: ClipSource
    if (path / INFO_FILE).is_file():
        source = DatasetClips(Dataset.open(path), title, count, seed)
    elif names_model(path) or (path / "config.json").is_file() or (path / "checkpoints").is_dir():
        # A model's clips have consecutive seeds; sets drawn with different seeds must not share any.
        source = ModelClips(Synthesizer.from_pretrained(path), title, count, seed << 20)
    else:
        source = MixedFolderClips(path, title, count, seed)
    source.path = path
    return source


def _facts(file: Path) -> dict[str, Any]:
    """The content of a sound's sidecar, written by 'fauxley generate'; empty if there is none that can be read."""
    sidecar = file.with_suffix(".json")
    if not sidecar.is_file():
        return {}
    try:
        facts = parse_json(read_file(sidecar, _LARGEST_SIDECAR))
    except FauxleyError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _how_chosen(facts: Mapping[str, Any]) -> str:
    """How a sound or its latent was chosen from others, in words; "" if it was not."""
    said = {name: facts[name] for name in ("keep", "pick", "from", "truncation", "knobs") if name in facts}
    return ", ".join(f"{name} {str(value)[:100]}" for name, value in said.items())


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


def _reason_against_decoding(file: Path) -> str:
    try:
        read_audio(file)
    except AudioFileError:
        return "cannot be read"
    return ""


def _decode(files: Sequence[Path], sample_rate: int, clip_length: int) -> Audio:
    clips = np.zeros((len(files), clip_length), np.float32)
    for row, file in zip(clips, files, strict=True):
        audio = read_audio(file, sample_rate, 1, longest=clip_length)[0]
        row[: len(audio)] = audio
    return clips


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
