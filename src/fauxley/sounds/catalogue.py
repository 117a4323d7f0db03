"""The sounds that a folder holds, with label and licence: from its manifest.csv if it has one, else from sub-folders.

A manifest.csv needs a column `file` (names relative to the folder) and may have `label`, `license`, who or what made
the sound (`source`, `speaker` or `speaker_or_source`) and any others to select by, such as `split`. Then it decides:
audio files that it does not list are reported and not used. Without one, or where it has no column `label`, a file's
label is the first folder of its name; files directly in the folder have none. A folder that holds all sounds and sorts
them into folders of its own, as an unpacked archive does, is passed over: of `Pack/kick/1.wav` and `Pack/snare/1.wav`
the labels are kick and snare.

Such tables come from spreadsheets and from other machines, so names are taken with spaces around them, with
backslashes, in either Unicode form and as absolute paths, as long as they lead to a file inside the folder. A row
that leads to none is reported, with the name that was probably meant.
"""

import csv
import difflib
import hashlib
import json
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.serialization import one_line
from fauxley.sounds.finding import AUDIO_SUFFIXES, Skipped, find_audio

_SOURCE_COLUMNS = ("source", "speaker", "speaker_or_source")  # the first that there is


Row = dict[str, str]


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
        """The same sounds in an order that has nothing to do with names: any stretch of it is a sample of the whole."""
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
    labels = _folder_labels(paths)
    if listing is None:
        rows: dict[str, Row] = {name: {"label": label} for name, label in labels.items()}
        listed = Listing(())
    else:
        rows = {name: {"label": labels[name]} | row for name, row in listing.rows.items()}
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


def _folder_labels(names: Iterable[str]) -> dict[str, str]:
    """The label of each sound by its folder, "" if it has none."""
    folders = {name: name.split("/")[:-1] for name in names}
    level, deepest = 0, max(map(len, folders.values()), default=0)
    while level + 1 < deepest and len({tuple(each[: level + 1]) for each in folders.values()}) == 1:
        level += 1
    return {name: each[level] if len(each) > level else "" for name, each in folders.items()}


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


LISTING_FILE = "manifest.csv"
_COLUMNS = ("file", "label", "license")  # in upper or lower case
_GUESSES = 50  # rows for which similar names are looked for, which takes long
_CANDIDATES = 5000


@dataclass
class Listing:
    """The rows of a manifest.csv about the files of a folder.

    Attributes:
        columns: names of its columns.
        rows: file found → its row.
        warnings: file found → what its rows contradict each other in.
        unused: name as written → row and why it leads to no file.
    """

    columns: tuple[str, ...]
    rows: dict[str, Row] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    unused: list[tuple[Skipped, Row]] = field(default_factory=list)


def read_listing(folder: Path, files: Sequence[str], skipped: Iterable[str] = ()) -> Listing | None:
    """Match the rows of the manifest.csv in `folder` with its `files`; None if there is no such table.

    Args:
        folder: where it is.
        files: names of the audio files found, relative to the folder, with forward slashes.
        skipped: names that are reported already.

    Raises:
        FauxleyError: it cannot be read, or has no column `file`.
    """
    table = _read(folder / LISTING_FILE)
    if table is None:
        return None
    columns, rows = table
    names, reported = _Names(folder, files), set(skipped)
    listing = Listing(columns)
    for number, row in enumerate(rows, 2):
        written = row["file"]
        if not written:
            if any(row.values()):
                listing.unused.append((Skipped(LISTING_FILE, f"row {number} names no file"), row))
            continue
        name = names.find(written)
        if name is None:
            if written not in reported:
                reason = f"listed in {LISTING_FILE} but {names.why_not(written)}"
                listing.unused.append((Skipped(written, reason), row))
        elif name not in listing.rows:
            listing.rows[name] = row
        elif differences := _differences(listing.rows[name], row):
            listing.warnings[name] = f"listed twice in {LISTING_FILE}, with {differences}; the first row counts"
    return listing


