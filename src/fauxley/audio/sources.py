"""Opens any audio file, whatever it claims to be, for decoding block by block.

libsndfile goes first, by content and not by name; what it does not know (m4a, aac, wma, webm, soundtracks of videos)
goes to FFmpeg through PyAV, an extra. Nothing is believed that a header says about length: blocks are read until
none are left.

Shapes: n samples, C channels; blocks are `(n, C)`, as decoders deliver them.
"""

import importlib
import os
import re
import stat
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from fauxley.errors import FauxleyError

Float = NDArray[np.float32]

BLOCK_VALUES = 1 << 18  # values in a block, over all channels: 1 MiB of float32
# Outside of this a sample rate is a broken header; a file "at 1 Hz" would become 16,000 times as long.
_SAMPLE_RATES = range(1_000, 768_001)
# FFmpeg sniffs contents, and some of what it knows (HLS playlists, concat scripts) opens further files and URLs.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,mp3,ogg,flac,wav,w64,aiff,caf,au,avi,flv,mpegts,mpeg,"
    "ac3,eac3,dts,amr,ape,wv,tta,tak,mpc,mpc8,shn,rm,voc,dsf,oma,aa,aax"
)
# Without waiting, where that can be; as bytes, where there is another way.
_OPENING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FFMPEG_HINT = 'for more formats: pip install "fauxley[ffmpeg]"'
_PROMISED = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


class AudioFileError(FauxleyError):
    """A file that cannot be used as audio; `reason` says why without naming the file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{printable(path)}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type["AudioFileError"], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # travels between processes


def printable(text: Path | str) -> str:
    """A name for a one-line message: line breaks and bytes that are no text are written as escapes."""
    text = str(text)
    return text if text.isprintable() else ascii(text)[1:-1]


@dataclass(frozen=True)
class SourceInfo:
    """What a file says about itself; only sample rate and channels are sure before all of it has been decoded.

    Attributes:
        format: container, such as `WAV`.
        subtype: sample format or codec, such as `PCM_24`.
        sample_rate: in Hz.
        channels: how many.
        num_samples: length according to the header, per channel; 0 if it says nothing.
        warning: what is odd about the file although it can be read, such as fewer data than promised; or "".
    """

    format: str
    subtype: str
    sample_rate: int
    channels: int
    num_samples: int
    warning: str = ""


class Source(ABC):
    """An open file; `blocks` can be taken once."""

    info: SourceInfo

    @abstractmethod
    def blocks(self) -> Iterator[Float]:
        """Yield `(n, C)` float32 at the file's own rate and level, n at most `BLOCK_VALUES / C`."""


class _SndfileSource(Source):
    def __init__(self, file: Any) -> None:
        self._file = file
        self.info = SourceInfo(
            file.format, file.subtype, file.samplerate, file.channels, max(file.frames, 0), _truncation(file.extra_info)
        )

    def blocks(self) -> Iterator[Float]:
        size = max(BLOCK_VALUES // self.info.channels, 1)
        while len(block := self._file.read(size, dtype="float32", always_2d=True)):
            yield block


class _FFmpegSource(Source):
    def __init__(self, av: ModuleType, container: Any) -> None:
        self._av = av
        self._container = container
        self._stream = container.streams.audio[0]  # a cover picture is a stream too, of video
        codec = self._stream.codec_context
        self.info = SourceInfo(
            container.format.name.split(",")[0].upper(), codec.name.upper(), codec.sample_rate or 0, codec.channels, 0
        )

    def blocks(self) -> Iterator[Float]:
        resampler = self._av.AudioResampler(format="fltp", layout=self._stream.layout, rate=self.info.sample_rate)
        for frame in self._container.decode(self._stream):
            for part in resampler.resample(frame):
                yield np.ascontiguousarray(part.to_ndarray().T)
        for part in resampler.resample(None):
            yield np.ascontiguousarray(part.to_ndarray().T)


def probe(path: Path) -> SourceInfo:
    """What the header of `path` says.

    Raises:
        AudioFileError: not audio, or not plausible.
    """
    with open_source(path) as source:
        return source.info


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open `path` for decoding. Whatever the decoders find wrong inside the block comes out as `AudioFileError`."""
    path = Path(path)
    with _open_regular(path) as file, _quiet_stderr() if _looks_like_mpeg(file) else nullcontext():
        try:
            # On Windows a descriptor is a number of one C library, and libsndfile comes with another.
            opened = soundfile.SoundFile(file if sys.platform == "win32" else file.fileno(), closefd=False)
        except soundfile.LibsndfileError as error:
            file.seek(0)
            with _open_ffmpeg(path, file, _reason(error)) as source:
                yield _checked(path, source)
            return
        with opened:
            try:
                yield _checked(path, _SndfileSource(opened))
            except soundfile.LibsndfileError as error:
                raise AudioFileError(path, _reason(error)) from error


def _checked(path: Path, source: Source) -> Source:
    if source.info.sample_rate not in _SAMPLE_RATES:
        raise AudioFileError(path, f"a sample rate of {source.info.sample_rate} Hz is not plausible")
    if source.info.channels < 1:
        raise AudioFileError(path, "has no channels")
    return source


def _truncation(log: str) -> str:
    """What libsndfile noted about data chunks longer than the file.

    A size near 2^31 or 2^32 is no promise: it is what programs write that stream and cannot know the length.
    """
    for promised, actual in _PROMISED.findall(log):
        if int(actual) < int(promised) < 0x7FFF0000:
            return f"truncated: the header promises {promised} bytes of audio, the file has {actual}"
    return ""


@contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open without ever blocking: opening a FIFO would wait for a writer for ever.

    Decoders get the descriptor, not the name: a name such as `http:...` or an ending such as `.mp3` on something
    else would make them try what the content does not call for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _OPENING)
    except OSError as error:
        raise AudioFileError(path, f"cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise AudioFileError(path, "is not a regular file")
        if status.st_size == 0:
            raise AudioFileError(path, "is empty (0 bytes)")
        yield file


@contextmanager
def _open_ffmpeg(path: Path, file: BinaryIO, refusal: str) -> Iterator[Source]:
    """Open with FFmpeg what libsndfile refused for the reason `refusal`."""
    try:
        av = importlib.import_module("av")
    except ImportError as error:
        raise AudioFileError(path, f"{refusal}; {_FFMPEG_HINT}") from error
    try:
        container = av.open(file, options={"probesize": "32768", "format_whitelist": _CONTAINERS})
    except (av.FFmpegError, ValueError) as error:
        raise AudioFileError(path, refusal) from error
    with container:
        if not container.streams.audio:
            raise AudioFileError(path, "has no audio track")
        try:
            yield _FFmpegSource(av, container)
        except av.FFmpegError as error:
            raise AudioFileError(path, f"broken: {error.strerror}") from error


def _reason(error: soundfile.LibsndfileError) -> str:
    text = str(error.error_string).strip().removeprefix("Error : ").rstrip(".")
    return "not recognised as audio" if text == "Format not recognised" else f"broken: {text}"


def _looks_like_mpeg(file: BinaryIO) -> bool:
    start = os.read(file.fileno(), 3)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return start == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0)


_STDERR_LOCK = threading.RLock()


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep mpg123 inside libsndfile, which cannot be told to be quiet, from printing notes on stderr.

    The descriptor belongs to the whole process, hence only for MPEG content and one at a time.
    """
    with _STDERR_LOCK:
        try:
            saved = os.dup(2)
        except OSError:  # closed already
            yield
            return
        with open(os.devnull, "wb") as null:  # noqa: PTH123
            os.dup2(null.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
