"""Pictures that show what is in a sound, whatever the sound."""

import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from fauxley.audio.plots import spectrogram_image, write_curves, write_sheet
from fauxley.errors import UsageError

RATE = 16_000


def sine(frequency, amplitude=1.0, num_samples=RATE):
    return amplitude * np.sin(2 * np.pi * frequency / RATE * np.arange(num_samples))[None]


def brightness(image):
    return image.astype(np.int64).sum(axis=2)


def pixels(path):
    return np.round(255 * matplotlib.image.imread(path)[..., :3]).astype(np.uint8)


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


@pytest.mark.parametrize(
    "clip",
    [
        np.zeros((1, 500)),
        np.full((1, 500), np.nan),
        np.full((2, 500), -np.inf),
        np.ones((1, 1)),
        np.full((1, 3), 1e30),
        np.random.default_rng(0).normal(size=(2, 999)).astype(np.float32),
    ],
    ids=["silence", "nan", "inf", "one sample", "huge", "stereo"],
)
@pytest.mark.parametrize("sample_rate", [50, 16_000, 192_000])
def test_any_clip_can_be_drawn(tmp_path, clip, sample_rate):
    assert spectrogram_image(clip, sample_rate).shape == (128, 256, 3)
    write_sheet(tmp_path / "sheet.png", {"odd": clip[None]}, sample_rate)
    assert pixels(tmp_path / "sheet.png").ndim == 3


@pytest.mark.parametrize(("count", "columns"), [(1, 8), (8, 8), (9, 4), (64, 16)])
def test_a_sheet_has_room_for_every_clip(tmp_path, count, columns):
    # What swings from peak to peak fills the strip of its waveform with ink: as many patches of it as clips.
    clips = np.resize([1.0, -1.0], (count, 1, 512))
    ink = []
    for shown in (clips, clips[:1]):
        write_sheet(tmp_path / "sheet.png", {"full": shown}, RATE, columns=columns)
        ink.append((pixels(tmp_path / "sheet.png") == (92, 40, 134)).all(axis=2).sum())
    assert ink[0] == count * ink[1] > 5000 * count


def test_a_sheet_shows_what_is_not_finite(tmp_path):
    def alarm(clips):
        write_sheet(tmp_path / "sheet.png", {"generated": clips}, RATE)
        image = pixels(tmp_path / "sheet.png").astype(int)
        return (np.abs(image - (255, 178, 172)).sum(axis=2) < 10).any()

    clips = np.zeros((2, 1, 100))
    assert not alarm(clips)
    clips[1, 0, 50] = np.nan
    assert alarm(clips)


def test_titles_and_captions_are_words_and_not_markup(tmp_path):
    clips = {"$x_1$ 鼓": np.zeros((3, 1, 100)), "longer, stereo": np.zeros((2, 2, 300))}
    captions = {"$x_1$ 鼓": ["$\\frac{1}$", "a line much longer than any cell of a sheet is wide"]}
    write_sheet(tmp_path / "sheet.png", clips, RATE, captions=captions)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ({}, 8, "needs one title"),
        ({"real": np.zeros((0, 1, 100))}, 8, r"\(N, C, T\).* got \(0, 1, 100\) for 'real'"),
        ({"real": np.zeros((1, 100))}, 8, r"got \(1, 100\)"),
        ({"real": np.zeros((1, 1, 100))}, 0, "columns must be 1 or more; got 0"),
    ],
)
def test_a_sheet_of_nothing_is_refused(tmp_path, rows, columns, message):
    with pytest.raises(UsageError, match=message):
        write_sheet(tmp_path / "sheet.png", rows, RATE, columns=columns)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "values",
    [[], [1.0], [np.nan, np.nan], [0.0] * 5, [1e-4] * 5, [1.0, np.inf, 3.0, -np.inf], list(range(3000))],
    ids=["empty", "one", "nan", "zero", "constant", "gaps", "many"],
)
def test_any_curve_can_be_drawn(tmp_path, values):
    write_curves(tmp_path / "curves.png", {"loss $": values, "again": values}, range(len(values)))
    assert pixels(tmp_path / "curves.png").shape[0] > 100


def test_a_curve_that_is_not_finite_is_marked_red(tmp_path):
    def red(values):
        write_curves(tmp_path / "curves.png", {"loss": values}, range(len(values)))
        image = pixels(tmp_path / "curves.png").astype(int)
        return ((image[..., 0] > 230) & (image[..., 1:] < 60).all(axis=2)).any()

    assert not red([1.0, 2.0, 3.0])
    assert red([1.0, np.nan, 3.0])


def test_a_wild_start_does_not_flatten_the_rest(tmp_path):
    values = np.sin(np.arange(1000) / 50)
    values[:3] = 1e6
    write_curves(tmp_path / "curves.png", {"loss": values.tolist()}, range(1000))
    image = pixels(tmp_path / "curves.png").astype(int)
    curve_rows = np.flatnonzero((np.abs(image - (92, 40, 134)).sum(axis=2) < 120)[:, 150:].any(axis=1))
    assert np.ptp(curve_rows) > 0.4 * len(image)


def test_curves_say_what_is_wrong(tmp_path):
    with pytest.raises(UsageError, match="one column or more"):
        write_curves(tmp_path / "curves.png", {}, [])
    with pytest.raises(UsageError, match="'loss' has 2 values for 3 steps"):
        write_curves(tmp_path / "curves.png", {"loss": [1.0, 2.0]}, [1, 2, 3])


def test_importing_is_cheap():
    check = "import sys, fauxley.audio.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
