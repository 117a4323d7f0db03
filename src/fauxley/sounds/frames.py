"""Finds where streams begin and end in files made of pages or frames: Ogg chains, joined FLAC files, MPEG audio."""

from collections.abc import Iterator
from dataclasses import dataclass

from fauxley.sounds.embedded_stream import Bytes, EmbeddedStream


def walk_ogg(data: Bytes) -> Iterator[EmbeddedStream]:
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
        yield EmbeddedStream(start, end)


def walk_flac(data: Bytes) -> Iterator[EmbeddedStream]:
    """Decoders stop at the total of samples in the header and fail on joined files; they are told "unknown"."""
    marker = b"fLaC\0\0\0\x22"
    starts, place = [0], data.find(marker, 8)
    while place > 0:
        starts.append(place)
        place = data.find(marker, place + 8)
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        if end - start < 42:
            yield EmbeddedStream(start, end)
            continue
        fields = int.from_bytes(data[start + 18 : start + 26], "big")
        total = fields & ((1 << 36) - 1)
        yield EmbeddedStream(start, end, {start + 18: (fields - total).to_bytes(8, "big")}, num_samples=total)


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


def walk_mpeg(data: Bytes) -> Iterator[EmbeddedStream]:
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
        place, samples, promised = _count_frames(data, place)
        yield EmbeddedStream(start, place, num_samples=promised, counted=samples, codec="MPEG audio")
        start = place


def _count_frames(data: Bytes, place: int) -> tuple[int, int, int]:
    """Where the stream that begins with the frame at `place` ends, the samples it has, and those it promises."""
    first = _frame(data, place)
    assert first is not None
    promised = _promised_frames(data, place, first)
    if promised >= 0:
        place += first.size  # it holds no sound
    frames, end = 0, len(data)
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
            end = place
            break
        frames += 1
        place += frame.size
    return end, frames * first.num_samples, max(promised, 0) * first.num_samples


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
    while (place := data.find(b"\xff", place, limit)) >= 0:
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
