"""Which sounds a folder holds, with label and licence: from its manifest.csv if it has one, else from sub-folders.

A manifest.csv needs a column `file` (names relative to the folder) and may have `label`, `license`, who or what made
the sound (`source`, `speaker` or `speaker_or_source`) and any others to select by, such as `split`. Then it decides:
audio files that it does not list are reported and not used. Without one, or where it has no column `label`, a file's
label is the first folder of its name; files directly in the folder have none.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fauxley.errors import FauxleyError, UsageError
from fauxley.sounds.files import AUDIO_SUFFIXES, Skipped, find_audio
from fauxley.sounds.listing import LISTING_FILE, Listing, Row, read_listing
from fauxley.sounds.sources import printable

_SOURCE_COLUMNS = ("source", "speaker", "speaker_or_source")  # the first that there is


@dataclass(frozen=True)
class Sound:
    """An audio file of a folder.

    Its name has forward slashes; its label, licence and source are "" if unknown. `warning` says what the folder's
    manifest.csv contradicts itself in about it, or "".
    """

    file: str
    label: str
    license: str
    num_bytes: int
    modified_ns: int
    warning: str = ""
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
        where: conditions `column=value` that all must hold: on columns of its manifest.csv, such as split=train, or on
            labels, wherever they come from, such as label=snare.

    Raises:
        UsageError: `folder` is missing, or a condition that can never hold.
        FauxleyError: there is no audio in it, or manifest.csv cannot be read.
    """
    folder = Path(folder)
    found = find_audio(folder)
    paths = {path.relative_to(folder).as_posix(): path for path in found.files}
    if not paths and not found.skipped:
        raise FauxleyError(f"no audio in {printable(folder)}: looked for {', '.join(sorted(AUDIO_SUFFIXES))}")
    listing = read_listing(folder, list(paths), [skip.file for skip in found.skipped])
    if listing is None:
        rows: dict[str, Row] = {name: {"label": _folder_label(name)} for name in paths}
        listed = Listing(())
    else:
        rows = {name: {"label": _folder_label(name)} | row for name, row in listing.rows.items()}
        listed = listing
    columns = list(dict.fromkeys((*listed.columns, "label")))
    known = [*rows.values(), *(row for _, row in listed.unused)]
    conditions = _conditions(where, known, columns, folder, listing is not None)
    return Catalogue(
        folder,
        sounds=tuple(
            _sound(name, paths[name], rows[name], listed.warnings.get(name, ""))
            for name in paths
            if name in rows and _holds(rows[name], conditions)
        ),
        skipped=(*found.skipped, *(skip for skip, row in listed.unused if _holds(row, conditions))),
        unlisted=tuple(Skipped(name, f"not listed in {LISTING_FILE}") for name in paths if name not in rows),
    )


def _folder_label(name: str) -> str:
    folder, slash, _ = name.partition("/")
    return folder if slash else ""


def _sound(name: str, path: Path, row: Row, warning: str) -> Sound:
    status = path.stat()
    source = next((row[column] for column in _SOURCE_COLUMNS if column in row), "")
    return Sound(name, row["label"], row.get("license", ""), status.st_size, status.st_mtime_ns, warning, source)


def _conditions(
    where: Sequence[str], rows: Sequence[Row], columns: Sequence[str], folder: Path, has_listing: bool
) -> list[tuple[str, str]]:
    conditions = []
    for condition in where:
        column, equals, value = (text.strip() for text in condition.partition("="))
        if not equals:
            raise UsageError(f"a condition is written column=value, such as split=train; got {condition!r}")
        if column not in columns and not has_listing:
            raise UsageError(
                f"{condition!r} needs a {LISTING_FILE} with the columns 'file' and {column!r} in {printable(folder)}; "
                "without one, sounds can be selected by label alone, which is the name of their folder"
            )
        if column not in columns:
            raise UsageError(f"{LISTING_FILE} has no column {column!r}; it has {', '.join(columns)}")
        values = sorted({row[column] for row in rows if column in row})
        if value not in values:
            known = f"values of {column!r}: {', '.join(map(printable, values[:10]))}"
            raise UsageError(f"no file has {condition}; {known}")
        conditions.append((column, value))
    return conditions


def _holds(row: Mapping[str, str], conditions: Sequence[tuple[str, str]]) -> bool:
    return all(row.get(column) == value for column, value in conditions)
