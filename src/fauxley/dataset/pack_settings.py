"""The settings of a dataset, and the choice of the slicing `auto`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fauxley.dataset.cutting import Cutting
from fauxley.dataset.format import FORMAT_VERSION, MOST_CHANNELS, MOST_VALUES, SAMPLE_RATES, DatasetEntry, DatasetInfo
from fauxley.dataset.slicing import HitSlicing, Slicing
from fauxley.errors import UsageError

Samples = Callable[[int], NDArray[np.int16]]  # number of a file → (num_samples, C)
_ASKED = 1000  # files that `auto` examines, at most
# A file is a one-shot for a clip length if what follows its first clip has less than this share of its energy: 20 dB
# less than the rest, a decay. Few spoken words that are cut in half pass this test, but most drums do.
_TAIL_SHARE = 0.01
_BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True)
class Encoding:
    """The settings that affect the stored samples; see `PackSettings`.

    Attributes:
        cutting: how recordings are cut at their hits; None keeps them whole.
        longest: the most samples in a hit.
    """

    sample_rate: int
    channels: int
    normalize: bool
    cutting: Cutting | None = None
    longest: int = 0


@dataclass(frozen=True)
class PackSettings:
    """Everything that a dataset depends on besides the sounds.

    Attributes:
        sample_rate: in Hz; other files are resampled.
        channels: files with others are mixed down to one channel by the mean, or copied from one to all; files for
            which neither is possible are skipped.
        normalize: scale each file to a peak of 1, except silence, as the official loader does.
        clip_length: samples in a clip, for the default slicing.
        slicing: see `Slicing.mode`. `auto` is `first` if most files are at most 1.5 clips long or, like one-shots, hold
            nearly all their energy in their first clip; otherwise `random`. `onsets` cuts recordings at their hits;
            each hit is at most as long as a clip, and is normalised by itself.
        overlap: see `Slicing.overlap`.
        pad_end: see `Slicing.pad_end`.
        where: see `list_sounds`.
        cutting: how recordings are cut if the slicing is `onsets`.
    """

    sample_rate: int = 16000
    channels: int = 1
    normalize: bool = True
    clip_length: int = 16384
    slicing: Literal["auto", "first", "all", "random", "onsets"] = "auto"
    overlap: float = 0.0
    pad_end: bool = True
    where: tuple[str, ...] = ()
    cutting: Cutting = field(default=Cutting(), repr=False)

    def __post_init__(self) -> None:
        if self.sample_rate not in SAMPLE_RATES:
            raise UsageError(
                f"sample_rate must be from {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz; got {self.sample_rate}"
            )
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise UsageError(f"channels must be from 1 to {MOST_CHANNELS}; got {self.channels}")
        if self.clip_length * self.channels > MOST_VALUES:
            raise UsageError(f"clip_length must be at most {MOST_VALUES // self.channels}; got {self.clip_length}")
        self.resolve()  # checks the rest

    @property
    def encoding(self) -> Encoding:
        if self.slicing != "onsets":
            return Encoding(self.sample_rate, self.channels, self.normalize)
        longest = self.clip_length
        if self.cutting.max_length_seconds is not None:
            longest = min(longest, round(self.cutting.max_length_seconds * self.sample_rate))
        return Encoding(self.sample_rate, self.channels, self.normalize, self.cutting, longest)

    @property
    def made_of(self) -> str:
        """A text that is different for every different dataset of the same sounds."""
        return f"{self!r} {self.cutting!r}" if self.slicing == "onsets" else repr(self)

    def resolve(self, entries: Sequence[DatasetEntry] = (), audio: Samples | None = None) -> Slicing:
        """The slicing for these files. `audio` reads a file by number; None decides by length alone."""
        mode = self.slicing
        if mode == "onsets":
            return HitSlicing(mode, self.clip_length, self.overlap, self.pad_end, self.cutting)
        if mode == "auto":
            short = not entries or float(np.median([e.num_samples for e in entries])) <= 1.5 * self.clip_length
            mode = "first" if short or self._are_one_shots(entries, audio) else "random"
        return Slicing(mode, self.clip_length, self.overlap, self.pad_end)

    def _are_one_shots(self, entries: Sequence[DatasetEntry], audio: Samples | None) -> bool:
        if audio is None:
            return False
        asked = range(0, len(entries), -(-len(entries) // _ASKED))  # spread over the folder
        short = sum(is_one_shot(audio(number), self.clip_length) for number in asked)
        return short > len(asked) / 2

    def describe(self, entries: Sequence[DatasetEntry], audio: Samples | None = None) -> DatasetInfo:
        """The `dataset.json` of a dataset that is made with these settings from these files."""
        return DatasetInfo(
            format_version=FORMAT_VERSION,
            sample_rate=self.sample_rate,
            channels=self.channels,
            normalize=self.normalize,
            where=self.where,
            slicing=self.resolve(entries, audio),
            num_files=len(entries),
            num_samples=sum(entry.num_samples for entry in entries),
            labels=tuple(sorted({entry.label for entry in entries} - {""})),
        )


def is_one_shot(audio: NDArray[np.int16], clip_length: int) -> bool:
    """Whether a packed file (n, C) holds nearly all its energy in its first clip.

    It is read in blocks; of a file that continues to sound, little more than the first clip is read.
    """
    first, rest = 0, 0
    for start in range(0, min(clip_length, len(audio)), _BLOCK_SAMPLES):
        first += _energy(audio[start : min(start + _BLOCK_SAMPLES, clip_length)])
    for start in range(clip_length, len(audio), _BLOCK_SAMPLES):
        rest += _energy(audio[start : start + _BLOCK_SAMPLES])
        if rest > _TAIL_SHARE * (first + rest):  # the tail's share only grows from here
            return False
    return True


def _energy(audio: NDArray[np.int16]) -> int:
    return int(np.square(audio, dtype=np.int64).sum())
