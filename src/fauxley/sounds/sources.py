"""Opens any audio file, whatever it claims to be, for decoding block by block.

The decoding itself is done by `decoders` in a process of its own, since a stranger's file can make a decoder hang or
crash (see `decoder_process`). Nothing is believed that a header says about length: blocks are taken until none
are left.

Shapes: n samples, C channels; blocks are `(n, C)`, as decoders deliver them.
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import FauxleyError
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
        is_rough: whether that may be off by some frames of the codec.
    """

    format: str
    subtype: str
    sample_rate: int
    channels: int
    num_samples: int
    is_rough: bool = False


class Source:
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
            self.info = SourceInfo(**json.loads(content))
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


def probe(path: Path) -> SourceInfo:
    """What the header of `path` says.

    Raises:
        AudioFileError: not audio, or not plausible.
    """
    with closing(Source(Path(path), header_only=True)) as source:
        for _ in source.blocks():
            pass
        return source.info


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open `path` for decoding. Whatever the decoders find wrong inside the block comes out as `AudioFileError`."""
    with closing(Source(Path(path))) as source:
        yield source


def too_long() -> str:
    """Why a file of more than `LONGEST_HOURS` is refused."""
    return f"longer than {LONGEST_HOURS} hours; cut it into pieces"
