"""The format of a dataset's folder: its files, its tables, and how they are read and written.

Other programs may read it, too; the format version is raised when it changes. Format 1:

    dataset.json   sample rate, channels, how it was made, totals: see `DatasetInfo`
    manifest.csv   a row for each file, in the order of the audio: see `DatasetEntry`
    skipped.csv    file, reason and sha256 of each file that was not used
    audio.int16    little-endian 16-bit samples, (num_samples, channels), one file directly after another

Format 2, of a dataset in shards, can hold millions of files:

    dataset.json        a `ShardedInfo`, which also lists the shards with their checksums
    manifest.csv        as above, but read only on request; `offset` counts within the shard
    lengths.uint32      samples of each file, per channel. With the next file it is all that training needs of the
    labels.int32        manifest: the index of each file's label in `labels`, or -1. Both are mapped, never parsed
    audio-000000.int16  whole files up to about `shard_bytes`; then audio-000001.int16, ...

The files of format 2 are in random order, so that each shard is a sample of the whole.

Files are stored whole; a `Slicing` cuts clips when they are read. If it is a `HitSlicing`, recordings were cut at their
onsets: each hit has a row as if it were a file, named NAME#t=SECONDS after its start. A value v stands for v / 32768.
Nothing depends on the time, the place or the machine of packing.
"""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import MISSING, astuple, dataclass, fields
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fauxley.dataset.cutting import Cutting
from fauxley.dataset.location import Location, is_url
from fauxley.dataset.slicing import HitSlicing, Slicing
from fauxley.errors import FauxleyError, printable
from fauxley.serialization import MOST_BYTES, from_json, parse_versioned, to_json
from fauxley.sounds.finding import Skipped

FORMAT_VERSION = 1
SHARDED_VERSION = 2
INFO_FILE = "dataset.json"
MANIFEST_FILE = "manifest.csv"
SKIPPED_FILE = "skipped.csv"
AUDIO_FILE = "audio.int16"
LENGTHS_FILE = "lengths.uint32"
LABELS_FILE = "labels.int32"
PLACE = "#t="  # between the name of a recording and the start of a hit, as in the W3C's media fragments
_SMALL_TABLE_BYTES = 1 << 26
_TABLE_BYTES = 1 << 29  # that a manifest of a dataset in one piece may have; one in shards may have
_ROW_BYTES = 4096  # for each of its files, whose number the index shows
LANES = 16  # of new datasets; see `fauxley.dataset.order`
SAMPLE_RATES = range(1000, 768_001)  # Hz
MOST_CHANNELS = 64
MOST_VALUES = 1 << 24  # samples of a clip over all channels: 64 channels of 262144


@dataclass(frozen=True)
class DatasetInfo:
    """The content of `dataset.json`.

    Attributes:
        format_version: of the folder.
        sample_rate: in Hz.
        channels: the number of channels.
        normalize: whether each file was scaled to a peak of 1.
        where: the conditions on columns of the source's manifest.csv, such as `split=train`.
        slicing: how clips are cut by default.
        num_files: rows of manifest.csv.
        num_samples: of all audio, per channel.
        labels: the distinct labels, sorted; other files refer to them by index. Empty if there are no labels.
    """

    format_version: int
    sample_rate: int
    channels: int
    normalize: bool
    where: tuple[str, ...]
    slicing: Slicing | HitSlicing
    num_files: int
    num_samples: int
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Shard:
    """A file of audio: the number of its sounds, its samples per channel, and its SHA-256 ("" if unknown)."""

    num_files: int
    num_samples: int
    sha256: str


@dataclass(frozen=True)
class ShardedInfo(DatasetInfo):
    """The content of `dataset.json` in a dataset in shards.

    Attributes:
        licenses: the distinct licences, sorted.
        shard_bytes: the size limit of a shard; only a single larger file may exceed it.
        lanes: the number of places that a training run reads at the same time; part of its order, see
            `fauxley.dataset.order`.
        manifest_sha256: of manifest.csv.
        lengths_sha256: of lengths.uint32.
        labels_sha256: of labels.int32.
        shards: in order.
    """

    licenses: tuple[str, ...]
    shard_bytes: int
    lanes: int
    manifest_sha256: str
    lengths_sha256: str
    labels_sha256: str
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class DatasetEntry:
    """A row of `manifest.csv`.

    Attributes:
        file: name relative to the source folder, with forward slashes; for a hit, followed by its start.
        label: "" if it has none.
        offset: its first sample in its file of audio, counted per channel.
        num_samples: per channel.
        duration_seconds: num_samples / sample_rate.
        peak: of the decoded file before normalisation, so that its level can be restored.
        sha256: of the source file's content.
        license: from the source's manifest.csv, or "".
        warnings: what is unusual about it, separated by semicolons.
        source: who or what made it, from the source's manifest.csv, or "". Older datasets lack this column.
    """

    file: str
    label: str
    offset: int
    num_samples: int
    duration_seconds: float
    peak: float
    sha256: str
    license: str
    warnings: str
    source: str = ""

    def origin(self, slicing: Slicing) -> str:
        """The name of the file that this row is, or is a hit of."""
        return self.file.rpartition(PLACE)[0] if isinstance(slicing, HitSlicing) else self.file


