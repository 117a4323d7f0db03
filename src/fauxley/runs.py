"""Which checkpoint of a run is the best, where someone has found out: `RUN/best.json`.

A run's newest checkpoint need not be its best. `fauxley evaluate RUN --all-checkpoints` records what it finds; from
then on the run means that checkpoint, as long as it exists.
"""

import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from fauxley.errors import FauxleyError
from fauxley.serialization import parse_json, read_file, reading
from fauxley.storage import atomic_file

_FILE = "best.json"
_NAME = r"step-[0-9]{8}"
_MOST = 1 << 16  # bytes


@dataclass(frozen=True)
class Best:
    """A checkpoint and the figure that it is best by, among those with no more faults such as clipping."""

    checkpoint: Path
    metric: str
    value: float
    faults: tuple[str, ...] = ()


def read_best(run: Path) -> Best | None:
    """The best checkpoint recorded in a run folder; None if there is no record, or its checkpoint is gone.

    A record that makes no sense is none either; a warning says so.
    """
    file = run / _FILE
    if not file.exists():
        return None
    try:
        with reading(f"passing over {file}"):
            content = parse_json(read_file(file, _MOST))
            name, metric, value = content["checkpoint"], content["metric"], content["value"]
            faults = tuple(map(str, content.get("faults", ())))  # records of before have none
            if not (isinstance(metric, str) and isinstance(value, (int, float)) and re.fullmatch(_NAME, name)):
                raise FauxleyError("it does not say which checkpoint is the best, and by what")
    except FauxleyError as error:
        warnings.warn(str(error), stacklevel=2)
        return None
    folder = run / "checkpoints" / name
    return Best(folder, metric, float(value), faults) if folder.is_dir() else None


def record_best(run: Path, best: Best) -> None:
    """Record the best checkpoint of a run, in place of an earlier record."""
    content = {"checkpoint": best.checkpoint.name, "metric": best.metric, "value": best.value, "faults": best.faults}
    with atomic_file(run / _FILE) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
