"""Pictures that show what is in a sound, whatever the sound."""

from io import BytesIO

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from fauxley.pictures.canvas import write_png
from fauxley.pictures.spectrogram import colours, spectrogram_image

RATE = 16_000


def sine(frequency, amplitude=1.0, num_samples=RATE):
    return amplitude * np.sin(2 * np.pi * frequency / RATE * np.arange(num_samples))[None]


def brightness(image):
    return image.astype(np.int64).sum(axis=2)


@pytest.mark.parametrize("frequency", [0, 100, 440, 1000, 4000, 7500])
@pytest.mark.parametrize("height", [32, 128, 400])
def test_a_tone_is_a_line_at_its_place_in_mel(frequency, height):
    tone = sine(frequency) if frequency else np.ones((1, RATE))
    image = spectrogram_image(tone, RATE, height=height, width=20)
    assert image.shape == (height, 20, 3)
    assert image.dtype == np.uint8
    row = np.argmax(brightness(image)[:, 10])
    mel, top = 2595 * np.log10(1 + np.array([frequency, RATE / 2]) / 700)
    assert row == pytest.approx(height - mel / top * (height + 1), abs=1 + 0.01 * height)
    assert brightness(image)[row, 10] > 550  # about 0 dB: nearly the brightest there is


def test_colours_fall_with_level_down_to_the_floor():
    levels = [brightness(spectrogram_image(sine(1000, 10 ** (db / 20)), RATE)).max() for db in (0, -20, -60, -100)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 2 * levels[2]
    assert levels[3] == brightness(spectrogram_image(np.zeros((1, RATE)), RATE)).max()


def test_a_click_is_a_column_at_its_time():
    click = np.zeros((1, RATE))
    click[0, 3 * RATE // 4] = 1
    columns = brightness(spectrogram_image(click, RATE, width=100)).sum(axis=0)
    assert abs(np.mean(np.flatnonzero(columns == columns.max())) - 74.5) <= 1.5
    assert columns[:70].max() == columns.min()


def test_colours_are_those_of_matplotlib():
    levels = np.linspace(-0.2, 1.2, 1001).reshape(7, 143)
    expected = mpl.colormaps["magma"](np.clip(levels, 0, 1), bytes=True)[..., :3]
    assert (colours(levels) == expected).all()


def test_a_png_holds_the_pixels():
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    file = BytesIO()
    write_png(image, file)
    file.seek(0)
    assert (np.asarray(Image.open(file)) == image).all()