_Row = TypeVar("_Row", DatasetEntry, Skipped)


def is_dataset(place: Path | str) -> bool:
    """Whether a place is a dataset: a dataset's folder, or the URL of one."""
    return is_url(place) or (Path(place) / INFO_FILE).is_file()


def shard_file(number: int) -> str:
    """The name of a shard's file."""
    return f"audio-{number:06d}.int16"


def read_info(location: Location) -> DatasetInfo:
    """Read dataset.json.

    Raises:
        FauxleyError: it is missing, not a dataset's, of another format version, or inconsistent.
    """
    content = location.read(INFO_FILE, MOST_BYTES)
    data = parse_versioned(content, f"{location}: {INFO_FILE}", "dataset", (FORMAT_VERSION, SHARDED_VERSION))
    kind = ShardedInfo if data["format_version"] == SHARDED_VERSION else DatasetInfo
    try:
        info = from_json(data, [kind, Shard, Slicing, HitSlicing, Cutting])
    except FauxleyError as error:
        raise location.broken(f"{INFO_FILE}: {error}") from error
    if type(info) is not kind or not _makes_sense(info):
        raise location.broken(f"{INFO_FILE} is inconsistent")
    return info


def _makes_sense(info: DatasetInfo) -> bool:
    """Whether these numbers are possible. Whether they are right shows when the audio is opened."""
    return (
        info.sample_rate in SAMPLE_RATES
        and 1 <= info.channels <= MOST_CHANNELS
        and min(info.num_files, info.num_samples) >= 1
        and max(info.num_files, info.num_samples) < 1 << 53
        and info.slicing.clip_length * info.channels <= MOST_VALUES
    )


def read_entries(location: Location, info: DatasetInfo) -> tuple[DatasetEntry, ...]:
    """Read manifest.csv."""
    sha256 = info.manifest_sha256 if isinstance(info, ShardedInfo) else ""
    return tuple(_read_rows(location, MANIFEST_FILE, DatasetEntry, info, sha256))


def read_skipped(location: Location, info: DatasetInfo) -> list[Skipped]:
    """Read skipped.csv."""
    return _read_rows(location, SKIPPED_FILE, Skipped, info)


def write_tables(folder: Path, entries: Sequence[DatasetEntry], skipped: Sequence[Skipped]) -> None:
    """Write manifest.csv and skipped.csv."""
    _write_rows(folder / MANIFEST_FILE, DatasetEntry, entries)
    _write_rows(folder / SKIPPED_FILE, Skipped, skipped)


def write_index(folder: Path, entries: Sequence[DatasetEntry], labels: Sequence[str]) -> None:
    """Write lengths.uint32 and labels.int32.

    Raises:
        FauxleyError: a file is too long for the index.
    """
    longest = max(entries, key=lambda entry: entry.num_samples)
    if longest.num_samples >= 1 << 32:
        raise FauxleyError(f"{printable(longest.file)} is longer than 2^32 samples; cut it, or write no shards")
    places = {label: index for index, label in enumerate(labels)}
    np.array([entry.num_samples for entry in entries], "<u4").tofile(folder / LENGTHS_FILE)
    np.array([places.get(entry.label, -1) for entry in entries], "<i4").tofile(folder / LABELS_FILE)


def write_info(folder: Path, info: DatasetInfo) -> None:
    """Write dataset.json."""
    (folder / INFO_FILE).write_text(json.dumps(to_json(info), indent=2) + "\n", encoding="ascii")


def _write_rows(path: Path, row_type: type[_Row], rows: Sequence[_Row]) -> None:
    # File names are bytes, not always valid text: surrogateescape writes those bytes unchanged.
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(row_type))
        writer.writerows(astuple(row) for row in rows)


def _read_rows(location: Location, name: str, row_type: type[_Row], info: DatasetInfo, sha256: str = "") -> list[_Row]:
    convert: dict[str, Any] = {f.name: _finite if f.type is float else f.type for f in fields(row_type)}
    most = _SMALL_TABLE_BYTES + _ROW_BYTES * info.num_files if isinstance(info, ShardedInfo) else _TABLE_BYTES
    content = location.read(name, most, sha256)
    try:
        if b"\0" in content:  # a sparse file takes no room on the disk, but much in memory as text
            raise ValueError("it is not text")
        reader = csv.DictReader(StringIO(content.decode("utf-8", "surrogateescape"), newline=""), strict=True)
        missing = {field.name for field in fields(row_type) if field.default is not MISSING}
        missing.difference_update(reader.fieldnames or ())
        return [
            row_type(**{name: kind(_cell(row, name)) for name, kind in convert.items() if name not in missing})
            for row in reader
        ]
    except (OSError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise location.broken(f"{name} cannot be read") from error


def _cell(row: dict[str | None, Any], name: str) -> str:
    if not isinstance(row[name], str) or None in row:
        raise ValueError("a row has not as many cells as the header")
    return str(row[name])


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value
