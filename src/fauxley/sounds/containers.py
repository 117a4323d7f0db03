"""Examines what a file holds according to its own structure, before a decoder sees it.

Headers lie in a few ways that decoders believe: sizes that were never filled in because the recorder died, totals that
are zero or too large, lengths of MP3 that are estimates, and files that were joined end to end, of which decoders
read the first. `examine` walks the structure (chunks, pages, frames; never the samples) and returns the streams in
the file, each with the corrections that a decoder must see in place of the file's bytes.

Of what is no audio at all, `foreign_kind` says what it is, as a hint for whoever finds it among sounds.
"""

import io
import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from fauxley.sounds.embedded_stream import UNFILLED, Bytes, EmbeddedStream
from fauxley.sounds.frames import walk_flac, walk_mpeg, walk_ogg

_FULL = 0xFFFFFFFF
_PROMISED = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_WELL_KNOWN = {1: (8, 16, 24, 32), 3: (32, 64)}  # of these, what cannot be read is broken and not of a strange codec
_TRAILER = 1024  # bytes of no known kind behind the samples that nobody needs to hear of
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


class ContradictionError(Exception):
    """A structure that decoders must not be given; the message says what is wrong."""


def examine(file: BinaryIO) -> tuple[EmbeddedStream, ...]:
    """The streams in `file`, a regular file that is not empty, in order; one for all of it where nothing is known.

    Raises:
        ContradictionError: sizes inside it contradict one another so that decoders may never return.
    """
    try:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # a file system that cannot map files
        return (EmbeddedStream(0, file.seek(0, io.SEEK_END)),)
    with data:
        head = data[:16]
        if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return tuple(_wave(data))
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return tuple(_aiff(data))
        for magic, walk in _WALKS.items():
            if head.startswith(magic):
                return tuple(walk(data))
        return tuple(walk_mpeg(data)) or (EmbeddedStream(0, len(data)),)


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
        kinds = [(data[place : place + 4], data[place + 8 : place + 12]) for place in (start, next_start)]
        if size > 8 and kinds[0] == kinds[1]:
            return int(next_start)
    return len(data)


def _wave(data: Bytes) -> Iterator[EmbeddedStream]:
    end = 0
    while end < len(data):
        start, end = end, _joined_end(data, end, "<")
        codec, wide, part = "", None, EmbeddedStream(start, end)
        for name, begin, size in _chunks(data, start + 12, end):
            if name == b"LIST":
                _check_list(data, begin, min(begin + size, end), end)
            elif name == b"ds64" and begin + 16 <= end:
                wide = begin
            elif name == b"fmt " and begin + 16 <= end:
                codec = _wave_codec(data, begin)
            elif name == b"data":
                part = _wave_data(data, part, begin, size, wide)
                break
        yield replace(part, codec=codec)


def _wave_codec(data: Bytes, begin: int) -> str:
    """The name of the codec of a `fmt ` chunk, if it is none of the well known ones."""
    tag, _, _, _, _, bits = struct.unpack_from("<HHIIHH", data, begin)
    return "" if bits in _WELL_KNOWN.get(tag, ()) else f"WAV format 0x{tag:04X} at {bits} bits"


def _wave_data(data: Bytes, part: EmbeddedStream, begin: int, size: int, wide: int | None) -> EmbeddedStream:
    """`part` with what is wrong about its samples, which begin at `begin`; `wide`: where RF64's 64-bit sizes stand."""
    held = part.end - begin
    if wide is not None and size in (_FULL, 0):
        size = struct.unpack_from("<Q", data, wide + 8)[0]
    if _is_unfilled(data, begin, size, part.end):
        patches = {begin - 4: struct.pack("<I", min(held, _FULL))}
        if wide is not None:
            patches = {begin - 4: struct.pack("<I", _FULL), wide: struct.pack("<QQ", part.end - part.start - 8, held)}
        return replace(part, patches=patches, warning=UNFILLED)
    if wide is not None and size > held:
        return replace(part, warning=truncated(size, held))
    behind = held - size
    after = begin + size + size % 2
    something = behind > _TRAILER and data[after : after + _TRAILER].strip(b"\0")
    if something and not _are_chunks(data, after, part.end):
        return replace(part, warning=f"less was read than is there: {behind} bytes of something follow the samples")
    return part


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
            raise ContradictionError("broken: an entry of its LIST chunk claims to be larger than the file")


def _aiff(data: Bytes) -> Iterator[EmbeddedStream]:
    end = 0
    while end < len(data):
        start, end = end, _joined_end(data, end, ">")
        patches, warning, frames, place = {}, "", -1, 0
        for name, begin, size in _chunks(data, start + 12, end, ">"):
            if name == b"COMM" and begin + 6 <= end:
                (frames,) = struct.unpack_from(">I", data, begin + 2)
                place = begin + 2
            elif name == b"SSND":
                held = end - begin
                empty = size == 8 and _are_chunks(data, begin + 8, end, ">")
                if held > 8 and not empty and (frames == 0 or _is_unfilled(data, begin, max(size, 8), end, ">")):
                    warning = UNFILLED
                    patches[begin - 4] = struct.pack(">I", min(held, _FULL))
                    if frames == 0:  # compressed ones believe it
                        patches[place] = struct.pack(">I", 0x7FFFFFFF)
                break
        yield EmbeddedStream(start, end, patches, warning=warning)


