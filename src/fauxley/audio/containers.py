"""What a file holds according to its own structure, told before a decoder sees it.

Headers lie in a few ways that decoders believe: sizes that were never filled in because the recorder died, totals that
are zero or too large, lengths of MP3 that are estimates, and files that were joined end to end, of which decoders
read the first. `examine` walks the structure (chunks, pages, frames; never the samples) and returns the parts of the
file that are streams of their own, each with the corrections that a decoder must see in place of the file's bytes.
"""

import io
import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

UNFILLED = "its sizes were never filled in, as when a recorder dies; read to the end of the file"

Bytes = mmap.mmap | bytes


class Contradiction(Exception):
    """A structure that decoders must not be given; the message says what is wrong."""


@dataclass(frozen=True)
class Part:
    """A stream inside a file.

    Attributes:
        start, end: where it lies, in bytes.
        patches: bytes to read in place of the file's, by their place in the file.
        num_samples: per channel, by its frames or by its header; 0: unknown.
        counted: whether `num_samples` was counted and a decoder that reads far fewer has stopped too early.
        codec: what its header calls the codec, for messages; "" where this module does not know.
        warning: what is odd about it, or "".
    """

    start: int
    end: int
    patches: dict[int, bytes] = field(default_factory=dict)
    num_samples: int = 0
    counted: bool = False
    codec: str = ""
    warning: str = ""


class Window(io.RawIOBase):
    """A part of `file` as a file of its own, with its corrections."""

    def __init__(self, file: BinaryIO, part: Part) -> None:
        self._file = file
        self._part = part
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._part.end - self._part.start}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        begin = self._part.start + self._place
        if begin >= self._part.end:  # a decoder may have been sent anywhere
            return 0
        view = memoryview(buffer)[: min(len(buffer), self._part.end - begin)]
        self._file.seek(begin)
        count = self._file.readinto(view) or 0  # type: ignore[attr-defined]
        for place, patch in self._part.patches.items():
            first, last = max(place, begin), min(place + len(patch), begin + count)
            if first < last:
                view[first - begin : last - begin] = patch[first - place : last - place]
        self._place += count
        return count


def examine(file: BinaryIO) -> tuple[Part, ...]:
    """The streams in `file`, a regular file that is not empty, in order; one for all of it where nothing is known.

    Raises:
        Contradiction: sizes inside it contradict one another so that decoders may never return.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        head = data[:16]
        if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return tuple(_wave(data))
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return tuple(_aiff(data))
        for magic, walk in ((_W64_RIFF, _wave64), (b".snd", _au), (b"caff", _caf), (b"OggS", _ogg), (b"fLaC", _flac)):
            if head.startswith(magic):
                return tuple(walk(data))
        return tuple(_mpeg(data)) or (Part(0, len(data)),)


# --- RIFF, AIFF and their kind: chunks of four letters and a size -----------------------------------------------------

_FULL = 0xFFFFFFFF
_PROMISED = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_WELL_KNOWN = {1: (8, 16, 24, 32), 3: (32, 64)}  # of these, what cannot be read is broken and not of a strange codec
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def _chunks(data: Bytes, place: int, end: int, order: str = "<") -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content and claimed size of each chunk from `place` on."""
    while place + 8 <= end:
        name, size = struct.unpack_from(f"{order}4sI", data, place)
        yield name, place + 8, size
        place += 8 + size + size % 2


def _are_chunks(data: Bytes, place: int, end: int, order: str = "<") -> bool:
    """Whether what follows the samples is a row of chunks up to `end`, or nothing to speak of."""
    if end - place < 8:
        return True
    for name, begin, size in _chunks(data, place, end, order):
        if not all(32 <= letter < 127 for letter in name) or begin + size > end + 1:
            return False
        place = begin + size + size % 2
    return end - place < 8


