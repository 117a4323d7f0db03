"""Beginning, resuming and saving a run in its folder, whose layout `fauxley.runs` describes.

A checkpoint appears completely or not at all, so a kill or a full disk costs at most the steps since the last one.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fauxley import runs
from fauxley.errors import FauxleyError, UsageError
from fauxley.serialization import from_json, read_versioned, reading, to_json
from fauxley.storage import atomic_file, atomic_folder, is_leftover, sweep_leftovers, take_lock
from fauxley.training.config import CLASSES, TrainingConfig

_FORMAT_VERSION = 1
_MOST_CONFIG = 1 << 20  # bytes
# Fields that may change when a run is resumed, because they do not affect what is learned.
_CHANGEABLE = {
    *(
        "steps",
        "minutes",
        "save_minutes",
        "log_every",
        "checkpoint_every",
        "preview_every",
        "preview_count",
        "evaluate_every",
        "evaluate_count",
    ),
    *("keep_checkpoints", "milestone_every"),
    "data.labels",  # what was asked for; the labels that are learned are in architecture.labels
}


class Run:
    """The folder of a run.

    Args:
        path: the folder; `begin` creates it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_file = path / runs.LOG_FILE
        self.samples = path / runs.SAMPLES
        self.curves_file = path / runs.CURVES_FILE
        self.tensorboard = path / runs.TENSORBOARD
        self._config_file = path / runs.CONFIG_FILE
        self._checkpoints = path / runs.CHECKPOINTS

    @property
    def exists(self) -> bool:
        return self._config_file.is_file()

    def settle(self, config: TrainingConfig) -> TrainingConfig:
        """Replace the precision `auto` by the one with which the run was begun, if it was."""
        if config.precision == "auto" and self.exists and self.checkpoints():
            return dataclasses.replace(config, precision=self.read()[0].precision)
        return config

    def begun_with(self) -> TrainingConfig | None:
        """The configuration of a run that has learned something, with which it must be resumed; otherwise None."""
        return self.read()[0] if self.exists and self._has_learnt() else None

    def labels(self) -> tuple[str, ...] | None:
        """The labels with which the run was begun; None if it was not."""
        begun = self.begun_with()
        return None if begun is None else begun.architecture.known_labels

    def check_place(self) -> None:
        """Check that a run is here or could begin here, before anything slow is done for it.

        Raises:
            UsageError: something else is in the folder, such as a model.
        """
        if runs.is_model(self.path):
            raise UsageError(f"{self.path} is a model, not a run; choose another folder for the run")
        if self.exists or not self.path.exists():
            return
        if not (self.path.is_dir() and all(map(_is_trace, self.path.iterdir()))):
            raise UsageError(f"{self.path} exists and is not a run; choose another folder")

    def begin(self, config: TrainingConfig, data: str) -> None:
        """Create the folder, or check that its run may be resumed with this configuration and this data.

        Args:
            data: fingerprint of the dataset.

        Raises:
            UsageError: the folder holds something else, or a run with another configuration; the message names the
                field.
        """
        self.check_place()
        config = self.settle(config)
        changed = False
        if self.exists:
            try:
                self._check(config, data)
            except UsageError:
                if self._has_learnt():
                    raise
                changed = True
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
        """Raise `UsageError` if the run was begun with another configuration; the message names the field."""
        begun, begun_data = self.read()
        _compare(begun, config, "")
        if begun_data != data:
            raise UsageError(
                f"{self.path} was begun with other data, or other clips of it (the sounds or their slicing have "
                "changed); give that data, or begin a run in another folder"
            )

    def _has_learnt(self) -> bool:
        """Whether there is a checkpoint after step 0, which would contradict another configuration.

        A run that was refused or ran out of memory at once has none, and does not stand in the way of a corrected one.
        """
        return any(runs.step_of(folder) for folder in self.checkpoints())

    def _lock(self) -> None:
        """Keep other processes from training here as long as this object lives."""
        self._held = take_lock(self.path / runs.LOCK_FILE, whole_process=True)
        if self._held is None:
            raise UsageError(
                f"{self.path} is being trained by another process; wait for it, or begin a run in another folder"
            )

    def read(self) -> tuple[TrainingConfig, str]:
        """Read the configuration and the data's fingerprint.

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
        return runs.checkpoints(self.path)

    def save(self, step: int, write: Callable[[Path], None], keep: int, milestone_every: int) -> Path:
        """Write a checkpoint by `write`, and delete those that are no longer wanted."""
        folder = runs.checkpoint_folder(self.path, step)
        if not folder.exists():
            with atomic_folder(folder) as partial:
                write(partial)
        # The new one first, then the old ones: there is always a complete one.
        best = runs.read_best(self.path)
        for old in self.checkpoints()[:-keep]:
            if best is not None and old == best.checkpoint:
                continue
            if not (milestone_every and runs.step_of(old) and runs.step_of(old) % milestone_every == 0):
                _remove(old)
        return folder

    def forget_after(self, step: int) -> None:
        """Delete what was recorded after `step`; it is not true once training resumes from there."""
        for folder in (*self.checkpoints(), *runs.step_folders(self.samples)):
            if runs.step_of(folder) > step:
                _remove(folder)


def _remove(folder: Path) -> None:
    if folder.is_symlink():  # the target of a link does not belong to the run
        folder.unlink()
    else:
        shutil.rmtree(folder)


def _is_trace(entry: Path) -> bool:
    """Whether `entry` may be left over from a run that ended before its configuration was written."""
    return is_leftover(entry) or entry.name == runs.LOCK_FILE or (entry.is_dir() and not any(entry.iterdir()))


def _compare(begun: Any, now: Any, prefix: str) -> None:
    for field in dataclasses.fields(begun):
        name = prefix + field.name
        old, new = getattr(begun, field.name), getattr(now, field.name)
        if name in _CHANGEABLE or old == new:
            continue
        if dataclasses.is_dataclass(old) and type(old) is type(new):
            _compare(old, new, f"{name}.")
        else:
            old_text, new_text = (type(v).__name__ if dataclasses.is_dataclass(v) else repr(v) for v in (old, new))
            raise UsageError(
                f"the run was begun with {name} = {old_text}, not {new_text}; "
                "drop the change, or begin a run in another folder"
            )
