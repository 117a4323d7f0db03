"""Reads any audio file, whatever it claims to be, block by block, at the wanted rate and channels.

The decoding itself is done by `fauxley.sounds.decoders` in a process of its own, since a stranger's file can make a
decoder hang or crash (see `fauxley.sounds.decoder_process`). Nothing is believed that a header says about length:
blocks are taken until none are left, so that ten hours need no more memory than a hit.

A block goes through: decoder → channel rule → resampler (soxr HQ: 1900 times real time, aliasing at −140 dB).

Shapes: n, t samples; C channels. Blocks from a decoder are `(n, C)`; all else is `(C, t)`.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from fauxley.errors import FauxleyError, printable
from fauxley.sounds import decoder_process
from fauxley.sounds.decoder_process import BLOCK, DONE, INFO, REFUSED, DecoderLostError

Float = NDArray[np.float32]

BLOCK_VALUES = 1 << 18  # values in a block, over all channels: 1 MiB of float32
LONGEST_HOURS = 24  # of sound in a file; what is longer is a mistake or a trap, such as 4 GB of nothing


class AudioFileError(FauxleyError):
    """A file that cannot be used as audio; `reason` says why without naming the file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{printable(path)}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type["AudioFileError"], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # travels between processes


@dataclass(frozen=True)
class AudioFileInfo:
    """A file's own account of itself; only sample rate and channels are sure before all of it has been decoded.

    Attributes:
        format: container, such as `WAV`.
        subtype: sample format or codec, such as `PCM_24`.
        sample_rate: in Hz.
        channels: how many.
        num_samples: length according to the header, per channel; 0 if it says nothing.
        is_rough: whether that may be off by some frames of the codec.
    """

    format: str
    subtype: str
    sample_rate: int
    channels: int
    num_samples: int
    is_rough: bool = False


class AudioFile:
    """An open file; `blocks` can be taken once. To be closed.

    Attributes:
        info: what the file says about itself.
        warnings: what is odd about it although it can be read; complete when all blocks were taken.

    Raises:
        AudioFileError: not audio, or not plausible.
    """

    def __init__(self, path: Path, header_only: bool = False) -> None:
        self.warnings: tuple[str, ...] = ()
        self._path = path
        self._header_only = header_only
        self._process = decoder_process.take()
        try:
            self._request()
            kind, content = self._receive()
            while kind != INFO:  # lost, and begun again
                kind, content = self._receive()
            self.info = AudioFileInfo(**json.loads(content))
        except BaseException:
            self.close()
            raise

    def blocks(self) -> Iterator[Float]:
        """Yield `(n, C)` float32 at the file's own rate and level, n at most `BLOCK_VALUES / C`.

        Raises:
            AudioFileError: the file is broken or too long.
        """
        taken = place = 0  # samples; `place` falls back when a decoder had to be replaced
        heard_seconds = 0.0
        while True:
            kind, content = self._receive(heard_seconds)
            heard_seconds = 0.0
            if kind == DONE:
                self.warnings = tuple(json.loads(content))
                return
            if kind == INFO:
                place = 0
            if kind == BLOCK:
                block = np.frombuffer(content, np.float32).reshape(-1, self.info.channels)
                heard_seconds = len(block) / self.info.sample_rate
                new = block[max(taken - place, 0) :]
                place += len(block)
                taken = max(taken, place)
                if taken > LONGEST_HOURS * 3600 * self.info.sample_rate:
                    raise AudioFileError(self._path, too_long())
                if len(new):
                    yield new

    def close(self) -> None:
        decoder_process.give_back(self._process)

    def _request(self) -> None:
        # Absolute, for the process keeps the working folder that was ours when it began.
        self._process.request(path=os.path.abspath(self._path), header_only=self._header_only)  # noqa: PTH100

    def _receive(self, heard_seconds: float = 0.0) -> tuple[bytes, bytearray]:
        """The next message, after beginning again where that is fair."""
        try:
            kind, content = self._process.receive(heard_seconds)
        except DecoderLostError as lost:
            if lost.late or self._process.is_fresh:
                raise AudioFileError(self._path, str(lost)) from lost
            # An earlier file may have damaged the process that this one made fall; a fresh one tells whose fault it is.
            self._process.close()
            self._process = decoder_process.DecoderProcess()
            self._request()
            return self._receive()
        if kind == REFUSED:
            raise AudioFileError(self._path, content.decode())
        return kind, content


