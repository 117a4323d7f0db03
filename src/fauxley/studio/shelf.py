"""The shelf: a folder on disk that starred sounds are written to, each a WAV file with a JSON file beside it."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fauxley.sounds.sidecars import facts_beside
from fauxley.sounds.writing import write_audio
from fauxley.storage import check_folder_place, replace
from fauxley.studio.instruments import Float

_REMOVED = "removed"
_MOST = 5000
_LONGEST_NAME = 60
# Names that Windows keeps for devices.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Shelved:
    """A sound on the shelf: its file's name, and what lies beside it."""

    file: str
    facts: Mapping[str, Any]


class Shelf:
    """Starred sounds in a folder, which is made when the first is put there.

    Args:
        folder: where.

    Raises:
        UsageError: a file is in its way.
    """

    def __init__(self, folder: Path) -> None:
        check_folder_place(folder)
        self.folder = folder
        self._lock = threading.Lock()

    def put(self, name: str, clip: Float, sample_rate: int, facts: Mapping[str, Any]) -> str:
        """Write a sound (C, T) under a name that is still free; the name of its file."""
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = _free(self.folder, file_name(name))
            write_audio(path, clip, sample_rate, metadata={"name": name, **facts})
        return path.name

    def remove(self, file: str) -> bool:
        """Take a sound off the shelf: into the folder `removed` beside the others. Whether it was there."""
        with self._lock:
            if file not in {path.name for path in self._files()}:
                return False
            path = self.folder / file
            (self.folder / _REMOVED).mkdir(exist_ok=True)
            target = _free(self.folder / _REMOVED, path.stem)
            replace(path, target)
            if path.with_suffix(".json").is_file():
                replace(path.with_suffix(".json"), target.with_suffix(".json"))
        return True

    def sounds(self) -> list[Shelved]:
        """What is on the shelf."""
        return [Shelved(path.name, facts_beside(path)) for path in self._files()]

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.wav"))[:_MOST] if self.folder.is_dir() else []


def file_name(name: str) -> str:
    """A name for a file, without ending, that every system takes."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-. ")[:_LONGEST_NAME] or "sound"
    return f"{plain}-sound" if _RESERVED.fullmatch(plain.partition(".")[0]) else plain


def _free(folder: Path, stem: str) -> Path:
    number, path = 2, folder / f"{stem}.wav"
    while path.exists() or path.with_suffix(".json").exists():
        path, number = folder / f"{stem}-{number}.wav", number + 1
    return path
