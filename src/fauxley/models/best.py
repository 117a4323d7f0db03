"""Which checkpoint of a run is the best, where someone has found out: `RUN/best.json`.

A run's newest checkpoint need not be its best. `fauxley evaluate RUN --all-checkpoints` records what it finds; from
then on the run means that checkpoint, as long as it exists.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from fauxley.atomic import atomic_file

_FILE = "best.json"


@dataclass(frozen=True)
class Best:
    """A checkpoint and the figure that it is best by, among those with no more faults such as clipping."""

    checkpoint: Path
    metric: str
    value: float
    faults: tuple[str, ...] = ()


def read_best(run: Path) -> Best | None:
    """The best checkpoint recorded in a run folder; None if there is no record, or none that makes sense."""
    try:
        content = json.loads((run / _FILE).read_text(encoding="utf-8"))
        name, metric, value = str(content["checkpoint"]), str(content["metric"]), float(content["value"])
        faults = tuple(str(fault) for fault in content.get("faults", ()))  # records of before have none
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError):
        return None
    folder = run / "checkpoints" / name
    if not re.fullmatch(r"step-[0-9]{8}", name) or not math.isfinite(value) or not folder.is_dir():
        return None
    return Best(folder, metric, value, faults)


def record_best(run: Path, best: Best) -> None:
    """Record the best checkpoint of a run, in place of an earlier record."""
    content = {"checkpoint": best.checkpoint.name, "metric": best.metric, "value": best.value, "faults": best.faults}
    with atomic_file(run / _FILE) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
