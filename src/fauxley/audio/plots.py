"""Pictures of sounds for the eye that checks the ear: contact sheets, and the curves of a training run.

A sheet is computed pixel by pixel with numpy and handed to matplotlib as one image, for which matplotlib only sets the
words: laying out axes for 64 clips would take seconds. All cells of a sheet share their scales, so that a sound which
is too quiet, too short or too dull looks it:

- Time runs over the longest clip; shorter ones end in silence.
- Frequency is in mel, m(f) = 2595 log₁₀(1 + f / 700 Hz), even in steps of pitch as the ear hears them, from 0 to half
  the sample rate. A row of pixels sums the power under a triangle that ends at its neighbours' centres, much as a
  critical band of the ear does; a sine of full scale reads about 0 dB.
- Colours run from `FLOOR_DB` to 0 dB.

What is not finite is drawn as 0, on red ground. Letters: N clips, C channels, T samples, H × W pixels, K bins of the
Fourier transform.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.atomic import atomic_file
from fauxley.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib is imported by the functions that draw: it takes longer to load than everything else here together.

Image = NDArray[np.uint8]
"""Pixels of red, green and blue, (H, W, 3)."""

Clips = NDArray[np.floating[Any]]

FLOOR_DB = -80.0

_WINDOW_SECONDS = 0.025

# Sizes in pixels.
_CELL_WIDTH, _WAVE_HEIGHT, _SPECTROGRAM_HEIGHT, _CAPTION_HEIGHT = 176, 44, 112, 18
_GAP, _MARGIN, _TITLE_HEIGHT, _FOOTER_HEIGHT = 10, 24, 32, 36
_ROW_HEIGHT = _WAVE_HEIGHT + _SPECTROGRAM_HEIGHT + _CAPTION_HEIGHT + _GAP
_CAPTION_LETTERS = 32  # what fits the width of a cell
_DPI = 100

_GROUND, _ALARM, _WAVE = (np.array(rgb, np.float64) for rgb in ((243, 241, 247), (255, 178, 172), (92, 40, 134)))
_TEXT, _FAINT_TEXT, _CURVE, _FAINT_CURVE = "#1d1626", "#6c6878", "#5c2886", "#cfc0de"


class _Words(NamedTuple):
    x: int  # pixels from the left
    y: int  # pixels from the top
    text: str
    points: float
    colour: str


def write_sheet(
    path: Path,
    rows: Mapping[str, Clips],
    sample_rate: int,
    *,
    columns: int = 8,
    captions: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write a contact sheet as PNG: under each title its clips, waveform above spectrogram above caption.

    Args:
        path: the file, replaced atomically; its folder must exist.
        rows: from title to clips, (N, C, T) in [-1, 1]; N, C and T may differ between titles.
        sample_rate: in Hz.
        columns: clips side by side; a title with more clips continues below.
        captions: from title to a short line for each clip, cut where it outgrows the cell.

    Raises:
        UsageError: there are no clips, they are not (N, C, T), or `columns` is not positive.
    """
    if columns < 1:
        raise UsageError(f"columns must be 1 or more; got {columns}")
    if not rows:
        raise UsageError("a sheet needs one title or more; got none")
    for title, clips in rows.items():
        if clips.ndim != 3 or not clips.size:
            raise UsageError(f"clips must be (N, C, T), none of them 0; got {clips.shape} for {title!r}")
    columns = min(columns, max(len(clips) for clips in rows.values()))
    longest = max(clips.shape[2] for clips in rows.values())
    heights = [_TITLE_HEIGHT + _ROW_HEIGHT * -(-len(clips) // columns) for clips in rows.values()]
    width = 2 * _MARGIN + columns * (_CELL_WIDTH + _GAP) - _GAP
    sheet = np.full((_MARGIN + sum(heights) + _FOOTER_HEIGHT, width, 3), 255, np.uint8)
    words: list[_Words] = []
    top = _MARGIN
    for (title, clips), height in zip(rows.items(), heights, strict=True):
        words.append(_Words(_MARGIN, top, title, 12, _TEXT))
        lines = (captions or {}).get(title, ())
        for index, clip in enumerate(clips):
            row, column = divmod(index, columns)
            x, y = _MARGIN + column * (_CELL_WIDTH + _GAP), top + _TITLE_HEIGHT + row * _ROW_HEIGHT
            padded = np.pad(clip, ((0, 0), (0, longest - clip.shape[1])))  # (C, T)
            cell = np.concatenate([_waveform_image(padded), _spectrogram_cell(padded, sample_rate)])
            sheet[y : y + len(cell), x : x + _CELL_WIDTH] = cell
            if index < len(lines):
                words.append(_Words(x, y + len(cell) + 4, _shortened(lines[index]), 7, _FAINT_TEXT))
        top += height
    sheet[top + 4 : top + 14, _MARGIN : _MARGIN + 80] = _magma(np.linspace(0, 1, 80))
    scales = f"{FLOOR_DB:.0f} to 0 dB    0 to {sample_rate / 2000:g} kHz    {longest / sample_rate:.3g} s"
    words.append(_Words(_MARGIN + 90, top + 3, scales, 7, _FAINT_TEXT))
    _write_png(path, sheet, words)


def spectrogram_image(clip: Clips, sample_rate: int, *, height: int = 128, width: int = 256) -> Image:
    """A clip, (C, T), as a picture, (H, W, 3): mel from bottom to top, decibels as colours, channels as one."""
    num_samples = clip.shape[1]
    window_length = max(2, round(_WINDOW_SECONDS * sample_rate))
    window = np.hanning(window_length + 2)[1:-1]
    # A frame under each column of pixels, centred on it.
    centres = (np.arange(width) + 0.5) * num_samples / width
    padded = np.pad(_drawable(clip), ((0, 0), (window_length, window_length)))
    starts = np.round(centres + window_length / 2).astype(np.int64)
    frames = padded[:, starts[:, None] + np.arange(window_length)] * window  # (C, W, window)
    num_bins = 1 << window_length.bit_length()  # at least twice as fine as the window resolves, so that rows differ
    power = np.square(np.abs(np.fft.rfft(frames, 2 * num_bins))).mean(axis=0)  # (W, K)
    # A sine of amplitude 1 spreads the power (Σ window)² / 4 over its lobe; summed over bins by Parseval's theorem
    # that makes (2 · num_bins) Σ window² / 4.
    power /= 2 * num_bins * np.square(window).sum() / 4
    bands = _mel_triangles(height, power.shape[1], sample_rate) @ power.T  # (H, W)
    decibels = 10 * np.log10(np.maximum(bands, 1e-12))
    return _magma(1 - decibels[::-1] / FLOOR_DB)


def write_curves(path: Path, columns: Mapping[str, Sequence[float]], steps: Sequence[int]) -> None:
    """Write as PNG how numbers went over training, a panel each: every value faint, their running mean strong.

    Args:
        path: the file, replaced atomically; its folder must exist.
        columns: from title to values, one a step. Those that are not finite leave a gap, and a red mark below.
        steps: ascending.

    Raises:
        UsageError: there is no column, or one is not as long as `steps`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not columns:
        raise UsageError("curves need one column or more; got none")
    for title, values in columns.items():
        if len(values) != len(steps):
            raise UsageError(f"{title!r} has {len(values)} values for {len(steps)} steps; give one a step")
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    figure = Figure(
        figsize=(4.8 * across, 2.8 * down), dpi=_DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    )
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


def _spectrogram_cell(clip: Clips, sample_rate: int) -> Image:
    return spectrogram_image(clip, sample_rate, height=_SPECTROGRAM_HEIGHT, width=_CELL_WIDTH)


def _waveform_image(clip: Clips) -> Image:
    """The range between the lowest and highest sample under each column of pixels, of all channels, antialiased."""
    audio = _drawable(clip)
    starts = np.linspace(0, audio.shape[1], _CELL_WIDTH, endpoint=False).astype(np.int64)
    low = np.minimum.reduceat(audio, starts, axis=1).min(axis=0)  # (W,)
    high = np.maximum.reduceat(audio, starts, axis=1).max(axis=0)
    # Neighbours touch, as in a line drawn through the samples.
    low[1:], high[1:] = np.minimum(low[1:], high[:-1]), np.maximum(high[1:], low[:-1])
    top, bottom = ((1 - level) / 2 * (_WAVE_HEIGHT - 1) for level in (high, low))
    pixel = np.arange(_WAVE_HEIGHT)[:, None]  # (H, 1)
    covered = np.clip(np.minimum(pixel + 1, bottom + 1) - np.maximum(pixel, top), 0, 1)[..., None]  # (H, W, 1)
    ground = _GROUND if np.isfinite(clip).all() else _ALARM
    return np.asarray(np.round(covered * _WAVE + (1 - covered) * ground), np.uint8)


def _drawable(clip: Clips) -> NDArray[np.float64]:
    return np.clip(np.nan_to_num(np.asarray(clip, np.float64), nan=0, posinf=0, neginf=0), -1, 1)


def _mel_triangles(height: int, num_bins: int, sample_rate: int) -> NDArray[np.float64]:
    """What each bin gives to each band, (H, K), between 0 and 1."""
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, height + 2) / 2595) - 1)  # Hz
    bin_width = sample_rate / 2 / (num_bins - 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    # No side is narrower than a bin, lest a band fall between bins and stay dark.
    rise, fall = np.maximum(centre - low, bin_width), np.maximum(high - centre, bin_width)
    frequency = bin_width * np.arange(num_bins)
    return np.clip(np.minimum(1 - (centre - frequency) / rise, 1 - (frequency - centre) / fall), 0, 1)


def _magma(level: NDArray[np.float64]) -> Image:
    """The colours of levels, (...,) to (..., 3); what is outside [0, 1] is clipped."""
    from matplotlib import colormaps

    rgba: Image = colormaps["magma"](np.clip(level, 0, 1), bytes=True)
    return np.asarray(rgba[..., :3])


def _shortened(line: str) -> str:
    return line if len(line) <= _CAPTION_LETTERS else f"{line[: _CAPTION_LETTERS - 1]}…"


def _write_png(path: Path, image: Image, words: Sequence[_Words]) -> None:
    from matplotlib.figure import Figure

    height, width, _ = image.shape
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    figure.figimage(image, origin="upper")
    for x, y, text, points, colour in words:
        figure.text(x / width, 1 - y / height, text, size=points, color=colour, va="top", parse_math=False)
    _save(figure, path)


def _save(figure: "Figure", path: Path) -> None:
    with warnings.catch_warnings(), atomic_file(path) as partial:
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script the font lacks shows boxes
        figure.savefig(partial, format="png", facecolor="white")
