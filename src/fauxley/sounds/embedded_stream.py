"""A stream inside a file, opened as a file of its own, with corrections where a header is wrong."""

import io
import mmap
from dataclasses import dataclass, field
from typing import BinaryIO

UNFILLED = "its sizes were never filled in, as when a recorder dies; read to the end of the file"

Bytes = mmap.mmap | bytes


@dataclass(frozen=True)
class EmbeddedStream:
    """Where a stream lies inside a file, and what is known of it.

    Attributes:
        start, end: where it lies, in bytes.
        patches: bytes to read in place of the file's, by their place in the file.
        num_samples: per channel, as its header promises; 0: unknown.
        counted: samples in its frames, one by one; a decoder that reads far fewer stops too early. 0: not counted.
        codec: what its header calls the codec, for messages; "" where this module does not know.
        warning: what is odd about it, or "".
    """

    start: int
    end: int
    patches: dict[int, bytes] = field(default_factory=dict)
    num_samples: int = 0
    counted: int = 0
    codec: str = ""
    warning: str = ""


class EmbeddedStreamFile(io.RawIOBase):
    """The bytes of `stream` in `file`, with its corrections, as decoders read them."""

    def __init__(self, file: BinaryIO, stream: EmbeddedStream) -> None:
        self._file = file
        self._stream = stream
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._stream.end - self._stream.start}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        begin = self._stream.start + self._place
        if begin >= self._stream.end:  # a decoder may have been sent anywhere
            return 0
        view = memoryview(buffer)[: min(len(buffer), self._stream.end - begin)]
        self._file.seek(begin)
        count = self._file.readinto(view) or 0  # type: ignore[attr-defined]
        for place, patch in self._stream.patches.items():
            first, last = max(place, begin), min(place + len(patch), begin + count)
            if first < last:
                view[first - begin : last - begin] = patch[first - place : last - place]
        self._place += count
        return count
