"""A run is a folder: what was asked for, what happened, and where it stands.

    RUN/config.json        the configuration and the data, checked when the run is resumed
    RUN/log.jsonl          a line of numbers every few steps, and every event
    RUN/samples/step-N/    previews
    RUN/checkpoints/step-N/
    RUN/tensorboard/
    RUN/best.json          the best checkpoint, once an evaluation has named one; it is never dropped

A checkpoint appears whole or not at all, so that a kill or a full disk costs at most the steps since the last one.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fauxley.errors import FauxleyError, UsageError
from fauxley.models.synthesizer import STEP_FOLDERS, checkpoints
from fauxley.runs import read_best
from fauxley.serialization import from_json, read_versioned, reading, to_json
from fauxley.storage import atomic_file, atomic_folder, is_leftover, sweep_leftovers, take_lock
from fauxley.training.config import CLASSES, TrainingConfig

_FORMAT_VERSION = 1
_MOST_CONFIG = 1 << 20  # bytes
_LOCK = "run.lock"
# Fields that say when things are recorded, or how far to go; all others decide what is learnt.
_FREE = {
    *("steps", "log_every", "checkpoint_every", "preview_every", "preview_count", "evaluate_every", "evaluate_count"),
    *("keep_checkpoints", "milestone_every"),
}


class Run:
    """The folder of a run.

    Args:
        path: the folder; made by `begin`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_file = path / "log.jsonl"
        self.samples = path / "samples"
        self.tensorboard = path / "tensorboard"
        self._config_file = path / "config.json"
        self._checkpoints = path / "checkpoints"

    @property
    def exists(self) -> bool:
        return self._config_file.is_file()

    def settle(self, config: TrainingConfig) -> TrainingConfig:
        """The configuration with the precision that the run was begun with, where it leaves that open."""
        if config.precision == "auto" and self.exists and self.checkpoints():
            return dataclasses.replace(config, precision=self.read()[0].precision)
        return config

    def begin(self, config: TrainingConfig, data: str) -> None:
        """Make the folder, or check that it may go on with this configuration and this data.

        Args:
            data: fingerprint of the dataset.

        Raises:
            UsageError: the folder holds something else, or a run that was begun otherwise; the field is named.
        """
        config = self.settle(config)
        changed = False
        if self.exists:
            try:
                self._check(config, data)
            except UsageError:
                if self._has_learnt():
                    raise
                changed = True
        elif self.path.exists() and not (self.path.is_dir() and all(map(_is_trace, self.path.iterdir()))):
            raise UsageError(f"{self.path} exists and is not a run; choose another --run")
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        self._lock()
        self.samples.mkdir(exist_ok=True)
        for folder in (self.path, self._checkpoints, self.samples):
            sweep_leftovers(folder)
        if changed:
            self.forget_after(-1)
        text = json.dumps({"format_version": _FORMAT_VERSION, "config": to_json(config), "data": data}, indent=2)
        with atomic_file(self._config_file) as partial:
            partial.write_text(text + "\n", encoding="utf-8")

    def _check(self, config: TrainingConfig, data: str) -> None:
        """Raise `UsageError` if the run was begun with anything else; the field is named."""
        begun, begun_data = self.read()
        _compare(begun, config, "")
        if begun_data != data:
            raise UsageError(
                f"{self.path} was begun on other data, or on other clips of it (the sounds or their slicing have "
                "changed); give that data, or another --run"
            )

    def _has_learnt(self) -> bool:
        """Whether there is anything that another configuration would contradict: a checkpoint after the first step.

        What comes before follows from the configuration, so that a run which was refused, or ran out of memory at
        once, does not stand in the way of the corrected one.
        """
        return any(step_of(folder) for folder in self.checkpoints())

    def _lock(self) -> None:
        """Keep other processes from training here, as long as this object lives."""
        self._held = take_lock(self.path / _LOCK, whole_process=True)
        if self._held is None:
            raise UsageError(f"{self.path} is being trained by another process; wait for it, or give another --run")

    def read(self) -> tuple[TrainingConfig, str]:
        """The configuration and the data's fingerprint.

        Raises:
            FauxleyError: the file is damaged or of another version.
        """
        content = read_versioned(self._config_file, "run", (_FORMAT_VERSION,), _MOST_CONFIG)
        with reading(f"{self._config_file} is not a run's configuration"):
            config = from_json(content["config"], CLASSES)
            if not isinstance(config, TrainingConfig):
                raise FauxleyError(f"it holds a {type(config).__name__}")
            return config, str(content["data"])

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return checkpoints(self.path)

    def save(self, step: int, write: Callable[[Path], None], keep: int, milestone_every: int) -> Path:
        """Write a checkpoint with `write` and drop those no longer wanted."""
        folder = self._checkpoints / step_name(step)
        if not folder.exists():
            with atomic_folder(folder) as partial:
                write(partial)
        # First the new one, then the old ones: there is always one that is whole.
        best = read_best(self.path)
        for old in self.checkpoints()[:-keep]:
            if best is not None and old == best.checkpoint:
                continue
            if not (milestone_every and step_of(old) and step_of(old) % milestone_every == 0):
                _remove(old)
        return folder

    def forget_after(self, step: int) -> None:
        """Drop what was recorded after `step`, of which nothing will be true once training goes on from there."""
        for folder in (*self.checkpoints(), *self.samples.glob(STEP_FOLDERS)):
            if step_of(folder) > step:
                _remove(folder)


def _remove(folder: Path) -> None:
    if folder.is_symlink():  # what it leads to is not the run's
        folder.unlink()
    else:
        shutil.rmtree(folder)


def step_name(step: int) -> str:
    """Folder name of a step; sorts by step."""
    return f"step-{step:08d}"


def step_of(folder: Path) -> int:
    """The step a folder was named for."""
    return int(folder.name.removeprefix("step-"))


def _is_trace(entry: Path) -> bool:
    """Whether `entry` is what a run leaves that was ended before its configuration was written."""
    return is_leftover(entry) or entry.name == _LOCK or (entry.is_dir() and not any(entry.iterdir()))


def _compare(begun: Any, now: Any, prefix: str) -> None:
    for field in dataclasses.fields(begun):
        name = prefix + field.name
        old, new = getattr(begun, field.name), getattr(now, field.name)
        if name in _FREE or old == new:
            continue
        if dataclasses.is_dataclass(old) and type(old) is type(new):
            _compare(old, new, f"{name}.")
        else:
            old_text, new_text = (type(v).__name__ if dataclasses.is_dataclass(v) else repr(v) for v in (old, new))
            raise UsageError(
                f"the run was begun with {name} = {old_text}, not {new_text}; drop the change, or give another --run"
            )