def _joined_end(data: Bytes, start: int, order: str) -> int:
    """Where the file of the same kind that begins at `start` ends: at the next one's header, or at the file's end."""
    (size,) = struct.unpack_from(f"{order}I", data, start + 4)
    for next_start in (start + 8 + size, start + 8 + size + size % 2):
        if size > 8 and data[next_start : next_start + 4] == data[start : start + 4]:
            if data[next_start + 8 : next_start + 12] == data[start + 8 : start + 12]:
                return next_start
    return len(data)


def _wave(data: Bytes) -> Iterator[Part]:
    end = 0
    while end < len(data):
        start, end = end, _joined_end(data, end, "<")
        codec, patches, warning = "", {}, ""
        wide: tuple[int, int] | None = None  # RF64: where the true size of the samples stands, and that size
        for name, begin, size in _chunks(data, start + 12, end):
            if name == b"LIST":
                _check_list(data, begin, min(begin + size, end), end)
            elif name == b"ds64" and begin + 16 <= end:
                wide = begin + 8, struct.unpack_from("<Q", data, begin + 8)[0]
            elif name == b"fmt " and begin + 16 <= end:
                tag, _, _, _, _, bits = struct.unpack_from("<HHIIHH", data, begin)
                if bits not in _WELL_KNOWN.get(tag, ()):
                    codec = f"WAV format 0x{tag:04X} at {bits} bits"
            elif name == b"data":
                claimed = wide[1] if wide and size in (_FULL, 0) else size
                if _is_unfilled(data, begin, claimed, end):
                    warning = UNFILLED
                    patches[begin - 4] = struct.pack("<I", min(end - begin, _FULL))
                    if wide:
                        patches[begin - 4] = struct.pack("<I", _FULL)
                        patches[wide[0] - 8] = struct.pack("<QQ", end - start - 8, end - begin)
                break
        yield Part(start, end, patches, codec=codec, warning=warning)


def _is_unfilled(data: Bytes, begin: int, size: int, end: int, order: str = "<") -> bool:
    """Whether a size of samples that begin at `begin` stands for "not known yet" although there are some.

    What follows the samples is a row of chunks in a file that was finished. A size of all ones is understood by the
    decoders themselves in 32 bits, not in 64.
    """
    left = end - begin
    if size == _FULL:
        return False
    if size > 1 << 62:
        return True
    return size < left and (size == 0 or left > 2 * size) and not _are_chunks(data, begin + size + size % 2, end, order)


def _check_list(data: Bytes, begin: int, end: int, file_end: int) -> None:
    """Decoders go round in circles on entries that claim more than the whole file holds."""
    for _, place, size in _chunks(data, begin + 4, end):
        if size > file_end - place + 8:
            raise Contradiction("broken: an entry of its LIST chunk claims to be larger than the file")


def _aiff(data: Bytes) -> Iterator[Part]:
    end = 0
    while end < len(data):
        start, end = end, _joined_end(data, end, ">")
        patches, warning, frames = {}, "", -1
        for name, begin, size in _chunks(data, start + 12, end, ">"):
            if name == b"COMM" and begin + 6 <= end:
                (frames,) = struct.unpack_from(">I", data, begin + 2)
            elif name == b"SSND":
                samples = end - begin - 8
                if samples > 0 and ((frames == 0 and size != 8) or _is_unfilled(data, begin, max(size, 8), end, ">")):
                    warning = UNFILLED
                    patches[begin - 4] = struct.pack(">I", min(end - begin, _FULL))
                elif samples > 0 and size == 8 and not _are_chunks(data, begin + 8, end, ">"):
                    warning = UNFILLED
                    patches[begin - 4] = struct.pack(">I", min(end - begin, _FULL))
                break
        yield Part(start, end, patches, warning=warning)


def _wave64(data: Bytes) -> Iterator[Part]:
    place, end = 40, len(data)
    while place + 24 <= end:
        (size,) = struct.unpack_from("<Q", data, place + 16)
        if data[place : place + 16] == _W64_DATA:
            held = end - place
            if size <= 24 < held or size > 1 << 62:
                patches = {16: struct.pack("<Q", end), place + 16: struct.pack("<Q", held)}
                yield Part(0, end, patches, warning=UNFILLED)
                return
            break
        place += max(size + -size % 8, 24)
    yield Part(0, end)


