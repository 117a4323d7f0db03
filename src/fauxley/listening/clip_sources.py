"""Where a study's sounds come from, and one way to draw them: `draw(count, seed)`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.slicing import Clips
from fauxley.dataset.store import INFO_FILE
from fauxley.errors import FauxleyError
from fauxley.models.synthesizer import Synthesizer
from fauxley.sounds.catalogue import list_sounds
from fauxley.sounds.decode import read_audio
from fauxley.sounds.sources import AudioFileError, Float, SourceInfo, printable, probe

_BATCH_SIZE = 32
_PROBED = 100


class Drawn(NamedTuple):
    """A clip (C, T) with its rate in Hz, the label it is meant to have ("" if unknown) and where it is from."""

    audio: Float
    sample_rate: int
    label: str
    origin: str


class ClipSource(Protocol):
    """Sounds to draw from.

    Attributes:
        path: where they are.
        labels: that occur in it; empty if it has none.
        sample_rate: in Hz; of a folder, that of its first file.
        channels: as above.
        seconds: length of its clips; of a folder, of the longest among its first hundred files.
    """

    path: Path
    labels: tuple[str, ...]
    sample_rate: int
    channels: int
    seconds: float

    def draw(self, count: int, seed: int) -> Iterator[Drawn]:
        """At most `count` different clips, in an order that the seed decides."""
        ...


@dataclass
class ModelClips:
    """New sounds of a model. An unconditional model cannot say what its sounds are meant to be."""

    path: Path
    synthesizer: Synthesizer

    def __post_init__(self) -> None:
        architecture = self.synthesizer.architecture
        self.labels: tuple[str, ...] = ()
        self.sample_rate = self.synthesizer.sample_rate
        self.channels = architecture.channels
        self.seconds = architecture.clip_length / self.sample_rate

    def draw(self, count: int, seed: int) -> Iterator[Drawn]:
        first = seed << 20  # seeds of sounds follow one another, so two studies must not share any
        for start in range(0, count, _BATCH_SIZE):
            seeds = range(first + start, first + min(start + _BATCH_SIZE, count))
            clips = self.synthesizer.generate(latents=self.synthesizer.latents(seeds)).numpy()
            for each, clip in zip(seeds, clips, strict=True):
                yield Drawn(clip, self.sample_rate, "", f"seed {each}")


@dataclass
class DatasetClips:
    """Clips of a prepared dataset."""

    path: Path
    dataset: Dataset

    def __post_init__(self) -> None:
        self.labels = self.dataset.labels
        self.sample_rate = self.dataset.sample_rate
        self.channels = self.dataset.channels
        self.seconds = self.dataset.info.slicing.clip_length / self.sample_rate

    def draw(self, count: int, seed: int) -> Iterator[Drawn]:
        total = self.dataset.num_clips()
        length = self.dataset.info.slicing.clip_length
        _, clips = self.dataset.draw(0, min(count, total), seed)
        for place, file in enumerate(clips.file.tolist()):
            audio = self.dataset.read(Clips(*(column[place : place + 1] for column in clips)), length)[0]
            entry = self.dataset.entries[file]
            yield Drawn(audio.astype(np.float32) / 32768, self.sample_rate, entry.label, entry.file)


@dataclass
class FolderClips:
    """Sound files: another system's output, or recordings. Files that cannot be decoded are passed over."""

    path: Path

    def __post_init__(self) -> None:
        self._sounds = list_sounds(self.path).sounds
        infos = [info for sound in self._sounds[:_PROBED] if (info := _header(self.path / sound.file))]
        if not infos:
            raise FauxleyError(f"no sound in {printable(self.path)} can be used; 'fauxley scan' says why")
        self.labels = tuple(sorted({sound.label for sound in self._sounds} - {""}))
        self.sample_rate = infos[0].sample_rate
        self.channels = infos[0].channels
        self.seconds = max(info.num_samples / info.sample_rate for info in infos)

    def draw(self, count: int, seed: int) -> Iterator[Drawn]:
        left = count
        for place in np.random.default_rng(seed).permutation(len(self._sounds)).tolist():
            sound = self._sounds[place]
            try:
                info = probe(self.path / sound.file)
                audio = read_audio(self.path / sound.file)
            except AudioFileError:
                continue
            yield Drawn(audio, info.sample_rate, sound.label, sound.file)
            left -= 1
            if not left:
                return


def _header(path: Path) -> SourceInfo | None:
    try:
        return probe(path)
    except AudioFileError:
        return None


def open_clips(path: Path) -> ClipSource:
    """A dataset, a model or run, or a folder of sound files, whichever `path` is.

    Raises:
        FauxleyError: it is none of them, or damaged.
    """
    if (path / INFO_FILE).is_file():
        return DatasetClips(path, Dataset.open(path))
    if (path / "config.json").is_file() or (path / "checkpoints").is_dir():
        return ModelClips(path, Synthesizer.from_pretrained(path))
    return FolderClips(path)
