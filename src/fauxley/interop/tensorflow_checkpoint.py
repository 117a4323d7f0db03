"""A checkpoint of the official code as files on a disk: found, opened, its variables read one at a time.

Two kinds are known: TensorFlow's own (`tensorflow_bundle`), and the folder of raw weights behind the official web
page, where `manifest.json` maps a variable's name to its shape and to a file of little-endian float32. The latter has
no checksums; sizes are all that can be verified of it.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.interop.tensorflow_bundle import Entry, read_index, read_tensor

_MANIFEST = "manifest.json"
_MAX_TEXT = 1 << 20  # bytes
_MAX_VARIABLES = 10_000
_MAX_RANK = 8
_BARE_NAME = re.compile(r"(?!\.\.?$)[\w.+ -]{1,200}", re.ASCII)
_PART = re.compile(r"(?<=[^.])\.(index|meta|data-\d{5}-of-\d{5})$")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's variables, whose values are read only when asked for.

    Args:
        path: the prefix of its files, or the folder of raw weights.
        shapes: of every variable, optimiser's ones included.
        verified: the values read are compared with checksums.
        arguments: what the official training script was called with (`args.txt`); empty if that is not there.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    verified: bool
    arguments: Mapping[str, str]
    entries: Mapping[str, Entry]

    def read(self, name: str) -> np.ndarray:
        """The values of one variable.

        Raises:
            FauxleyError: there is no such variable, or its file is damaged.
        """
        if name not in self.entries:
            raise FauxleyError(f"{self.path} has no variable {name}")
        entry = self.entries[name]
        return read_tensor(name, entry) if self.verified else _read_raw(name, entry)

    @property
    def step(self) -> int:
        """Generator updates done: the variable `global_step`, or the number in the files' name, or 0."""
        entry = self.entries.get("global_step")
        if entry is not None and entry.shape == () and entry.dtype is not None and entry.dtype.kind == "i":
            step = int(self.read("global_step"))
            if 0 <= step < 1 << 53:
                return step
        return _number(self.path)


def open_checkpoint(path: Path) -> Checkpoint:
    """Find a checkpoint and read what it holds.

    Args:
        path: a folder of checkpoints (the one that its file `checkpoint` names if that is there, otherwise the one of
            the highest number), the prefix `.../model.ckpt-N`, one of its files, or a folder of raw weights.

    Raises:
        UsageError: nothing is there.
        FauxleyError: it is damaged.
    """
    folder = path if path.is_dir() else path.parent
    if path.name == _MANIFEST or (path.is_dir() and (path / _MANIFEST).is_file() and not _prefixes(path)):
        found, entries = folder, _read_manifest(folder)
    else:
        found = _newest(path) if path.is_dir() else path.with_name(_PART.sub("", path.name))
        if not _index(found).is_file():
            raise UsageError(
                f"{printable(_index(found))} is not there; CHECKPOINT is a folder or a prefix such as model.ckpt-123"
            )
        entries = read_index(found)
    shapes = {name: entry.shape for name, entry in entries.items()}
    return Checkpoint(found, shapes, found != folder, _read_arguments(folder / "args.txt"), entries)


def _newest(folder: Path) -> Path:
    prefixes = _prefixes(folder)
    if not prefixes:
        raise FauxleyError(f"{folder} holds no checkpoint: neither model.ckpt-N.index nor {_MANIFEST}")
    state = folder / "checkpoint"
    if state.is_file():
        match = re.search(r'^model_checkpoint_path: "([^"\n]*)"', _read_text(state), re.MULTILINE)
        # It may be an absolute path on another machine; what counts is what lies here.
        name = match[1].replace("\\", "/").rpartition("/")[2] if match else ""
        if _BARE_NAME.fullmatch(name) and folder / name in prefixes:
            return folder / name
    return max(prefixes, key=lambda prefix: (_number(prefix), prefix.name))


def _prefixes(folder: Path) -> list[Path]:
    """Those of all checkpoints in a folder; the official scripts' own, `model.ckpt`, if there are any."""
    names = [entry.name.removesuffix(".index") for entry in folder.glob("*.index")]
    found = [folder / name for name in names if _BARE_NAME.fullmatch(name)]
    return [prefix for prefix in found if prefix.name.startswith("model.ckpt")] or found


def _index(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + ".index")


def _number(prefix: Path) -> int:
    match = re.search(r"-(\d{1,15})$", prefix.name)
    return int(match[1]) if match else 0


def _read_manifest(folder: Path) -> dict[str, Entry]:
    path = folder / _MANIFEST
    try:
        manifest = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise FauxleyError(f"{path} is not JSON") from error
    if not isinstance(manifest, dict) or not manifest:
        raise FauxleyError(f"{path} does not map variables' names to files")
    if len(manifest) > _MAX_VARIABLES:
        raise FauxleyError(f"{path} has more than {_MAX_VARIABLES} variables")
    return {name: _raw_entry(folder, name, value) for name, value in manifest.items()}


def _raw_entry(folder: Path, name: str, value: Any) -> Entry:
    where = f"{folder / _MANIFEST}: variable {name!r}"
    filename, shape = (value.get("filename"), value.get("shape")) if isinstance(value, dict) else (None, None)
    if not isinstance(filename, str) or not _BARE_NAME.fullmatch(filename):
        raise FauxleyError(f"{where} has no plain file name")
    if (
        not isinstance(shape, list)
        or len(shape) > _MAX_RANK
        or not all(type(size) is int and 0 <= size < 1 << 40 for size in shape)
    ):
        raise FauxleyError(f"{where} has no proper shape")
    file = folder / filename
    if file.is_symlink() or not file.is_file():
        raise FauxleyError(f"{where} is to be in {filename}, which is not there")
    size, count = file.stat().st_size, math.prod(shape)
    dtype = np.dtype("<i8" if name == "global_step" and size == 8 * count else "<f4")
    if size != count * dtype.itemsize:
        raise FauxleyError(f"{where}: {filename} has {size} bytes, which shape {tuple(shape)} does not fit")
    return Entry(dtype, tuple(shape), file, 0, size, 0)


def _read_raw(name: str, entry: Entry) -> np.ndarray:
    assert entry.dtype is not None
    values = np.fromfile(entry.file, entry.dtype, math.prod(entry.shape))
    if values.nbytes != entry.size:
        raise FauxleyError(f"{entry.file} of {name} was cut short meanwhile")
    return values.reshape(entry.shape)


def _read_arguments(path: Path) -> dict[str, str]:
    """`key,value` lines."""
    if not path.is_file():
        return {}
    lines = (line.partition(",") for line in _read_text(path).splitlines())
    return {key.strip(): value.strip() for key, comma, value in lines if comma}


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise FauxleyError(f"{path} does not exist")
    if path.stat().st_size > _MAX_TEXT:
        raise FauxleyError(f"{path} is larger than {_MAX_TEXT >> 20} MiB")
    return path.read_text(encoding="utf-8", errors="replace")
