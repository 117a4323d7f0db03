"""Folders of runs: what lies where in them, and which model a path means.

    RUN/config.json        the configuration and the data, checked when the run is resumed
    RUN/log.jsonl          a line of numbers every few steps, and every event
    RUN/curves.png         the numbers as curves
    RUN/samples/step-N/    previews
    RUN/checkpoints/step-N/    see `fauxley.training.checkpoint`; the first two of its files are a model folder
    RUN/tensorboard/
    RUN/best.json          which checkpoint is the best, once an evaluation has found out
    RUN/run.lock           held while a process trains the run

The name of a model that ships (`fauxley.shipped`) is one of those paths, where nothing else is in its place.

A run's newest checkpoint need not be its best. An evaluation of all checkpoints records what it finds; from
then on the run means that checkpoint, as long as it exists.
"""

import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.serialization import parse_json, read_file, reading
from fauxley.shipped import find_shipped, hint_at_shipped
from fauxley.storage import atomic_file

CONFIG_FILE = "config.json"
LOG_FILE = "log.jsonl"
CURVES_FILE = "curves.png"
BEST_FILE = "best.json"
LOCK_FILE = "run.lock"
SAMPLES, CHECKPOINTS, TENSORBOARD = "samples", "checkpoints", "tensorboard"
# The files of a model folder; a checkpoint has more.
MODEL_CONFIG_FILE = "config.json"
MODEL_WEIGHTS_FILE = "model.safetensors"
_STEP_NAME = r"step-[0-9]{8}"
_MOST_BYTES = 1 << 16  # of best.json


def step_name(step: int) -> str:
    """Folder name of a step; sorts by step."""
    return f"step-{step:08d}"


def step_of(folder: Path) -> int:
    """The step that a folder is named for."""
    return int(folder.name.removeprefix("step-"))


def step_folders(folder: Path) -> list[Path]:
    """The folders that are named for steps, by step; neither leftovers of a kill nor copies made by hand."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in found if re.fullmatch(_STEP_NAME, entry.name) and entry.is_dir())


def checkpoints(run: Path) -> list[Path]:
    """The complete checkpoint folders of a run, oldest first."""
    return step_folders(run / CHECKPOINTS)


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies, if there is one."""
    return run / CHECKPOINTS / step_name(step)


def is_model(folder: Path) -> bool:
    """Whether a folder has the files of a model; whether they are good shows when they are read."""
    return (folder / MODEL_CONFIG_FILE).is_file() and (folder / MODEL_WEIGHTS_FILE).is_file()


def holds_model(path: Path) -> bool:
    """Whether a folder is that of a model, or of a run that has one."""
    return any(map(is_model, (path, *checkpoints(path))))


def model_folders(path: Path) -> list[Path]:
    """The model folders that `path` may mean, the one meant first.

    Itself; or a run's checkpoints: the best if an evaluation has recorded one, then from the newest on. What is no
    model here may be the name of one that ships: a folder `drums` of sounds does not stand in the way of it, but one of
    a run or model does, whatever its state.

    Raises:
        UsageError: there is none.
    """
    best = read_best(path)
    candidates = [path, *([best.checkpoint] if best else []), *reversed(checkpoints(path))]
    found = [folder for folder in dict.fromkeys(candidates) if is_model(folder)]
    if not found and not (path / CONFIG_FILE).exists() and (shipped := find_shipped(path)):
        return [shipped]
    if not path.exists():
        raise UsageError(f"{printable(path)} does not exist; {hint_at_shipped(path)}")
    if not found:
        raise UsageError(f"{printable(path)} holds no model; a run folder has one after its first checkpoint")
    return found


def names_model(path: Path) -> bool:
    """Whether a path means a model rather than sounds: it holds one, or only names one that ships."""
    return holds_model(path) or (not path.exists() and find_shipped(path) is not None)


@dataclass(frozen=True)
class Best:
    """The best checkpoint, and the figure by which it is best among those with the fewest faults, such as clipping."""

    checkpoint: Path
    metric: str
    value: float
    faults: tuple[str, ...] = ()


def read_best(run: Path) -> Best | None:
    """Read which checkpoint of a run is recorded as the best; None if there is no record, or its checkpoint is gone.

    A record that makes no sense counts as none; a warning says so.
    """
    file = run / BEST_FILE
    if not file.exists():
        return None
    try:
        with reading(f"passing over {file}"):
            content = parse_json(read_file(file, _MOST_BYTES))
            name, metric, value = content["checkpoint"], content["metric"], content["value"]
            faults = tuple(map(str, content.get("faults", ())))  # records of before have none
            if not (isinstance(metric, str) and isinstance(value, (int, float)) and re.fullmatch(_STEP_NAME, name)):
                raise FauxleyError("it does not say which checkpoint is the best, and by what")
    except FauxleyError as error:
        warnings.warn(str(error), stacklevel=2)
        return None
    folder = run / CHECKPOINTS / name
    return Best(folder, metric, float(value), faults) if folder.is_dir() else None


def record_best(run: Path, best: Best) -> None:
    """Record the best checkpoint of a run, in place of an earlier record."""
    content = {"checkpoint": best.checkpoint.name, "metric": best.metric, "value": best.value, "faults": best.faults}
    with atomic_file(run / BEST_FILE) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
