"""The curves of a training run, a panel each."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from fauxley.errors import UsageError
from fauxley.pictures.axis import Axis, tick_labels
from fauxley.pictures.canvas import FAINT_TEXT, TEXT, font, write_png
from fauxley.storage import atomic_file

Values = NDArray[np.float64]

# Sizes in pixels.
_WIDTH, _HEIGHT = 480, 280  # of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 44  # around the curves
_LARGE, _SMALL = 14, 11
_FINER = 3  # times as finely curves are drawn, which then makes their edges smooth

_MEAN, _EVERY, _GRID, _FRAME, _ALARM = "#5c2886", "#cfc0de", "#ebe9ef", "#8f8b99", "#ff0000"


def write_curves(path: Path, columns: Mapping[str, Sequence[float]], steps: Sequence[int]) -> None:
    """Write as PNG how numbers went over training, a panel each: every value faint, their running mean strong.

    Args:
        path: the file, replaced atomically; its folder must exist.
        columns: from title to values, one a step. Those that are not finite leave a gap, and a red mark below.
        steps: ascending.

    Raises:
        UsageError: there is no column, or one is not as long as `steps`.
    """
    if not columns:
        raise UsageError("curves need one column or more; got none")
    for title, values in columns.items():
        if len(values) != len(steps):
            raise UsageError(f"{title!r} has {len(values)} values for {len(steps)} steps; give one a step")
    across = min(3, len(columns))
    page = Pillow.new("RGB", (across * _WIDTH, -(-len(columns) // across) * _HEIGHT), "white")
    for number, (title, values) in enumerate(columns.items()):
        panel = _draw_panel(title, np.asarray(steps, np.float64), np.asarray(values, np.float64))
        page.paste(panel, (number % across * _WIDTH, number // across * _HEIGHT))
    with atomic_file(path) as partial:
        write_png(np.asarray(page), partial)


def _draw_panel(title: str, steps: Values, values: Values) -> Pillow.Image:
    finite = np.isfinite(values)
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    begin, end = (steps[0], steps[-1]) if len(steps) else (0.0, 1.0)
    low, high = _shown_range(values[finite])
    x, y = Axis(begin, end, 4, width - 5), Axis(low, high, height - 1, 0)
    panel = Pillow.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen = ImageDraw.Draw(panel)
    panel.paste(_draw_curves(x, y, steps, values, (width, height)), (_LEFT, _TOP))
    bottom = _TOP + height
    pen.line([(_LEFT - 1, _TOP), (_LEFT - 1, bottom), (_WIDTH - _RIGHT, bottom)], _FRAME)
    for step in steps[~finite]:
        left = _LEFT + x.pixel(step)
        pen.rectangle([left, bottom - 8, left + 1, bottom - 1], _ALARM)
    pen.text((_LEFT, 10), title, TEXT, font(_LARGE))
    for value, label in zip(y.ticks(), tick_labels(y.ticks()), strict=True):
        pen.text((_LEFT - 7, _TOP + y.pixel(value)), label, FAINT_TEXT, font(_SMALL), "rm")
    for value, label in zip(x.ticks(), tick_labels(x.ticks()), strict=True):
        pen.text((_LEFT + x.pixel(value), bottom + 5), label, FAINT_TEXT, font(_SMALL), "ma")
    pen.text((_LEFT + width / 2, bottom + 23), "step", FAINT_TEXT, font(_SMALL), "ma")
    return panel


def _shown_range(values: Values) -> tuple[float, float]:
    """The lowest and highest value that a panel shows of finite `values`."""
    if not len(values):
        return 0.0, 1.0
    # A few wild steps at the start would flatten all the rest, so the outermost 1 % may leave the panel.
    low, high = (float(value) for value in np.percentile(values, [0.5, 99.5]))
    room = 0.15 * (high - low) or 0.1 * abs(high) or 0.1
    return low - room, high + room


def _draw_curves(x: Axis, y: Axis, steps: Values, values: Values, size: tuple[int, int]) -> Pillow.Image:
    image = Pillow.new("RGB", (_FINER * size[0], _FINER * size[1]), "white")
    pen = ImageDraw.Draw(image)
    for tick in x.ticks():
        pen.line([(_FINER * x.pixel(tick), 0), (_FINER * x.pixel(tick), image.height)], _GRID, _FINER)
    for tick in y.ticks():
        pen.line([(0, _FINER * y.pixel(tick)), (image.width, _FINER * y.pixel(tick))], _GRID, _FINER)
    shown = np.where(np.isfinite(values), values, np.nan)
    mean = _running_mean(shown, 1 + len(shown) // 40)
    columns = _FINER * x.pixel(steps)
    for curve, colour, line_width in ((shown, _EVERY, _FINER), (mean, _MEAN, 2 * _FINER)):
        # What leaves the panel leaves it steeply; Pillow takes no numbers beyond 32 bits.
        rows = np.clip(_FINER * y.pixel(curve), -9 * image.height, 9 * image.height)
        for begin, end in _finite_stretches(curve):
            points = list(zip(columns[begin:end].tolist(), rows[begin:end].tolist(), strict=True))
            if len(points) > 1:
                pen.line(points, colour, line_width, joint="curve")
            else:
                pen.circle(points[0], line_width, colour)
    return image.reduce(_FINER)


def _finite_stretches(values: Values) -> list[tuple[int, int]]:
    """Begin and end of each stretch without a gap."""
    gaps = np.flatnonzero(~np.isfinite(values))
    edges = [-1, *gaps.tolist(), len(values)]
    return [(before + 1, after) for before, after in pairwise(edges) if after - before > 1]


def _running_mean(values: Values, window: int) -> Values:
    """The mean over what is finite in a centred window, (N,)."""
    if not len(values):
        return values
    finite = np.isfinite(values)
    sums, counts = (np.convolve(x, np.ones(window), "same") for x in (np.where(finite, values, 0), finite))
    return np.asarray(np.where(counts > 0.5, sums / np.maximum(counts, 1), np.nan))