def _au(data: Bytes) -> Iterator[Part]:
    """Samples follow the header up to the end of the file; nothing may come behind."""
    if len(data) >= 24:
        offset, size = struct.unpack_from(">II", data, 4)
        left = len(data) - offset
        if size != _FULL and 0 < left and size < left // 2:
            yield Part(0, len(data), {8: struct.pack(">I", _FULL)}, warning=UNFILLED)
            return
    yield Part(0, len(data))


def _caf(data: Bytes) -> Iterator[Part]:
    place, end = 8, len(data)
    while place + 12 <= end:
        name, size = struct.unpack_from(">4sq", data, place)
        left = end - place - 12
        if name == b"data":
            patch = {place + 4: struct.pack(">q", left)}
            if size == -1:  # allowed, and not understood by libsndfile
                yield Part(0, end, patch)
            elif size <= 4 < left:
                yield Part(0, end, patch, warning=UNFILLED)
            elif size > left:
                yield Part(0, end, patch, warning=truncated(size, left))
            else:
                yield Part(0, end)
            return
        if size < 0:
            break
        place += 12 + size
    yield Part(0, end)


def truncated(promised: int, actual: int) -> str:
    """The warning for fewer bytes than a header promises."""
    return f"truncated: the header promises {promised} bytes of audio, the file has {actual}"


def truncation_in(log: str) -> str:
    """What libsndfile's `log` notes about data chunks longer than the file.

    A size near 2^31 or 2^32 is no promise: it is what programs write that stream and cannot know the length.
    """
    for promised, actual in _PROMISED.findall(log):
        if int(actual) < int(promised) < 0x7FFF0000:
            return truncated(int(promised), int(actual))
    return ""


# --- Streams of pages and frames --------------------------------------------------------------------------------------


def _ogg(data: Bytes) -> Iterator[Part]:
    """One part for each link of a chain: a beginning-of-stream page after pages of content starts the next."""
    starts, place, in_content = [0], 0, False
    while place >= 0 and place + 27 <= len(data):
        flags, segments = data[place + 5], data[place + 26]
        begins = bool(flags & 2)
        if begins and in_content:
            starts.append(place)
        in_content = not begins
        place += 27 + segments + sum(data[place + 27 : place + 27 + segments])
        if data[place : place + 4] != b"OggS":
            place = data.find(b"OggS", place)
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        yield Part(start, end)


def _flac(data: Bytes) -> Iterator[Part]:
    """Decoders stop at the total of samples in the header and fail on joined files; they are told "unknown"."""
    marker = b"fLaC\0\0\0\x22"
    starts, place = [0], data.find(marker, 8)
    while place > 0:
        starts.append(place)
        place = data.find(marker, place + 8)
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        if end - start < 42:
            yield Part(start, end)
            continue
        fields = int.from_bytes(data[start + 18 : start + 26], "big")
        total = fields & ((1 << 36) - 1)
        yield Part(start, end, {start + 18: (fields - total).to_bytes(8, "big")}, num_samples=total)


