"""One worker's share of packing: decode a few files and write them, as int16, to a part of the store.

A part is two files, `.int16` and then `.json`, each written atomically; where the second is, the part is whole.
Which files make up a part depends on the list of files alone, so that any run may finish what another began.
"""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np

from fauxley.dataset.board import NOWHERE, Place
from fauxley.dataset.cutting import Cutter, Cutting, Hit, fade_ends
from fauxley.errors import printable
from fauxley.serialization import parse_json, read_file, reading
from fauxley.sounds.catalogue import Sound
from fauxley.sounds.finding import Skipped
from fauxley.sounds.measurements import STEP, Levels
from fauxley.sounds.reading import BLOCK_VALUES, AudioFile, AudioFileError, check_channels, convert_blocks, open_audio
from fauxley.sounds.writing import quantise
from fauxley.storage import atomic_file

Heard = Callable[[float], None] | None  # told the share of a file that is done

_PART_FILES = 64
_PART_BYTES = 64 << 20
# Normalising needs the peak before the first sample is written, so a file waits as float32: in memory while it is
# short, on the disk when it is long. (Decoding twice instead costs more than that disk.)
_SPOOL_BYTES = 16 << 20


@dataclass(frozen=True)
class Encoding:
    """What the stored samples depend on besides the files; see `PackSettings`.

    Attributes:
        cutting: how recordings are cut at their hits; None: they are kept whole.
        longest: samples in a hit, at most.
    """

    sample_rate: int
    channels: int
    normalize: bool
    cutting: Cutting | None = None
    longest: int = 0


@dataclass(frozen=True)
class Packed:
    """A file, or a hit of it, that is in a part: see `fauxley.dataset.store.Entry`.

    Attributes:
        seconds: where in the file the hit begins; "" of a whole file.
    """

    file: str
    num_samples: int
    peak: float
    sha256: str
    warnings: tuple[str, ...]
    seconds: str = ""


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


def write_part(folder: Path, files: Sequence[str], part: Path, encoding: Encoding, place: Place = NOWHERE) -> None:
    """Decode `files` of `folder` into `part`.int16 and say in `part`.json what became of each.

    `place` shows how far it is.

    Raises:
        OSError: the part cannot be written. What is wrong with a file is never raised.
    """
    if not folder.is_dir():  # on another machine: not the fault of each file
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    results: list[Packed | Skipped] = []
    with atomic_file(part.with_suffix(".int16")) as path, path.open("wb") as out:
        for done, file in enumerate(files):
            results.extend(_append(folder, file, out, part.parent, encoding, place.within(done)))
    place.write(len(files))
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


def _append(
    folder: Path, file: str, out: IO[bytes], scratch: Path, encoding: Encoding, heard: Heard
) -> Sequence[Packed] | Sequence[Skipped]:
    path = folder / file
    try:
        sha256 = hash_file(path)
    except OSError as error:
        return [Skipped(file, f"cannot be read: {error.strerror}")]
    with SpooledTemporaryFile(max_size=_SPOOL_BYTES, dir=str(scratch), prefix=".partial-") as spool:
        try:
            with open_audio(path) as source:
                cutter = Cutter(source.info.sample_rate, encoding.cutting) if encoding.cutting else None
                peak, warnings = _decode(path, source, spool, encoding, heard, cutter)
                scale = encoding.sample_rate / source.info.sample_rate
        except AudioFileError as error:
            return [Skipped(file, error.reason, sha256)]
        if cutter:
            return _append_hits(file, spool, out, encoding, cutter.hits(), scale, sha256, warnings)
        num_samples = spool.tell() // (4 * encoding.channels)
        # Silence stays silence: dividing dither or rounding noise by its own peak would make a roar of it.
        gain = 1 / peak if encoding.normalize and peak >= STEP else 1.0
        spool.seek(0)
        for values in _read_back(spool):
            out.write(quantise(values * gain).astype("<i2").tobytes())
    return [Packed(file, num_samples, peak, sha256, warnings)]


def _append_hits(
    file: str,
    spool: IO[bytes],
    out: IO[bytes],
    encoding: Encoding,
    hits: Sequence[Hit],
    scale: float,
    sha256: str,
    warnings: tuple[str, ...],
) -> Sequence[Packed] | Sequence[Skipped]:
    """Write the hits of a file, which lies in `spool` at `scale` times its own rate, each as a sound of its own."""
    cutting = encoding.cutting or Cutting()
    sample_bytes = 4 * encoding.channels
    total = spool.tell() // sample_bytes
    packed = []
    for hit in hits:
        begin, attack, end = (round(scale * place) for place in (hit.begin, hit.attack, hit.end))
        end = min(end, total, begin + encoding.longest)
        if begin >= end:
            continue
        spool.seek(begin * sample_bytes)
        samples = np.frombuffer(spool.read((end - begin) * sample_bytes), "<f4").reshape(-1, encoding.channels)
        audio = fade_ends(samples.T, attack - begin, round(cutting.fade_out_seconds * encoding.sample_rate))
        peak = float(np.abs(audio).max())
        gain = 1 / peak if encoding.normalize and peak >= STEP else 1.0
        out.write(quantise(audio.T * gain).astype("<i2").tobytes())
        seconds = f"{begin / encoding.sample_rate:.3f}"
        packed.append(Packed(file, end - begin, peak, sha256, warnings, seconds))
    return packed or [Skipped(file, "no hit in it: nothing stands out of what goes on all the time", sha256)]


def _decode(
    path: Path, source: AudioFile, spool: IO[bytes], encoding: Encoding, heard: Heard, cutter: Cutter | None
) -> tuple[float, tuple[str, ...]]:
    """Write `(T, C)` float32 to `spool`; return the peak and what is odd about the file. `cutter` listens."""
    check_channels(path, source.info, encoding.channels)
    levels = Levels()
    peak = 0.0
    blocks = levels.watch(source, heard)
    if cutter:
        blocks = cutter.watch(blocks)
    with np.errstate(over="ignore", invalid="ignore"):  # damaged floats may be anything; `levels` judges them
        for block in convert_blocks(blocks, source.info, encoding.sample_rate, encoding.channels):
            peak = max(peak, float(np.abs(block).max(initial=0)))
            spool.write(block.T.astype("<f4").tobytes())
    if defect := levels.defect():
        raise AudioFileError(path, defect)
    if not spool.tell():
        raise AudioFileError(path, f"too short: nothing is left of it at {encoding.sample_rate} Hz")
    return peak, levels.warnings(source, mono=encoding.channels == 1)


def _read_back(spool: IO[bytes]) -> Iterator[np.ndarray]:
    while data := spool.read(4 * BLOCK_VALUES):
        yield np.frombuffer(data, "<f4").astype(np.float64)
