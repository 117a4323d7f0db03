"""Folders of sound files as sources of clips to be judged, and opening whatever a path means as such a source.

Letters: N clips, C channels, T samples.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import INFO_FILE
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.evaluation.clips import Audio, ClipSource, DatasetClips, ModelClips, OriginalClip, Reader
from fauxley.models.synthesizer import Synthesizer
from fauxley.runs import names_model
from fauxley.sounds.catalogue import list_sounds
from fauxley.sounds.finding import find_audio
from fauxley.sounds.reading import AudioFileError, probe, read_audio
from fauxley.sounds.sidecars import facts_beside

_LARGEST_PEAK = 100.0  # times full scale: sounds 40 dB too loud are a mistake of units
_NAMED = 5  # files in a warning
_LOOKED_INTO = 20  # sidecars read to find out how a folder's sounds were chosen
_PROBED = 100  # files opened to find out how long a folder's sounds are


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
        label = facts_beside(file).get("label")
        return label if isinstance(label, str) and label else (file.relative_to(self.path).parts[:-1] or ("",))[0]

    @property
    def chosen(self) -> str:
        return next(filter(None, (_how_chosen(facts_beside(file)) for file in self._files[:_LOOKED_INTO])), "")

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


def _how_chosen(facts: Mapping[str, Any]) -> str:
    """How a sound or its latent was chosen from others, in words; "" if it was not."""
    said = {name: facts[name] for name in ("keep", "pick", "from", "truncation", "knobs") if name in facts}
    return ", ".join(f"{name} {str(value)[:100]}" for name, value in said.items())


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