_KBITS = {  # (MPEG-1?, layer) → kbit/s by index
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_KBITS[False, 3] = _KBITS[False, 2]
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG_RESYNC = 1 << 16  # bytes searched for the next frame after garbage


@dataclass(frozen=True)
class _Frame:
    size: int
    num_samples: int
    kind: tuple[int, int, int, bool]  # version, layer, rate, mono


def _frame(data: Bytes, place: int) -> _Frame | None:
    """The MPEG audio frame at `place` by its header (ISO 11172-3, 2.4.1.3)."""
    if place + 4 > len(data) or data[place] != 0xFF or data[place + 1] & 0xE0 != 0xE0:
        return None
    second, third, fourth = data[place + 1], data[place + 2], data[place + 3]
    version, layer, index, rate_index = second >> 3 & 3, 4 - (second >> 1 & 3), third >> 4, third >> 2 & 3
    if version == 1 or layer == 4 or index in (0, 15) or rate_index == 3:
        return None
    rate = _RATES[version][rate_index]
    bits = 1000 * _KBITS[version == 3, layer][index - 1]
    padding = third >> 1 & 1
    if layer == 1:
        size, samples = 4 * (12 * bits // rate + padding), 384
    else:
        samples = 576 if layer == 3 and version != 3 else 1152
        size = samples // 8 * bits // rate + padding
    return _Frame(size, samples, (version, layer, rate, fourth >> 6 == 3))


def _mpeg(data: Bytes) -> Iterator[Part]:
    """Count the frames of an MPEG stream; nothing where there are not three in a row.

    A new part begins where another file was joined: at a second frame of lengths (Xing, Info), behind the number of
    frames that the first promises, and where rate or channels change.
    """
    place = _skip_tags(data, 0)
    found = _find_frames(data, place)
    if found is None:
        return
    start, place = 0, found
    while place < len(data):
        place, samples = _count_frames(data, place)
        yield Part(start, place, num_samples=samples, counted=True, codec="MPEG audio")
        start = place


def _count_frames(data: Bytes, place: int) -> tuple[int, int]:
    """Where the stream that begins with the frame at `place` ends, and how many samples it has."""
    first = _frame(data, place)
    assert first is not None
    promised = _promised_frames(data, place, first)
    if promised >= 0:
        place += first.size  # it holds no sound
    frames = 0
    while place < len(data):
        frame = _frame(data, place)
        if frame is None or (frame.kind != first.kind and not _follows(data, place, frame)):
            found = _find_frames(data, _skip_tags(data, place))
            if found is None:
                break
            place, frame = found, _frame(data, found)
            assert frame is not None
        begins = frame.kind != first.kind or _promised_frames(data, place, frame) >= 0
        if begins or (0 < promised <= frames and _follows(data, place, frame, 4)):
            return place, frames * first.num_samples
        frames += 1
        place += frame.size
    return len(data), frames * first.num_samples


def _promised_frames(data: Bytes, place: int, frame: _Frame) -> int:
    """The number of frames in a Xing or Info header, 0 if it does not say; -1: the frame is none of these."""
    version, layer, _, mono = frame.kind
    if layer != 3:
        return -1
    tag = place + 4 + ((17 if mono else 32) if version == 3 else (9 if mono else 17))
    if data[tag : tag + 4] not in (b"Xing", b"Info"):
        return -1 if data[place + 36 : place + 40] != b"VBRI" else 0
    flags = int.from_bytes(data[tag + 4 : tag + 8], "big")
    return int.from_bytes(data[tag + 8 : tag + 12], "big") if flags & 1 else 0


def _follows(data: Bytes, place: int, frame: _Frame, count: int = 2) -> bool:
    """Whether `count` more frames of the same kind follow the one at `place`."""
    for _ in range(count):
        place += frame.size
        after = _frame(data, place)
        if after is None or after.kind != frame.kind:
            return False
        frame = after
    return True


def _find_frames(data: Bytes, place: int) -> int | None:
    """The next place, within reach, where three frames of a kind follow one another."""
    limit = min(place + _MPEG_RESYNC, len(data))
    while 0 <= (place := data.find(b"\xff", place, limit)):
        frame = _frame(data, place)
        if frame is not None and _follows(data, place, frame):
            return place
        place += 1
    return None


def _skip_tags(data: Bytes, place: int) -> int:
    """Behind the ID3 and APE tags at `place`."""
    while True:
        if data[place : place + 3] == b"ID3" and place + 10 <= len(data):
            size = 0
            for byte in data[place + 6 : place + 10]:
                size = size << 7 | byte & 0x7F
            place += 10 + size
        elif data[place : place + 3] == b"TAG" and place + 128 <= len(data):
            place += 128
        elif data[place : place + 8] == b"APETAGEX" and place + 32 <= len(data):
            place += 32 + int.from_bytes(data[place + 12 : place + 16], "little")
        else:
            return place
