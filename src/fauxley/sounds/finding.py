"""Finds the audio files in a folder by their names, in the same order on every machine; opens none of them."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from fauxley.errors import UsageError, printable
from fauxley.sounds.containers import SAMPLER_ENDINGS

_ENDINGS = (
    "wav wave bwf rf64 w64 flac ogg oga opus mp3 aif aiff aifc au snd caf "
    "m4a m4b mp4 m4v mov aac wma webm mkv mka 3gp amr ac3 ape wv"
)
AUDIO_SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())


@dataclass(frozen=True)
class Skipped:
    """A file that is not used: its name relative to the folder, why, and (if it could be read) its content's hash."""

    file: str
    reason: str
    sha256: str = ""


@dataclass(frozen=True)
class Found:
    """The result of `find_audio`: regular files in a fixed order, and what looks like audio but cannot be used."""

    files: tuple[Path, ...]
    skipped: tuple[Skipped, ...]


def find_audio(folder: Path) -> Found:
    """Find the audio files below `folder`, by their endings in upper or lower case, sorted by name.

    Names that begin with a dot are passed over, folders too (macOS puts resource forks and trash there). Symbolic
    links are followed, but each file and each folder counts once, real names before links, so that neither loops nor
    links double anything; a link to a folder that holds `folder` itself is a loop too.

    Raises:
        UsageError: `folder` is missing or not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{printable(folder)} " + ("is not a folder" if folder.exists() else "does not exist"))
    walk = _Walk(folder)
    walk.run()
    return Found(tuple(sorted(walk.files)), tuple(sorted(walk.skipped, key=lambda skipped: skipped.file)))


class _Walk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Path] = []
        self.skipped: list[Skipped] = []
        self._links: list[Path] = []
        # Folders above are seen already: a link to one of them would lead back here.
        self._seen = {_identity(parent.stat()) for parent in folder.resolve().parents}

    def run(self) -> None:
        self._enter(self.folder)
        while self._links:
            links, self._links = sorted(self._links), []
            for link in links:
                self._take(link, follow=True)

    def _enter(self, folder: Path) -> None:
        pending = [folder]
        while pending:
            current = pending.pop()
            if not self._first_time(current.stat()):
                continue
            try:
                entries = sorted(current.iterdir())
            except OSError as error:
                self._skip(current, f"cannot be opened: {error.strerror}")
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    self._hint_at_placeholder(entry)
                else:
                    pending.extend(self._take(entry, follow=False))

    def _take(self, path: Path, follow: bool) -> tuple[Path, ...]:
        """Sort one name into files, links to be followed later, and folders, which are returned."""
        try:
            status = path.stat() if follow else path.lstat()
        except OSError as error:
            annexed = path.is_symlink() and ".git/annex/objects" in path.readlink().as_posix()
            hint = "; 'git annex get' fetches the file" if annexed else ""
            self._skip(path, f"a link that leads nowhere: {error.strerror}{hint}")
            return ()
        if stat.S_ISLNK(status.st_mode):
            self._links.append(path)
        elif stat.S_ISDIR(status.st_mode):
            if not follow:
                return (path,)
            self._enter(path)
        elif stat.S_ISREG(status.st_mode):
            suffix = path.suffix.lower()
            if suffix in AUDIO_SUFFIXES and self._first_time(status):
                self.files.append(path)
            elif suffix in SAMPLER_ENDINGS:
                self.skipped.append(Skipped(self._name(path), f"not recognised as audio: {SAMPLER_ENDINGS[suffix]}"))
        else:
            self._skip(path, "is not a regular file")
        return ()

    def _hint_at_placeholder(self, path: Path) -> None:
        """iCloud leaves `.kick.wav.icloud` behind where it keeps kick.wav elsewhere."""
        name = path.name.removeprefix(".").removesuffix(".icloud")
        if path.name.endswith(".icloud") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
            reason = "only a placeholder of iCloud is here; download the file first"
            self.skipped.append(Skipped(self._name(path.with_name(name)), reason))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _first_time(self, status: os.stat_result) -> bool:
        identity = _identity(status)
        if status.st_ino == 0:  # a file system without inode numbers
            return True
        new = identity not in self._seen
        self._seen.add(identity)
        return new

    def _skip(self, path: Path, reason: str) -> None:
        if path.is_dir() or path.suffix.lower() in AUDIO_SUFFIXES:
            self.skipped.append(Skipped(self._name(path), reason))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
