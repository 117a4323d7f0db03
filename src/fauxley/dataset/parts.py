"""Packing in parts: workers decode a few files each, and what they wrote is appended to the dataset in order.

A part consists of two files, `.int16` and then `.json`, each written atomically; if the second exists, the part is
complete. The files of a part depend only on the list of files, so any packing may finish what another began.

A part's samples are deleted once they are appended and flushed to the disk, so packing needs the room of the dataset
only once. What has been appended follows from the parts' reports and the sizes on the disk, however the packing before
ended: there is no journal that could contradict them.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np

from fauxley.dataset.cutting import Cutter, Cutting, Hit, fade_ends
from fauxley.dataset.format import PLACE, DatasetEntry
from fauxley.dataset.pack_settings import Encoding
from fauxley.dataset.shards import ShardWriter
from fauxley.dataset.shared_progress import NO_PROGRESS, Progress, WorkerProgress, shared_progress
from fauxley.errors import FauxleyError, printable
from fauxley.parallel import in_order
from fauxley.serialization import parse_json, read_file, reading
from fauxley.sounds.catalogue import Catalogue, Sound
from fauxley.sounds.decoder_process import close_idle
from fauxley.sounds.finding import Skipped
from fauxley.sounds.measurements import STEP, Levels
from fauxley.sounds.reading import BLOCK_VALUES, AudioFile, AudioFileError, check_channels, convert_blocks, open_audio
from fauxley.sounds.writing import quantise
from fauxley.storage import atomic_file, hash_file

Heard = Callable[[float], None] | None  # is called with the share of a file that is done

_PART_FILES = 64
_PART_BYTES = 64 << 20
# Normalising needs the peak before the first sample is written, so a file is kept as float32 until then: in memory if
# it is short, on the disk if it is long. (Decoding twice would cost more.)
_SPOOL_BYTES = 16 << 20


@dataclass(frozen=True)
class PackedSound:
    """A file, or a hit of it, in a part: see `fauxley.dataset.format.DatasetEntry`.

    Attributes:
        seconds: the hit's start in the file; "" for a whole file.
    """

    file: str
    num_samples: int
    peak: float
    sha256: str
    warnings: tuple[str, ...]
    seconds: str = ""


def split_into_parts(sounds: Sequence[Sound]) -> list[list[str]]:
    """Split files, in order, into parts with limited numbers of files and bytes."""
    parts: list[list[str]] = []
    room = 0
    for sound in sounds:
        if not parts or len(parts[-1]) == _PART_FILES or sound.num_bytes > room:
            parts.append([])
            room = _PART_BYTES
        parts[-1].append(sound.file)
        room -= sound.num_bytes
    return parts


def write_part(
    folder: Path, files: Sequence[str], part: Path, encoding: Encoding, progress: WorkerProgress = NO_PROGRESS
) -> None:
    """Decode `files` of `folder` into `part`.int16, and report on each in `part`.json.

    Raises:
        OSError: the part cannot be written. A defect of a file is reported, never raised.
    """
    if not folder.is_dir():  # not visible from this machine, which is not a defect of each file
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    results: list[PackedSound | Skipped] = []
    with atomic_file(part.with_suffix(".int16")) as path, path.open("wb") as out:
        for done, file in enumerate(files):
            results.extend(_append(folder, file, out, part.parent, encoding, progress.within(done)))
    progress.write(len(files))
    with atomic_file(part.with_suffix(".json")) as path:
        path.write_text(json.dumps([asdict(result) for result in results]))


def read_part(part: Path) -> list[PackedSound | Skipped] | None:
    """Read the report of `write_part`; None if the part is not complete."""
    file = part.with_suffix(".json")
    if not file.exists():
        return None
    with reading(f"{printable(file)} is damaged; remove its folder and run it again"):
        rows = parse_json(read_file(file))
        return [Skipped(**row) if "reason" in row else PackedSound(**row) for row in rows]


def _append(
    folder: Path, file: str, out: IO[bytes], scratch: Path, encoding: Encoding, heard: Heard
) -> Sequence[PackedSound] | Sequence[Skipped]:
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
        # Silence is not normalised: dividing dither or rounding noise by its own peak would make it loud.
        gain = 1 / peak if encoding.normalize and peak >= STEP else 1.0
        spool.seek(0)
        for values in _read_back(spool):
            out.write(quantise(values * gain).astype("<i2").tobytes())
    return [PackedSound(file, num_samples, peak, sha256, warnings)]


def _append_hits(
    file: str,
    spool: IO[bytes],
    out: IO[bytes],
    encoding: Encoding,
    hits: Sequence[Hit],
    scale: float,
    sha256: str,
    warnings: tuple[str, ...],
) -> Sequence[PackedSound] | Sequence[Skipped]:
    """Write the hits of a file, each as a sound; `spool` holds the file at `scale` times its own rate."""
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
        packed.append(PackedSound(file, end - begin, peak, sha256, warnings, seconds))
    return packed or [Skipped(file, "no hits: nothing stands out from the background", sha256)]


def _decode(
    path: Path, source: AudioFile, spool: IO[bytes], encoding: Encoding, heard: Heard, cutter: Cutter | None
) -> tuple[float, tuple[str, ...]]:
    """Write (T, C) float32 to `spool`; return the peak and what is unusual about the file. `cutter` analyses it."""
    check_channels(path, source.info, encoding.channels)
    levels = Levels()
    peak = 0.0
    blocks = levels.watch(source, heard)
    if cutter:
        blocks = cutter.watch(blocks)
    with np.errstate(over="ignore", invalid="ignore"):  # damaged floats may have any value; `levels` judges them
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


class DatasetBuilder:
    """The parts of one packing in its work folder, and the audio that is assembled from them."""

    def __init__(
        self, catalogue: Catalogue, encoding: Encoding, work: Path, strict: bool, shard_bytes: int | None
    ) -> None:
        self.output = work / "dataset"
        self.output.mkdir(exist_ok=True)
        self._catalogue = catalogue
        self._encoding = encoding
        self._strict = strict
        self._parts = split_into_parts(catalogue.sounds)
        self._names = [work / f"part-{index:06d}" for index in range(len(self._parts))]
        self.writer = ShardWriter(self.output, shard_bytes)
        self._results: list[PackedSound | Skipped] = []

    def run(self, n_jobs: int | None, progress: Progress) -> None:
        """Write the missing parts and append all parts to the audio.

        Raises:
            OSError: there is no room, or no permission.
            BrokenExecutor: a worker process died.
            FauxleyError: `strict` is set, and a file cannot be used.
        """
        first = self._recover()
        missing = [index for index in range(first, len(self._parts)) if not self._is_written(index)]
        folder = self._catalogue.folder.absolute()  # a worker may have another working directory
        total = sum(map(len, self._parts))
        unwritten = set(missing)
        with shared_progress(len(missing), total, progress, sum(map(len, self._parts[:first]))) as shown:
            tasks = (
                (folder, self._parts[index], self._names[index].absolute(), self._encoding, shown.worker(number))
                for number, index in enumerate(missing)
            )
            with closing(in_order(write_part, tasks, n_jobs if len(missing) > 1 else 1)) as written:
                for index in range(first, len(self._parts)):
                    if index in unwritten:
                        next(written)
                    self._append(index)
                    shown.report(sum(map(len, self._parts[: index + 1])))
        close_idle()

    def entries(self) -> list[DatasetEntry]:
        """The rows of manifest.csv, after `run`.

        Raises:
            FauxleyError: no file can be used.
        """
        sounds = {sound.file: sound for sound in self._catalogue.sounds}
        first_of: dict[str, str] = {}
        entries = []
        used = [result for result in self._results if isinstance(result, PackedSound)]
        for packed, offset in zip(used, self.writer.offsets, strict=True):
            sound = sounds[packed.file]
            first = first_of.setdefault(packed.sha256, packed.file)
            same = f"same content as {first}" if first != packed.file else ""
            odd = [text for text in (*packed.warnings, sound.warning, same) if text]
            entry = DatasetEntry(
                file=f"{packed.file}{PLACE}{packed.seconds}" if packed.seconds else packed.file,
                label=sound.label,
                offset=offset // (2 * self._encoding.channels),
                num_samples=packed.num_samples,
                duration_seconds=packed.num_samples / self._encoding.sample_rate,
                peak=packed.peak,
                sha256=packed.sha256,
                license=sound.license,
                warnings="; ".join(odd),
                source=sound.source,
            )
            entries.append(entry)
        if not entries:
            complain(self.skipped())
        return entries

    def skipped(self) -> list[Skipped]:
        """The rows of skipped.csv."""
        failed = [result for result in self._results if isinstance(result, Skipped)]
        return sorted([*self._catalogue.unused, *failed], key=lambda skip: skip.file)

    def _recover(self) -> int:
        """The number of parts that an earlier packing has appended completely; the rest of the audio is cut off."""
        reported = []
        for name in self._names:
            results = read_part(name)
            if results is None:
                break
            reported.append(results)
        count = self.writer.recover([self._sizes(results) for results in reported])
        for results in reported[:count]:
            self._collect(results)
        return count

    def _is_written(self, index: int) -> bool:
        name = self._names[index]
        return name.with_suffix(".json").exists() and name.with_suffix(".int16").exists()

    def _append(self, index: int) -> None:
        name = self._names[index]
        results = read_part(name)
        if results is None:
            raise FauxleyError(f"{printable(name)}.json has vanished; is another program clearing that folder?")
        self._collect(results)
        part = name.with_suffix(".int16")
        with part.open("rb") as source:
            self.writer.append(source, self._sizes(results))
        part.unlink()

    def _collect(self, results: Sequence[PackedSound | Skipped]) -> None:
        if self._strict:
            complain([result for result in results if isinstance(result, Skipped)])
        self._results += results

    def _sizes(self, results: Sequence[PackedSound | Skipped]) -> list[int]:
        return [2 * self._encoding.channels * r.num_samples for r in results if isinstance(r, PackedSound)]


def complain(skipped: Sequence[Skipped]) -> None:
    """Raise `FauxleyError` if `skipped` is not empty."""
    if skipped:
        first = f"{printable(skipped[0].file)}: {skipped[0].reason}"
        raise FauxleyError(f"{len(skipped)} of the files cannot be used; the first: {first}")
