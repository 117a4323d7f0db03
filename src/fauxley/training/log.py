"""The record of a run: `log.jsonl` always, TensorBoard's events if it is installed."""

import importlib.util
import json
import math
import time
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fauxley.errors import FauxleyError
from fauxley.pictures.spectrogram import spectrogram_image
from fauxley.serialization import parse_json, read_file
from fauxley.storage import atomic_file
from fauxley.training.run import Run
from fauxley.training.watch import level_db

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_CLIPS_SHOWN = 8  # of a group, in TensorBoard
_MOST_BYTES = 1 << 28  # of a log: a million lines
_END_OF_STEPS = 1 << 53  # from here on floats cannot distinguish successive steps


class Log:
    """Appends to a run's log, so that after resuming it reads as if nothing had been interrupted.

    Args:
        step: the step from which the run resumes; later lines of the log are dropped.
        tensorboard: whether to write events for TensorBoard, too.
    """

    def __init__(self, run: Run, step: int, tensorboard: bool) -> None:
        self._run = run
        self._board = _open_board(run, step) if tensorboard else None
        self.rewind(step)

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`."""
        kept = [line for line in read_log(self._run) if line["step"] <= step]
        with atomic_file(self._run.log_file) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Write a line of numbers. Those that are not finite have no form in JSON and are written as words."""
        self._write(step, {name: value if math.isfinite(value) else str(value) for name, value in values.items()})
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def event(self, step: int, text: str) -> None:
        """Write an event in words."""
        self._write(step, {"event": text})
        if self._board is not None:
            self._board.add_text("event", text, step)

    def sounds(self, step: int, groups: Mapping[str, np.ndarray], sample_rate: int) -> None:
        """Show clips (N, C, T) in TensorBoard, by title: sounds, spectrograms, and histograms of levels in dB."""
        if self._board is None:
            return
        for title, clips in groups.items():
            levels = np.array([level_db(clip) for clip in clips])
            self._board.add_histogram(f"level_db/{title}", levels, step)
            for number, clip in enumerate(clips[:_CLIPS_SHOWN]):
                mono = clip.mean(axis=0, keepdims=True)
                self._board.add_audio(f"{title}/{number}", mono, step, sample_rate)
                image = spectrogram_image(clip, sample_rate)
                self._board.add_image(f"{title}/{number}", image, step, dataformats="HWC")

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _write(self, step: int, content: Mapping[str, Any]) -> None:
        with self._run.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "time": round(time.time(), 3), **content}) + "\n")


class NoLog(Log):
    """The log of a process that leaves recording to another one; it writes nothing."""

    def __init__(self) -> None:
        self._board = None

    def rewind(self, step: int) -> None:
        """Do nothing: nothing was logged."""

    def _write(self, step: int, content: Mapping[str, Any]) -> None:
        """Write nothing."""


def read_log(run: Run) -> list[dict[str, Any]]:
    """Read the lines of a run's log: each has "step", "time", and numbers or words by name.

    Damaged lines are skipped with a warning, except for a last line that a kill has cut short.

    Raises:
        FauxleyError: it is no file, or too large to be a log.
    """
    if not run.log_file.exists():
        return []
    *rows, cut_short = read_file(run.log_file, _MOST_BYTES).split(b"\n")
    lines = [_parse(row) for row in rows]
    if damaged := sum(line is None and bool(row.strip()) for line, row in zip(lines, rows, strict=True)):
        warnings.warn(f"{run.log_file}: {damaged} of {len(rows)} lines are damaged and passed over", stacklevel=2)
    return [line for line in (*lines, _parse(cut_short)) if line is not None]


def _parse(row: bytes) -> dict[str, Any] | None:
    """Parse a line of a log; None if it is damaged."""
    try:
        line = parse_json(row)
    except FauxleyError:
        return None
    if not isinstance(line, dict) or type(line.get("step")) is not int or not 0 <= line["step"] < _END_OF_STEPS:
        return None
    return line if all(name == "event" or _is_number(value) for name, value in line.items()) else None


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or the word for one that is not finite."""
    return isinstance(value, (int, float)) or value in ("nan", "inf", "-inf")


def tensorboard_is_installed() -> bool:
    return importlib.util.find_spec("tensorboard") is not None


def _open_board(run: Run, step: int) -> "SummaryWriter":
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run.tensorboard), purge_step=step + 1)
