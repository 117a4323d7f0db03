"""One worker's share of packing: decode a few files and write them, as int16, to a part of the store.

A part is two files, `.int16` and then `.json`, each written atomically; where the second is, the part is whole.
Which files make up a part depends on the list of files alone, so that any run may finish what another began.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np

from fauxley.atomic import atomic_file
from fauxley.audio.catalogue import Sound
from fauxley.audio.decode import check_channels, convert_blocks
from fauxley.audio.files import Skipped, quantise
from fauxley.audio.levels import STEP, Levels
from fauxley.audio.sources import BLOCK_VALUES, AudioFileError, Source, open_source, printable
from fauxley.serialization import parse_json, read_file, reading

_PART_FILES = 64
_PART_BYTES = 64 << 20
# Normalising needs the peak before the first sample is written, so a file waits as float32: in memory while it is
# short, on the disk when it is long. (Decoding twice instead costs more than that disk.)
_SPOOL_BYTES = 16 << 20


@dataclass(frozen=True)
class Encoding:
    """What the stored samples depend on besides the files; see `PackSettings`."""

    sample_rate: int
    channels: int
    normalize: bool


@dataclass(frozen=True)
class Packed:
    """A file that is in a part: see `fauxley.audio.dataset.Entry`."""

    file: str
    num_samples: int
    peak: float
    sha256: str
    warnings: tuple[str, ...]


def split_into_parts(sounds: Sequence[Sound]) -> list[list[str]]:
    """Deal out files, in order, to parts of a bounded number of files and bytes."""
    parts: list[list[str]] = []
    room = 0
    for sound in sounds:
        if not parts or len(parts[-1]) == _PART_FILES or sound.num_bytes > room:
            parts.append([])
            room = _PART_BYTES
        parts[-1].append(sound.file)
        room -= sound.num_bytes
    return parts


def write_part(folder: Path, files: Sequence[str], part: Path, encoding: Encoding) -> None:
    """Decode `files` of `folder` into `part`.int16 and say in `part`.json what became of each.

    Raises:
        OSError: the part cannot be written. What is wrong with a file is never raised.
    """
    if not folder.is_dir():  # on another machine: not the fault of each file
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    results: list[Packed | Skipped] = []
    with atomic_file(part.with_suffix(".int16")) as path, path.open("wb") as out:
        results.extend(_append(folder, file, out, part.parent, encoding) for file in files)
    with atomic_file(part.with_suffix(".json")) as path:
        path.write_text(json.dumps([asdict(result) for result in results]))


def read_part(part: Path) -> list[Packed | Skipped] | None:
    """What `write_part` reported, or None if the part is not whole."""
    file = part.with_suffix(".json")
    if not file.exists():
        return None
    with reading(f"{printable(file)} is damaged; remove its folder and run it again"):
        rows = parse_json(read_file(file))
        return [Skipped(**row) if "reason" in row else Packed(**row) for row in rows]


def hash_file(path: Path) -> str:
    """SHA-256 of a regular file's content.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _append(folder: Path, file: str, out: IO[bytes], scratch: Path, encoding: Encoding) -> Packed | Skipped:
    path = folder / file
    try:
        sha256 = hash_file(path)
    except OSError as error:
        return Skipped(file, f"cannot be read: {error.strerror}")
    with SpooledTemporaryFile(max_size=_SPOOL_BYTES, dir=str(scratch), prefix=".partial-") as spool:
        try:
            with open_source(path) as source:
                peak, warnings = _decode(path, source, spool, encoding)
        except AudioFileError as error:
            return Skipped(file, error.reason, sha256)
        num_samples = spool.tell() // (4 * encoding.channels)
        # Silence stays silence: dividing dither or rounding noise by its own peak would make a roar of it.
        gain = 1 / peak if encoding.normalize and peak >= STEP else 1.0
        spool.seek(0)
        for values in _read_back(spool):
            out.write(quantise(values * gain).astype("<i2").tobytes())
    return Packed(file, num_samples, peak, sha256, warnings)


def _decode(path: Path, source: Source, spool: IO[bytes], encoding: Encoding) -> tuple[float, tuple[str, ...]]:
    """Write `(T, C)` float32 to `spool`; return the peak and what is odd about the file."""
    check_channels(path, source.info, encoding.channels)
    levels = Levels()
    peak = 0.0
    for block in convert_blocks(levels.watch(source), source.info, encoding.sample_rate, encoding.channels):
        peak = max(peak, float(np.abs(block).max(initial=0)))
        spool.write(block.T.astype("<f4").tobytes())
    if defect := levels.defect():
        raise AudioFileError(path, defect)
    if not spool.tell():
        raise AudioFileError(path, f"too short: nothing is left of it at {encoding.sample_rate} Hz")
    return peak, levels.warnings(source.info, mono=encoding.channels == 1)


def _read_back(spool: IO[bytes]) -> Iterator[np.ndarray]:
    while data := spool.read(4 * BLOCK_VALUES):
        yield np.frombuffer(data, "<f4").astype(np.float64)