def probe(path: Path) -> AudioFileInfo:
    """Read what the header of `path` says.

    Raises:
        AudioFileError: not audio, or not plausible.
    """
    with closing(AudioFile(Path(path), header_only=True)) as source:
        for _ in source.blocks():
            pass
        return source.info


@contextmanager
def open_audio(path: Path) -> Iterator[AudioFile]:
    """Open `path` for decoding. Whatever the decoders find wrong inside the block comes out as `AudioFileError`."""
    with closing(AudioFile(Path(path))) as source:
        yield source


def too_long() -> str:
    """Why a file of more than `LONGEST_HOURS` is refused."""
    return f"longer than {LONGEST_HOURS} hours; cut it into pieces"


def convert_blocks(
    blocks: Iterable[Float], info: AudioFileInfo, sample_rate: int | None, channels: int | None
) -> Iterator[Float]:
    """Bring blocks `(n, C)` of the file that `info` describes to `(channels, t)` at `sample_rate`; None keeps."""
    converted = (change_channels(block.T, channels) for block in blocks)
    if sample_rate is None or sample_rate == info.sample_rate:
        yield from converted
        return
    count = channels or info.channels
    resampler = soxr.ResampleStream(info.sample_rate, sample_rate, count, dtype="float32", quality="HQ")
    for block in converted:
        yield resampler.resample_chunk(np.ascontiguousarray(block.T)).T
    yield resampler.resample_chunk(np.zeros((0, count), np.float32), last=True).T


def read_audio(
    path: Path, sample_rate: int | None = None, channels: int | None = None, longest: int | None = None
) -> Float:
    """Decode a whole file to `(C, T)` float32, full scale at ±1; integers are divided by 2^(bits-1).

    Args:
        path: any format that libsndfile knows; with the extra `ffmpeg`, any that FFmpeg knows.
        sample_rate: in Hz; None keeps the file's (`probe` tells it).
        channels: to one by mean, from one by copying, None keeps the file's.
        longest: keep no more than so many samples from the beginning, whatever the length of the file; None keeps all.

    Raises:
        AudioFileError: not audio, broken, or of another channel count.
    """
    with open_audio(path) as source:
        check_channels(Path(path), source.info, channels)
        blocks, num_samples = [np.zeros((channels or source.info.channels, 0), np.float32)], 0
        for block in convert_blocks(source.blocks(), source.info, sample_rate, channels):
            if longest is None or num_samples < longest:  # to the end all the same, for it may be broken there
                blocks.append(block)
                num_samples += block.shape[1]
        return np.concatenate(blocks, axis=1)[:, :longest]


def change_channels(audio: Float, channels: int | None) -> Float:
    """`(C, T)` → `(channels, T)`: to one by mean (5.1 too), from one by copying.

    Raises:
        ValueError: any other change; there is no rule for it that would not be a guess.
    """
    if channels is None or channels == audio.shape[0]:
        return audio
    if channels == 1:
        mean: Float = audio.mean(axis=0, keepdims=True, dtype=np.float32)
        return mean
    if audio.shape[0] == 1:
        return np.repeat(audio, channels, axis=0)
    raise ValueError(f"cannot turn {audio.shape[0]} channels into {channels}")


def check_channels(path: Path, info: AudioFileInfo, channels: int | None) -> None:
    """Raise `AudioFileError` if `change_channels` would have no rule."""
    if channels not in (None, 1, info.channels) and info.channels != 1:
        raise AudioFileError(
            path, f"has {info.channels} channels where {channels} are wanted; use 1 (their mean) or {info.channels}"
        )