def _read(path: Path) -> tuple[tuple[str, ...], list[Row]] | None:
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            reader = csv.DictReader(stream, strict=True, restval="")
            columns = {column: _column(column) for column in reader.fieldnames or ()}
            if "file" not in columns.values():
                raise FauxleyError(
                    f"{printable(path)} has no column 'file' (columns are separated by commas, the text is UTF-8); "
                    "name the column so, or rename the table if it is not about the sounds"
                )
            rows = [
                {columns[key]: value.strip() for key, value in row.items() if key in columns and value is not None}
                for row in reader
            ]
    except (OSError, csv.Error) as error:
        raise FauxleyError(f"{printable(path)} cannot be read: {one_line(error)}") from error
    return tuple(columns.values()), rows


def _column(written: str) -> str:
    name = written.strip()
    return name.lower() if name.lower() in _COLUMNS else name


def _differences(first: Row, second: Row) -> str:
    """Columns in which two rows of a file contradict each other, with what they say."""
    different = [key for key in first if key != "file" and first[key] != second.get(key, "")]
    return ", ".join(f"{key} {first[key]!r} and {second.get(key, '')!r}" for key in different)


class _Names:
    """The files of a folder, to be found by names that are written differently."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self._folder = folder
        self._roots = {os.path.abspath(folder), os.path.realpath(folder)}  # noqa: PTH100
        self._files = set(files)
        self._composed = {unicodedata.normalize("NFC", name): name for name in files}
        self._by_case = {name.casefold(): name for name in self._composed}
        self._by_base: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in self._composed:
            base = name.rpartition("/")[2].casefold()
            self._by_base.setdefault(base, []).append(name)
            self._by_stem.setdefault(base.rpartition(".")[0], []).append(name)
        self._guesses = _GUESSES

    def find(self, written: str) -> str | None:
        """The file that is meant by `written`, if there is one."""
        for spelling in (written, written.replace("\\", "/")):
            inside = self._inside(spelling)
            if inside is not None:
                if inside in self._files:
                    return inside
                if (found := self._composed.get(unicodedata.normalize("NFC", inside))) is not None:
                    return found
        return None

    def why_not(self, written: str) -> str:
        """Say what is wrong with a name that leads to no file."""
        inside = self._inside(written.replace("\\", "/"))
        if inside is None:
            return "leads out of the folder" + self._guess(written)
        if any(part.startswith(".") for part in inside.split("/")):
            return "hidden: a name in it begins with a dot"
        path = self._folder / inside
        try:
            exists, is_file = path.exists(), path.is_file()
        except (OSError, ValueError):
            exists = is_file = False
        if self._by_case.get(unicodedata.normalize("NFC", inside).casefold()):
            return "missing" + self._guess(inside)
        if exists and not is_file:
            return "a folder, not a file"
        if is_file and path.suffix.lower() not in AUDIO_SUFFIXES:
            return f"{path.suffix or 'a name without ending'} is not an ending of audio files"
        if is_file:
            return "the same file as one with another name"
        return "missing" + self._guess(inside)

    def _inside(self, written: str) -> str | None:
        """`written` as a name relative to the folder; None if it leads out of it."""
        for root in self._roots:
            path = os.path.normpath(os.path.join(root, written))  # noqa: PTH118
            if path.startswith(root.rstrip(os.sep) + os.sep):
                return path[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, "/")
        return None

    def _guess(self, written: str) -> str:
        """A hint at the name that was probably meant, or ""."""
        name = unicodedata.normalize("NFC", written).replace("\\", "/")
        if (same := self._by_case.get(name.casefold())) is not None:
            return f"; upper and lower case differ from {printable(same)}"
        base = name.rpartition("/")[2].casefold()
        for near in (self._by_base.get(base), self._by_stem.get(base), self._by_stem.get(base.rpartition(".")[0])):
            if near and base:
                return f"; perhaps {printable(near[0])} is meant"
        if self._guesses and len(self._composed) <= _CANDIDATES:
            self._guesses -= 1
            if close := difflib.get_close_matches(name, self._composed, n=1):
                return f"; perhaps {printable(close[0])} is meant"
        return ""
