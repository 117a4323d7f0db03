"""The folder that a dataset is: its files, its tables, and how they are read and written.

Others may read it too; `FORMAT_VERSION` rises when it changes.

    dataset.json   sample rate, channels, how it was made, totals: see `DatasetInfo`
    manifest.csv   a row for each file, in the order of the audio: see `Entry`
    skipped.csv    file, reason, sha256 of what was not used
    audio.int16    little-endian 16-bit samples, (num_samples, channels), one file after another, nothing between

Files are whole: clips are cut on reading, by a `Slicing`. A value v stands for v / 32768. Nothing in it depends on
the time, the place or the machine it was made on.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fauxley.audio.files import Skipped
from fauxley.audio.slicing import Slicing
from fauxley.audio.sources import printable
from fauxley.errors import FauxleyError
from fauxley.serialization import from_json, to_json

FORMAT_VERSION = 1
INFO_FILE = "dataset.json"
MANIFEST_FILE = "manifest.csv"
SKIPPED_FILE = "skipped.csv"
AUDIO_FILE = "audio.int16"


@dataclass(frozen=True)
class DatasetInfo:
    """`dataset.json`.

    Attributes:
        format_version: of the folder.
        sample_rate: in Hz.
        channels: how many.
        normalize: whether each file was scaled to a peak of 1.
        where: the conditions on the columns of the source's manifest.csv, such as `split=train`.
        slicing: how clips are cut unless one asks otherwise.
        num_files: rows of manifest.csv.
        num_samples: in audio.int16, per channel.
        labels: the distinct labels, sorted; a label's index is its place here. Empty if there are none.
    """

    format_version: int
    sample_rate: int
    channels: int
    normalize: bool
    where: tuple[str, ...]
    slicing: Slicing
    num_files: int
    num_samples: int
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A row of `manifest.csv`.

    Attributes:
        file: name relative to the source folder, with forward slashes.
        label: "" if it has none.
        offset: where it begins in audio.int16, in samples per channel.
        num_samples: per channel.
        duration_seconds: num_samples / sample_rate.
        peak: of the decoded file before normalisation, so that its level can be restored.
        sha256: of the source file's content.
        license: as the source's manifest.csv states it, or "".
        warnings: what is odd about it, separated by semicolons.
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


_Row = TypeVar("_Row", Entry, Skipped)


def read_store(folder: Path) -> tuple[DatasetInfo, tuple[Entry, ...], NDArray[np.int16]]:
    """Read a dataset folder; the audio comes memory-mapped, `(num_samples, channels)`.

    Raises:
        FauxleyError: missing, not a dataset, of another format version, incomplete or inconsistent.
    """
    info = _read_info(folder)
    entries = tuple(_read_rows(folder / MANIFEST_FILE, Entry))
    ends = np.cumsum([0] + [entry.num_samples for entry in entries])
    if any(entry.num_samples < 1 for entry in entries):
        raise _broken(folder, f"{MANIFEST_FILE} lists a file without samples")
    if len(entries) != info.num_files or ends[-1] != info.num_samples or not info.num_samples:
        raise _broken(folder, f"{MANIFEST_FILE} does not match {INFO_FILE}")
    if any(entry.offset != end for entry, end in zip(entries, ends, strict=False)):
        raise _broken(folder, f"the offsets in {MANIFEST_FILE} do not follow one another")
    path = folder / AUDIO_FILE
    expected = 2 * info.num_samples * info.channels
    actual = path.stat().st_size if path.is_file() else 0
    if actual != expected:
        raise _broken(folder, f"{AUDIO_FILE} has {actual} bytes instead of {expected}")
    return info, entries, map_audio(folder, info.channels)


def map_audio(folder: Path, channels: int) -> NDArray[np.int16]:
    """The audio of a dataset folder, memory-mapped: `(num_samples, channels)`."""
    return np.memmap(folder / AUDIO_FILE, dtype="<i2", mode="r").reshape(-1, channels)


def read_skipped(folder: Path) -> list[Skipped]:
    """Read skipped.csv of a dataset folder."""
    return _read_rows(folder / SKIPPED_FILE, Skipped)


def write_tables(folder: Path, info: DatasetInfo, entries: Sequence[Entry], skipped: Sequence[Skipped]) -> None:
    """Write all of a dataset folder but the audio."""
    _write_rows(folder / MANIFEST_FILE, Entry, entries)
    _write_rows(folder / SKIPPED_FILE, Skipped, skipped)
    (folder / INFO_FILE).write_text(json.dumps(to_json(info), indent=2) + "\n", encoding="ascii")


def _write_rows(path: Path, row_type: type[_Row], rows: Sequence[_Row]) -> None:
    # File names are bytes, not always text: surrogateescape writes those bytes as they are.
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(row_type))
        writer.writerows(astuple(row) for row in rows)


def _read_info(folder: Path) -> DatasetInfo:
    if not folder.is_dir():
        raise FauxleyError(f"{printable(folder)} does not exist; make it with 'fauxley prepare'")
    try:
        data = json.loads((folder / INFO_FILE).read_bytes())
        version = data["format_version"]
    except FileNotFoundError as error:
        raise FauxleyError(f"{printable(folder)} is not a dataset; make one with 'fauxley prepare'") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _broken(folder, f"{INFO_FILE} cannot be read") from error
    if version != FORMAT_VERSION:
        raise FauxleyError(
            f"{printable(folder)} has dataset format {version}; this fauxley reads {FORMAT_VERSION}: "
            "update fauxley or prepare it again"
        )
    try:
        info = from_json(data, [DatasetInfo, Slicing])
    except FauxleyError as error:
        raise _broken(folder, f"{INFO_FILE}: {error}") from error
    if not isinstance(info, DatasetInfo) or info.channels < 1 or info.sample_rate < 1:
        raise _broken(folder, f"{INFO_FILE} makes no sense")
    return info


def _read_rows(path: Path, row_type: type[_Row]) -> list[_Row]:
    convert: dict[str, Any] = {field.name: field.type for field in fields(row_type)}
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.DictReader(file, strict=True)
            return [row_type(**{name: kind(row[name]) for name, kind in convert.items()}) for row in reader]
    except (OSError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise _broken(path.parent, f"{path.name} cannot be read") from error


def _broken(folder: Path, what: str) -> FauxleyError:
    return FauxleyError(f"{printable(folder)} is damaged: {what}; prepare it again with --overwrite")
