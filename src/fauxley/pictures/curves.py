"""The curves of a training run, by matplotlib."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.storage import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib is imported by the function that draws: it takes longer to load than everything else here together.

_TEXT, _FAINT_TEXT, _CURVE, _FAINT_CURVE = "#1d1626", "#6c6878", "#5c2886", "#cfc0de"


def write_curves(path: Path, columns: Mapping[str, Sequence[float]], steps: Sequence[int]) -> None:
    """Write as PNG how numbers went over training, a panel each: every value faint, their running mean strong.

    Args:
        path: the file, replaced atomically; its folder must exist.
        columns: from title to values, one a step. Those that are not finite leave a gap, and a red mark below.
        steps: ascending.

    Raises:
        UsageError: there is no column, or one is not as long as `steps`.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it has much to say where there is no home folder
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not columns:
        raise UsageError("curves need one column or more; got none")
    for title, values in columns.items():
        if len(values) != len(steps):
            raise UsageError(f"{title!r} has {len(values)} values for {len(steps)} steps; give one a step")
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    figure = Figure(figsize=(4.8 * across, 2.8 * down), dpi=100, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for panel in panels[len(columns) :]:
        panel.set_axis_off()
    for panel, (title, values) in zip(panels, columns.items(), strict=False):
        _draw_curve(panel, title, np.asarray(steps, np.float64), np.asarray(values, np.float64))
    _save(figure, path)


def _draw_curve(panel: "Axes", title: str, steps: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    panel.set_title(title, loc="left", fontsize=10, color=_TEXT, parse_math=False)
    panel.tick_params(labelsize=8, colors=_FAINT_TEXT)
    panel.spines[["top", "right"]].set_visible(False)
    panel.ticklabel_format(axis="y", scilimits=(-3, 4))
    panel.grid(alpha=0.25, linewidth=0.5)
    panel.set_xlabel("step", fontsize=8, color=_FAINT_TEXT)
    finite = np.isfinite(values)
    panel.plot(steps[~finite], np.zeros(np.sum(~finite)), "|", color="red", transform=panel.get_xaxis_transform())
    if not finite.any():
        return
    shown = np.where(finite, values, np.nan)
    marker = "." if len(values) == 1 else ""
    panel.plot(steps, shown, color=_FAINT_CURVE, linewidth=0.6, marker=marker)
    panel.plot(steps, _running_mean(shown, 1 + len(shown) // 40), color=_CURVE, linewidth=1.4)
    # A few wild steps at the start would flatten all the rest, so the outermost 1 % may leave the panel.
    low, high = np.percentile(values[finite], [0.5, 99.5])
    room = 0.15 * (high - low) or 0.1 * abs(high) or 0.1
    panel.set_ylim(low - room, high + room)


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The mean over what is finite in a centred window, (N,)."""
    finite = np.isfinite(values)
    sums, counts = (np.convolve(x, np.ones(window), "same") for x in (np.where(finite, values, 0), finite))
    return np.asarray(np.where(counts > 0.5, sums / np.maximum(counts, 1), np.nan))


def _save(figure: "Figure", path: Path) -> None:
    with warnings.catch_warnings(), atomic_file(path) as partial:
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script the font lacks shows boxes
        figure.savefig(partial, format="png", facecolor="white")