def _wave64(data: Bytes) -> Iterator[EmbeddedStream]:
    place, end = 40, len(data)
    while place + 24 <= end:
        (size,) = struct.unpack_from("<Q", data, place + 16)
        if data[place : place + 16] == _W64_DATA:
            held = end - place
            if size <= 24 < held or size > 1 << 62:
                patches = {16: struct.pack("<Q", end), place + 16: struct.pack("<Q", held)}
                yield EmbeddedStream(0, end, patches, warning=UNFILLED)
                return
            if size > held:
                yield EmbeddedStream(
                    0, end, {place + 16: struct.pack("<Q", held)}, warning=truncated(size - 24, held - 24)
                )
                return
            break
        place += max(size + -size % 8, 24)
    yield EmbeddedStream(0, end)


def _au(data: Bytes) -> Iterator[EmbeddedStream]:
    """Samples follow the header up to the end of the file; nothing may come behind."""
    if len(data) >= 24:
        offset, size = struct.unpack_from(">II", data, 4)
        left = len(data) - offset
        if size != _FULL and left > 0 and size < left // 2:
            yield EmbeddedStream(0, len(data), {8: struct.pack(">I", _FULL)}, warning=UNFILLED)
            return
        if 0 < left < size < 0x7FFF0000:
            yield EmbeddedStream(0, len(data), {8: struct.pack(">I", _FULL)}, warning=truncated(size, left))
            return
    yield EmbeddedStream(0, len(data))


def _caf(data: Bytes) -> Iterator[EmbeddedStream]:
    place, end = 8, len(data)
    while place + 12 <= end:
        name, size = struct.unpack_from(">4sq", data, place)
        left = end - place - 12
        if name == b"data":
            patch = {place + 4: struct.pack(">q", left)}
            if size == -1:  # allowed, and not understood by libsndfile
                yield EmbeddedStream(0, end, patch)
            elif size <= 4 < left:
                yield EmbeddedStream(0, end, patch, warning=UNFILLED)
            elif size > left:
                yield EmbeddedStream(0, end, patch, warning=truncated(size, left))
            else:
                yield EmbeddedStream(0, end)
            return
        if size < 0:
            break
        place += 12 + size
    yield EmbeddedStream(0, end)


def truncated(promised: int, actual: int) -> str:
    """The warning for fewer bytes than a header promises."""
    return f"truncated: the header promises {promised} bytes of audio, the file has {actual}"


def truncation_in(log: str) -> str:
    """The warning that libsndfile's `log` notes about data chunks longer than the file.

    A size near 2^31 or 2^32 is no promise: it is what programs write that stream and cannot know the length.
    """
    for promised, actual in _PROMISED.findall(log):
        if int(actual) < int(promised) < 0x7FFF0000:
            return truncated(int(promised), int(actual))
    return ""


_WALKS = {_W64_RIFF: _wave64, b".snd": _au, b"caff": _caf, b"OggS": walk_ogg, b"fLaC": walk_flac}


# Beginnings of what decoders know. Of a file that begins otherwise, what they say about it is a misunderstanding.
_AUDIO = (
    b"RIFF", b"RF64", b"BW64", b"RIFX", b"FORM", b"fLaC", b"OggS", b"ID3", b".snd", b"dns.", b"caff", b"riff\x2e\x91",
    b"wvpk", b"MAC ", b"TTA1", b"tBaK", b"MPCK", b"MP+", b"ajkg", b"#!AMR", b"\x0b\x77", b"\x1aE\xdf\xa3",
    b"0&\xb2u\x8ef\xcf\x11", b"FLV", b"DSD ", b"Creative Voice File", b"NIST_1A", b"\x7f\xfe\x80\x01", b".RMF", b"ea3",
)  # fmt: skip

_FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer in place of the file; 'git lfs pull' fetches it"),
    (b"/annex/objects/", "a git-annex pointer in place of the file; 'git annex get' fetches it"),
    (b"bplist00", "a property list, perhaps a placeholder of iCloud; download the file first"),
    (b"CAT ", "a REX loop; export its slices as WAV, with ReCycle or a sampler"),
    (b"\x12\x90\xa8\x7f", "a Kontakt instrument; export its samples as WAV"),
    (b"PK\3\4", "a ZIP archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"MThd", "a MIDI file: notes, no sound"),
    (b"\0\5\x16\7", "a resource fork of macOS, not the file itself"),
)

# Endings of what holds sounds but cannot be opened here → what to do about it.
SAMPLER_ENDINGS = {
    **dict.fromkeys((".rx2", ".rex", ".rcy"), "a REX loop; export its slices as WAV, with ReCycle or a sampler"),
    **dict.fromkeys((".nki", ".nkx", ".ncw", ".nks"), "of a Kontakt instrument; export its samples as WAV"),
    **dict.fromkeys((".sf2", ".sf3", ".dls", ".gig"), "a bank of sounds; export its samples as WAV"),
}


def is_audio_like(head: bytes) -> bool:
    """Whether a file that begins with `head` claims to be audio, or a film."""
    return head.startswith(_AUDIO) or head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def foreign_kind(head: bytes) -> str:
    """Say what a file that begins with `head` is instead of audio, or ""."""
    for magic, kind in _FOREIGN:
        if head.startswith(magic):
            return kind
    start = head[:200].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, perhaps of a download that failed"
    return ""
