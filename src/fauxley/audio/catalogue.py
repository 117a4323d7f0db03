"""Which sounds a folder holds, with label and licence: from its manifest.csv if it has one, else from sub-folders.

A manifest.csv needs a column `file` (names relative to the folder) and may have `label`, `license`, who or what made
the sound (`source`, `speaker` or `speaker_or_source`) and any others to select by, such as `split`. Then it decides:
audio files that it does not list are reported and not used. Without one, a file's label is the first folder of its
name, and files directly in the folder have none.
"""

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fauxley.audio.files import AUDIO_SUFFIXES, Skipped, find_audio
from fauxley.audio.sources import printable
from fauxley.errors import FauxleyError, UsageError

LISTING_FILE = "manifest.csv"
_SOURCE_COLUMNS = ("source", "speaker", "speaker_or_source")  # the first that there is


@dataclass(frozen=True)
class Sound:
    """An audio file of a folder: its name with forward slashes; label, licence and source ("": unknown); its state."""

    file: str
    label: str
    license: str
    num_bytes: int
    modified_ns: int
    source: str = ""


@dataclass(frozen=True)
class Catalogue:
    """The sounds of a folder in a fixed order; what looked like sounds but cannot be used; what is not meant to be."""

    folder: Path
    sounds: tuple[Sound, ...]
    skipped: tuple[Skipped, ...]
    unlisted: tuple[Skipped, ...] = ()

    @property
    def unused(self) -> list[Skipped]:
        """Skipped and unlisted together."""
        return sorted([*self.skipped, *self.unlisted], key=lambda skip: skip.file)

    def mixed(self) -> "Catalogue":
        """The same in an order that has nothing to do with names: any stretch of it is a sample of the whole."""
        by_hash = sorted(self.sounds, key=lambda sound: hashlib.sha256(os.fsencode(sound.file)).digest())
        return replace(self, sounds=tuple(by_hash))

    def fingerprint(self, settings: str) -> str:
        """Changes with the list, the size or the time of the files, and with `settings`; not with their place."""
        rows = [[s.file, s.label, s.license, s.num_bytes, s.modified_ns, s.source] for s in self.sounds]
        text = json.dumps([settings, rows, [[s.file, s.reason] for s in self.unused]])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def list_sounds(folder: Path, where: Sequence[str] = ()) -> Catalogue:
    """List the sounds in `folder`.

    Args:
        folder: searched as `find_audio` does.
        where: conditions `column=value` on its manifest.csv that all must hold, such as `split=train`.

    Raises:
        UsageError: `folder` is missing, or a condition that can never hold.
        FauxleyError: there is no audio in it, or manifest.csv cannot be read.
    """
    folder = Path(folder)
    found = find_audio(folder)
    files = {path.relative_to(folder).as_posix(): path for path in found.files}
    if not files and not found.skipped:
        raise FauxleyError(f"no audio in {printable(folder)}: looked for {', '.join(sorted(AUDIO_SUFFIXES))}")
    rows = _read_listing(folder / LISTING_FILE)
    conditions = _conditions(where, rows, folder)
    skipped, unlisted = list(found.skipped), []
    if rows:
        named = {skip.file for skip in skipped}
        unlisted = [Skipped(name, f"not listed in {LISTING_FILE}") for name in files if name not in rows]
        selected = {name: row for name, row in rows.items() if _holds(row, conditions)}
        skipped += [
            Skipped(name, f"listed in {LISTING_FILE} but missing")
            for name in selected
            if name not in files and name not in named and not (folder / name).is_file()
        ]
        files = {name: path for name, path in files.items() if name in selected}
    sounds = tuple(_sound(name, path, rows.get(name, {})) for name, path in files.items())
    return Catalogue(folder, sounds, tuple(skipped), tuple(unlisted))


def _sound(name: str, path: Path, row: Mapping[str, str]) -> Sound:
    folder, slash, _ = name.partition("/")
    status = path.stat()
    label = row.get("label", folder if slash else "")
    source = next((row[column] for column in _SOURCE_COLUMNS if column in row), "")
    return Sound(name, label, row.get("license", ""), status.st_size, status.st_mtime_ns, source)


def _read_listing(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a manifest.csv by file; empty if there is none."""
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            reader = csv.DictReader(stream, strict=True, restval="")
            if "file" not in (reader.fieldnames or ()):
                raise FauxleyError(
                    f"{printable(path)} has no column 'file' (columns are separated by commas, the text is UTF-8); "
                    "name the column so, or rename the table if it is not about the sounds"
                )
            rows = [{key: value for key, value in row.items() if key is not None} for row in reader]
    except (OSError, csv.Error) as error:
        raise FauxleyError(f"{printable(path)} cannot be read: {error}") from error
    return {Path(row["file"]).as_posix(): row for row in rows if row["file"]}


def _conditions(where: Sequence[str], rows: Mapping[str, Mapping[str, str]], folder: Path) -> list[tuple[str, str]]:
    conditions = []
    for condition in where:
        column, equals, value = condition.partition("=")
        if not equals:
            raise UsageError(f"a condition is written column=value, such as split=train; got {condition!r}")
        if not rows:
            raise UsageError(f"{condition!r} needs a {LISTING_FILE} with a column 'file' in {printable(folder)}")
        values = sorted({row[column] for row in rows.values() if column in row})
        if not values:
            columns = ", ".join(next(iter(rows.values())))
            raise UsageError(f"{LISTING_FILE} has no column {column!r}; it has {columns}")
        if value not in values:
            raise UsageError(f"no file has {condition}; values of {column!r}: {', '.join(values[:10])}")
        conditions.append((column, value))
    return conditions


def _holds(row: Mapping[str, str], conditions: Sequence[tuple[str, str]]) -> bool:
    return all(row.get(column) == value for column, value in conditions)
