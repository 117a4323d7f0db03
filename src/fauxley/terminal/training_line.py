"""How a training is going, on one line: where it is, how fast, how long it will take, and how the networks stand."""

import time
from collections import deque
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from fauxley.terminal.formatting import waiting_time
from fauxley.terminal.outputs import messages
from fauxley.terminal.progress import SPEAK_EVERY
from fauxley.training.watch import standing

# What the live line tells of the numbers, behind the words.
_SHOWN = (("critic", "critic_loss"), ("generator", "generator_loss"), ("bits a sample", "bits_per_sample"))
_RECENT = 5  # lines of the log, over which the critic's lead is averaged


class TerminalReporter:
    """A live line while there is a terminal; a line every few seconds where there is none.

    What the numbers mean stands in front of them, in words.

    Args:
        quiet: show only warnings.
        minutes: of the training, if it goes by the clock; else 0.
    """

    def __init__(self, quiet: bool, minutes: float = 0.0) -> None:
        self._quiet = quiet
        self._minutes = minutes
        self._console = Console(file=messages())
        self._live = self._console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.fields[place]}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[numbers]}"),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._progress.add_task("", place="", rate="", left="", numbers="")
        self._begun = self._spoken = time.monotonic()
        self._first = self._step = self._steps = 0
        self._numbers = ""
        self._separations: deque[float] = deque(maxlen=_RECENT)

    def __enter__(self) -> "TerminalReporter":
        self._progress.start()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._progress.stop()

    def begin(self, step: int, steps: int) -> None:
        self._progress.reset(self._task, total=steps or None, completed=step)
        self._begun = self._spoken = time.monotonic()
        self._first, self._step, self._steps = step, step, steps

    def step(self, step: int, steps: int) -> None:
        self._step, self._steps = step, steps
        now = time.monotonic()
        each = (now - self._begun) / max(1, step - self._first)
        left = f"{waiting_time(self._seconds_left(each))} left"
        self._progress.update(self._task, completed=step, total=steps, place=self._place(), left=left)
        if not self._live and now > self._spoken + SPEAK_EVERY:
            self._spoken = now
            numbers = f": {self._numbers}" if self._numbers else ""
            self.say(f"{self._place()}, {_pace(1 / each)}, {left}{numbers}")

    def _place(self) -> str:
        """Where in the training this is: by the clock, if that decides when it ends."""
        if not self._minutes:
            return f"step {self._step:,} of {self._steps:,}"
        return f"minute {self._minutes * self._share:.1f} of {self._minutes:g}"

    @property
    def _share(self) -> float:
        return min(1.0, self._step / max(1, self._steps))

    def _seconds_left(self, each: float) -> float:
        return 60 * self._minutes * (1 - self._share) if self._minutes else each * max(0, self._steps - self._step)

    def numbers(self, values: dict[str, float]) -> None:
        self._numbers = self._describe(values)
        self._progress.update(self._task, rate=_pace(values["steps_per_second"]), numbers=self._numbers)

    def say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self._console.print(f"warning: {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)

    def _describe(self, values: dict[str, float]) -> str:
        """The numbers in words, with the numbers behind."""
        shown = ", ".join(f"{name} {values[key]:.2f}" for name, key in _SHOWN if key in values)
        if "bits_per_sample" in values:
            return f"{shown} (falling is good)"
        if "separation" not in values:
            return shown
        self._separations.append(values["separation"])
        lead = sum(self._separations) / len(self._separations)
        return f"{standing(lead)} (lead {lead:.1f}; {shown})"


def _pace(rate: float) -> str:
    return f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / max(rate, 1e-9):.1f} s/step"
