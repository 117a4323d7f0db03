"""A picture of where recordings were cut: their waveform in rows of seconds, what was kept on coloured ground.

Letters: C channels, T samples, H × W pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from fauxley.pictures.canvas import GROUND, TEXT, Image, draw_waveform, font, write_png
from fauxley.sounds.reading import Float
from fauxley.storage import atomic_file

_ROW_SECONDS, _ROWS = 10, 6  # of each recording
_WIDTH, _HEIGHT, _GAP, _MARGIN, _TITLE = 1400, 90, 8, 24, 26  # pixels
SHOWN_SECONDS = _ROW_SECONDS * _ROWS
_KEPT, _CUT = ((222, 232, 212), (206, 64, 48))  # ground of what was kept, and where it was cut


class CutRecording(NamedTuple):
    """A recording to be drawn: its name, its first seconds `(C, T)`, their rate, and (begin, end) of what was kept."""

    title: str
    audio: Float
    sample_rate: int
    kept: Sequence[tuple[int, int]]


def write_cut_picture(path: Path, recordings: Sequence[CutRecording]) -> None:
    """Write a PNG that shows the first minute of each recording, scaled to its own peak, with the cuts in it."""
    rows = [_rows(recording) for recording in recordings]
    height = 2 * _MARGIN + sum(_TITLE + len(images) * (_HEIGHT + _GAP) for images in rows)
    page = np.full((height, _WIDTH + 2 * _MARGIN, 3), 255, np.uint8)
    titles = []
    top = _MARGIN
    for recording, images in zip(recordings, rows, strict=True):
        titles.append((top, f"{recording.title}   ({_ROW_SECONDS} s a row; kept on green, cut at red)"))
        top += _TITLE
        for image in images:
            page[top : top + _HEIGHT, _MARGIN : _MARGIN + image.shape[1]] = image
            top += _HEIGHT + _GAP
    picture = Pillow.fromarray(page)
    pen = ImageDraw.Draw(picture)
    for place, title in titles:
        pen.text((_MARGIN, place), title, TEXT, font(15))
    with atomic_file(path) as partial:
        write_png(np.asarray(picture), partial)


def _rows(recording: CutRecording) -> list[Image]:
    length = _ROW_SECONDS * recording.sample_rate
    peak = max(float(np.abs(recording.audio).max(initial=0)), 1e-9)
    starts = range(0, recording.audio.shape[1], length)
    return [_row(recording, start, length, peak) for start in starts[:_ROWS]]


def _row(recording: CutRecording, start: int, length: int, peak: float) -> Image:
    audio = recording.audio[:, start : start + length] / peak
    width = max(1, round(_WIDTH * audio.shape[1] / length))
    ground = np.tile(GROUND, (_HEIGHT, width, 1))
    marks = [(_column(begin, start, length), _column(end, start, length)) for begin, end in recording.kept]
    for begin, end in marks:
        ground[:, max(begin, 0) : max(end, 0)] = _KEPT
    image = draw_waveform(ground, audio)
    for begin, _ in marks:
        if 0 <= begin < width:
            image[:, begin] = _CUT
    return image


def _column(sample: int, start: int, length: int) -> int:
    """The column of pixels in which a sample lies, of a row that begins at `start`."""
    return round((sample - start) * _WIDTH / length)
