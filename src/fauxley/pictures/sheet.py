"""Contact sheets: pictures of many sounds on one page, for the eye that checks the ear.

A sheet is computed pixel by pixel with numpy; Pillow only sets the words. All cells of a sheet share their scales, so
that a sound which is too quiet, too short or too dull looks it: time runs over the longest clip, and shorter ones end
in silence; frequency and colours are those of `fauxley.pictures.spectrogram`. What is not finite is drawn as 0, on red
ground.

Letters: N clips, C channels, T samples, H × W pixels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from fauxley.errors import UsageError
from fauxley.pictures.canvas import FAINT_TEXT, GROUND, TEXT, Clips, Image, draw_waveform, font, write_png
from fauxley.pictures.spectrogram import FLOOR_DB, colours, spectrogram_image
from fauxley.storage import atomic_file

# Sizes in pixels.
_CELL_WIDTH, _WAVE_HEIGHT, _SPECTROGRAM_HEIGHT, _CAPTION_HEIGHT = 176, 44, 112, 18
_GAP, _MARGIN, _TITLE_HEIGHT, _FOOTER_HEIGHT = 10, 24, 32, 36
_ROW_HEIGHT = _WAVE_HEIGHT + _SPECTROGRAM_HEIGHT + _CAPTION_HEIGHT + _GAP
_LARGE, _SMALL = 17, 10
_CAPTION_LETTERS = 32  # what fits the width of a cell

_ALARM = np.array((255, 178, 172), np.float64)  # ground of what is not finite


class _Words(NamedTuple):
    x: int  # pixels from the left
    y: int  # pixels from the top
    text: str
    size: int  # in pixels
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
        words.append(_Words(_MARGIN, top, title, _LARGE, TEXT))
        lines = (captions or {}).get(title, ())
        for index, clip in enumerate(clips):
            row, column = divmod(index, columns)
            x, y = _MARGIN + column * (_CELL_WIDTH + _GAP), top + _TITLE_HEIGHT + row * _ROW_HEIGHT
            padded = np.pad(clip, ((0, 0), (0, longest - clip.shape[1])))  # (C, T)
            cell = np.concatenate([_waveform_image(padded), _spectrogram_cell(padded, sample_rate)])
            sheet[y : y + len(cell), x : x + _CELL_WIDTH] = cell
            if index < len(lines):
                words.append(_Words(x, y + len(cell) + 4, _shortened(lines[index]), _SMALL, FAINT_TEXT))
        top += height
    sheet[top + 4 : top + 14, _MARGIN : _MARGIN + 80] = colours(np.linspace(0, 1, 80))
    scales = f"{FLOOR_DB:.0f} to 0 dB    0 to {sample_rate / 2000:g} kHz    {longest / sample_rate:.3g} s"
    words.append(_Words(_MARGIN + 90, top + 3, scales, _SMALL, FAINT_TEXT))
    _write_png(path, sheet, words)


def _spectrogram_cell(clip: Clips, sample_rate: int) -> Image:
    return spectrogram_image(clip, sample_rate, height=_SPECTROGRAM_HEIGHT, width=_CELL_WIDTH)


def _waveform_image(clip: Clips) -> Image:
    ground = GROUND if np.isfinite(clip).all() else _ALARM
    return draw_waveform(np.broadcast_to(ground, (_WAVE_HEIGHT, _CELL_WIDTH, 3)), clip)


def _shortened(line: str) -> str:
    return line if len(line) <= _CAPTION_LETTERS else f"{line[: _CAPTION_LETTERS - 1]}…"


def _write_png(path: Path, image: Image, words: Sequence[_Words]) -> None:
    page = Pillow.fromarray(image)
    pen = ImageDraw.Draw(page)
    for x, y, text, size, colour in words:
        pen.text((x, y), text, colour, font(size))
    with atomic_file(path) as partial:
        write_png(np.asarray(page), partial)
