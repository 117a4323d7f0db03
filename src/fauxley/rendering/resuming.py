"""Resuming of rendering: `generate.json` in a folder says what its sounds are made from, and only the same job resumes.

`generate.json` is written before the first sound. A job that finds it in its folder resumes if its own would be the
same, and skips the sounds that are there. Files appear whole, so a sound that is there is complete.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from fauxley.errors import FauxleyError, UsageError
from fauxley.serialization import parse_json, read_file
from fauxley.storage import LOCK_FILE, atomic_file, check_folder_place, hold_folder, is_leftover, sweep_leftovers

JOB_FILE, LATENTS_FILE, LISTING_FILE = "generate.json", "latents.npy", "sounds.jsonl"
_BESIDE_SOUNDS = (JOB_FILE, LATENTS_FILE, LISTING_FILE)


@contextmanager
def begin_or_resume(out: Path, job: Mapping[str, Any], resumable: bool, overwrite: bool) -> Iterator[set[str]]:
    """Hold the folder `out` for `job`; yields the names of the files that are complete.

    Raises:
        UsageError: the folder has other content and is not to be overwritten.
        FauxleyError: another process is at work in the folder.
    """
    check_folder_place(out)
    job = json.loads(json.dumps(job))
    found = out.exists() and (not out.is_dir() or not all(map(_is_nothing, out.iterdir())))
    resumed = found and not overwrite and resumable and _read(out) == job
    if found and not overwrite and not resumed:
        raise UsageError(f"{out} {_contradiction(_read(out), job)}; choose another folder, or give overwrite=True")
    new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with hold_folder(out) as alone:
            if not alone:
                raise FauxleyError(f"another process is making sounds in {out}; wait for it, or choose another folder")
            sweep_leftovers(out)
            if not resumed:
                with atomic_file(out / JOB_FILE) as partial:
                    partial.write_text(json.dumps(job, indent=2) + "\n", encoding="utf-8")
            try:
                yield _files(out) if resumed else set()
            except BaseException:
                if not found:
                    _leave_nothing(out)
                raise
    finally:
        if new:
            with suppress(OSError):  # there is something in it now
                out.rmdir()


def require_place(out: Path, overwrite: bool) -> None:
    """Check that sounds can be written to `out`, before anything slow is done for them.

    Raises:
        UsageError: `out` is a file, or a folder with other content that is not to be overwritten.
    """
    check_folder_place(out)
    if out.exists() and not overwrite and _read(out) is None and not all(map(_is_nothing, out.iterdir())):
        raise UsageError(f"{out} has something in it; choose another folder, or give overwrite=True")


def _leave_nothing(out: Path) -> None:
    """Undo what a job began that ended before its first sound, so that another may use the folder."""
    if all(entry.name in (*_BESIDE_SOUNDS, LOCK_FILE) for entry in out.iterdir()):
        for name in _BESIDE_SOUNDS:
            (out / name).unlink(missing_ok=True)


def begun_precision(out: Path) -> Literal["float32", "bfloat16"] | None:
    """The precision of the sounds that a job began to write to a folder; None where there is no job."""
    options = (_read(out) or {}).get("options")
    found = options.get("precision") if isinstance(options, dict) else None
    return found if found in ("float32", "bfloat16") else None


def _read(out: Path) -> dict[str, Any] | None:
    try:
        job = parse_json(read_file(out / JOB_FILE))
    except FauxleyError:
        return None
    return job if isinstance(job, dict) else None


def _contradiction(begun: dict[str, Any] | None, job: Mapping[str, Any]) -> str:
    """Why `job` cannot resume in a folder in which `begun` was begun."""
    other = [name for name in job if begun is not None and begun.get(name) != job[name]]
    if begun is None or not other:
        return "has something in it"
    return f"holds sounds made with another {other[0].replace('_', ' ')}"


def _is_nothing(entry: Path) -> bool:
    return is_leftover(entry) or entry.name == JOB_FILE or entry.name.startswith(LOCK_FILE)


def _files(folder: Path) -> set[str]:
    # Power that failed may have left an empty file: sounds are not flushed to the disk one by one.
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_file() and entry.stat().st_size}
