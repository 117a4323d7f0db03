"""Recordings that were dropped on the page: decoded apart, bounded in size, length and time, kept for a while.

A dropped file is a stranger's. It is decoded as all audio is, in the decoder process (`fauxley.sounds.reading`), and
given up where it turns out too long or takes too long. Its bytes lie on the disk only for that long, under a name of
ours.
"""

import re
import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fauxley.errors import FauxleyError, printable
from fauxley.sounds.finding import AUDIO_SUFFIXES
from fauxley.sounds.measurements import Levels
from fauxley.sounds.reading import AudioFile, AudioFileError, check_channels, convert_blocks, open_audio
from fauxley.studio.instruments import Float

MOST_SECONDS = 60.0
_SECONDS_FOR_DECODING = 20.0
_KEPT_VALUES = 1 << 26  # numbers in all recordings that are kept: 256 MiB
_ENDING = re.compile(r"\.[a-z0-9]{1,5}")


class RecordingError(FauxleyError):
    """A file that is no sound to work with; the message names it and says why."""


@dataclass(frozen=True)
class Recording:
    """A decoded recording.

    Attributes:
        id: what requests call it.
        name: of the file.
        audio: (C, T).
        sample_rate: in Hz.
        remarks: what is odd about it.
    """

    id: str
    name: str
    audio: Float
    sample_rate: int
    remarks: tuple[str, ...] = ()


class Recordings:
    """The last recordings, as many as fit."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Recording] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, content: bytes, name: str, sample_rate: int | None, channels: int | None) -> Recording:
        """Decode the bytes of a file, to the rate and channels of a model if these are given.

        Raises:
            RecordingError: it cannot be used; says why.
        """
        shown = printable(name)[:100] or "the file"
        if not content:
            raise RecordingError(f"{shown}: is empty")
        suffix = Path(name).suffix.lower()
        with tempfile.TemporaryDirectory(prefix="fauxley-") as folder:
            path = Path(folder) / f"dropped{suffix if _ENDING.fullmatch(suffix) else ''}"
            path.write_bytes(content)
            try:
                audio, rate, remarks = decode(path, sample_rate, channels)
            except AudioFileError as error:
                known = "" if suffix in AUDIO_SUFFIXES else "; drop a sound file, such as WAV, FLAC or MP3"
                raise RecordingError(f"{shown}: {error.reason}{known}") from error
        recording = Recording(secrets.token_urlsafe(12), shown, audio, rate, remarks)
        with self._lock:
            self._kept[recording.id] = recording
            while sum(each.audio.size for each in self._kept.values()) > _KEPT_VALUES and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return recording

    def get(self, identifier: str) -> Recording | None:
        """The recording of this name, if it is still kept."""
        with self._lock:
            return self._kept.get(identifier)


def decode(path: Path, sample_rate: int | None, channels: int | None) -> tuple[Float, int, tuple[str, ...]]:
    """The beginning of a file, up to a minute: audio (C, T), sample rate, and what is odd about it.

    Args:
        path: of the file.
        sample_rate: to have; None is the file's own.
        channels: to have; None keeps one or two, and makes one of more.

    Raises:
        AudioFileError: no audio, broken, silent, or too slow to decode.
    """
    deadline = time.monotonic() + _SECONDS_FOR_DECODING
    with open_audio(path) as source:
        wanted = channels if channels is not None else (1 if source.info.channels > 2 else None)
        check_channels(path, source.info, wanted)
        levels, remarks = Levels(), []
        rate = sample_rate or source.info.sample_rate
        longest = round(MOST_SECONDS * rate)
        blocks: list[Float] = []
        taken = 0
        for block in convert_blocks(levels.watch(source), source.info, sample_rate, wanted):
            blocks.append(block)
            taken += block.shape[1]
            if time.monotonic() > deadline:
                raise AudioFileError(path, "takes too long to decode; convert it to WAV")
            if taken > longest:
                remarks.append(f"only the first {MOST_SECONDS:g} seconds are taken")
                break
        _require_sound(path, levels, source, wanted)
        audio = np.concatenate(blocks, axis=1)[:, :longest] if blocks else np.zeros((1, 0), np.float32)
    return np.ascontiguousarray(np.clip(audio, -8, 8)), rate, tuple(remarks)


def _require_sound(path: Path, levels: Levels, source: AudioFile, channels: int | None) -> None:
    if defect := levels.defect():
        raise AudioFileError(path, defect)
    silent = [text for text in levels.warnings(source, channels == 1) if text.startswith(("silent", "antiphase"))]
    if silent:
        raise AudioFileError(path, silent[0])
