"""A folder of sounds to listen through: what there is, how it sounds in numbers, and copies of what is kept.

Files are measured in a thread, in their order, while the page is open already; the folder itself is only read.
"""

import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fauxley.errors import UsageError, printable
from fauxley.signal.cleaning import loudness
from fauxley.signal.mel import mel_matrix
from fauxley.sounds.finding import find_audio
from fauxley.sounds.reading import AudioFileError
from fauxley.sounds.sidecars import facts_beside
from fauxley.storage import atomic_file, check_folder_place
from fauxley.studio.instruments import Float
from fauxley.studio.recordings import decode

_MOST_FILES = 5000
_WINDOW = 2048
_BANDS, _TIMES = 12, 4
_FLOOR = -80.0  # dB


@dataclass(frozen=True)
class Heard:
    """A file of the folder.

    Attributes:
        id: its place.
        file: its name, relative to the folder.
        label: the folder that it lies in, or the word its name begins with.
        seconds: its length, 0 until it has been measured.
        loudness: in LKFS.
        likeness: numbers that are near to one another for sounds alike: band levels in dB, then how it dies away.
        problem: why it cannot be heard, or "".
    """

    id: int
    file: str
    label: str
    seconds: float = 0.0
    loudness: float = _FLOOR
    likeness: tuple[float, ...] = ()
    problem: str = ""


class Audition:
    """The sounds of a folder, in the order of their names.

    Args:
        folder: of sound files.
        kept: where copies of the keepers go.

    Raises:
        UsageError: no folder, or no sounds in it.
    """

    def __init__(self, folder: Path, kept: Path) -> None:
        check_folder_place(kept)
        found = find_audio(folder).files[:_MOST_FILES]
        if not found:
            raise UsageError(f"{printable(folder)} holds neither a model nor sounds")
        self.folder, self.kept = folder, kept
        self._paths = found
        self._heard = [
            Heard(place, path.relative_to(folder).as_posix(), _label_of(path, folder))
            for place, path in enumerate(found)
        ]
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._measure_all, name="fauxley-studio-audition", daemon=True)
        self._thread.start()

    def sounds(self) -> list[Heard]:
        """All files, as far as they have been measured."""
        return list(self._heard)

    def load(self, place: int) -> tuple[Float, int, dict[str, Any]]:
        """The audio of a file (C, T), its sample rate, and what is said beside it.

        Raises:
            IndexError: there is no such file.
            AudioFileError: it cannot be read.
        """
        path = self._paths[place]
        audio, rate, _ = decode(path, None, None)
        return audio, rate, facts_beside(path)

    def keep(self, places: list[int]) -> int:
        """Copy files, and what lies beside them, to the folder of keepers; how many were not there yet.

        Raises:
            IndexError: there is no such file.
            OSError: no permission, no room.
        """
        copied = 0
        for path in [self._paths[place] for place in places]:
            target = self.kept / path.relative_to(self.folder)
            copied += not target.exists()
            for source in (path, path.with_suffix(".json")):
                copy = target.with_suffix(source.suffix)
                if source.is_file() and not copy.exists():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    with atomic_file(copy, durable=False) as partial:
                        shutil.copyfile(source, partial)
        return copied

    def close(self) -> None:
        """Stop measuring."""
        self._closed.set()
        self._thread.join()

    def _measure_all(self) -> None:
        for place, heard in enumerate(self._heard):
            if self._closed.is_set():
                return
            try:
                audio, rate, _ = decode(self._paths[place], None, None)
            except AudioFileError as error:
                self._heard[place] = replace(heard, problem=error.reason)
            except OSError as error:
                self._heard[place] = replace(heard, problem=error.strerror or "cannot be read")
            else:
                self._heard[place] = replace(
                    heard,
                    seconds=audio.shape[1] / rate,
                    loudness=max(_FLOOR, loudness(audio, rate)),
                    likeness=likeness(audio, rate),
                )


def likeness(audio: Float, sample_rate: int) -> tuple[float, ...]:
    """Levels of 12 mel bands in 4 stretches of time, in dB below the loudest, then the length in twelfths of octaves.

    Of audio (C, T). Distances between these say which sounds an ear would put side by side, roughly.
    """
    mono = audio.mean(axis=0)
    padded = np.pad(mono, (0, max(0, _WINDOW - len(mono))))
    starts = np.linspace(0, len(padded) - _WINDOW, 4 * _TIMES).astype(int)
    frames = np.stack([padded[start : start + _WINDOW] for start in starts]) * np.hanning(_WINDOW)
    power = np.square(np.abs(np.fft.rfft(frames)))
    bands = power @ mel_matrix(_WINDOW // 2 + 1, sample_rate, _BANDS, low=0.0, high=min(16_000, sample_rate / 2))
    pooled = bands.reshape(_TIMES, 4, _BANDS).mean(axis=1)
    decibels = 10 * np.log10(np.maximum(pooled / max(pooled.max(), 1e-12), 10 ** (_FLOOR / 10)))
    octaves = 12 * np.log2(max(len(mono), 1) / sample_rate + 0.01)
    return tuple(round(float(value), 1) for value in (*decibels.ravel(), octaves))


def _label_of(path: Path, folder: Path) -> str:
    inside = path.relative_to(folder)
    if len(inside.parts) > 1:
        return inside.parts[0]
    word = inside.stem.partition("-")[0]
    return "" if word == inside.stem or not word.isalpha() else word
