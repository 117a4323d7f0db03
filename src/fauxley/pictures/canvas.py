"""The means by which all pictures are drawn: pixels, waveforms, words and PNG files.

Letters: C channels, T samples, H × W pixels.
"""

from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

# Pillow and not matplotlib, which takes half a second to import and start: longer than 20 sounds take to make.
from PIL import Image as Pillow
from PIL import ImageFont

Image = NDArray[np.uint8]
"""Pixels of red, green and blue, (H, W, 3)."""

Clips = NDArray[np.floating[Any]]

TEXT, FAINT_TEXT = "#1d1626", "#6c6878"
GROUND, INK = (np.array(rgb, np.float64) for rgb in ((243, 241, 247), (92, 40, 134)))  # behind a waveform, and its own
_COMPRESSION = 3  # of zlib's 9: half the time of its default for 5 % more
# Fonts with most alphabets: of Linux, macOS and Windows. What they lack shows as boxes.
_FONTS = ("DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf", "Arial.ttf", "NotoSans-Regular.ttf")


def drawable(clip: Clips) -> NDArray[np.float64]:
    """The samples of a clip in [-1, 1]; 0 in place of what is not finite."""
    return np.clip(np.nan_to_num(np.asarray(clip, np.float64), nan=0, posinf=0, neginf=0), -1, 1)


def draw_waveform(image: NDArray[np.float64], clip: Clips) -> Image:
    """Draw a clip, (C, T), over the whole width of `image`, (H, W, 3), full scale from top to bottom.

    Each column of pixels is inked from the lowest to the highest sample under it, of all channels, antialiased.
    """
    height, width = image.shape[:2]
    audio = drawable(clip)
    starts = np.linspace(0, audio.shape[1], width, endpoint=False).astype(np.int64)
    low = np.minimum.reduceat(audio, starts, axis=1).min(axis=0)  # (W,)
    high = np.maximum.reduceat(audio, starts, axis=1).max(axis=0)
    # Neighbours touch, as in a line drawn through the samples.
    low[1:], high[1:] = np.minimum(low[1:], high[:-1]), np.maximum(high[1:], low[:-1])
    top, bottom = ((1 - level) / 2 * (height - 1) for level in (high, low))
    pixel = np.arange(height)[:, None]  # (H, 1)
    covered = np.clip(np.minimum(pixel + 1, bottom + 1) - np.maximum(pixel, top), 0, 1)[..., None]  # (H, W, 1)
    return np.asarray(np.round(covered * INK + (1 - covered) * image), np.uint8)


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of this machine in which pictures are labelled, `size` pixels high."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
        except OSError:  # this machine has none of that name
            continue
    return ImageFont.load_default(size)


def write_png(image: Image, file: Path | IO[bytes]) -> None:
    """Write pixels as PNG."""
    Pillow.fromarray(image).save(file, format="png", compress_level=_COMPRESSION)
