"""Contact sheets of any clips, under any names."""

import numpy as np
import pytest
from PIL import Image

from fauxley.errors import UsageError
from fauxley.pictures import canvas
from fauxley.pictures.sheet import write_sheet
from fauxley.pictures.spectrogram import spectrogram_image

RATE = 16_000


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


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


@pytest.mark.parametrize("name", ["kick", "$x$", "ж", "\udce4", "two\nlines", "a" * 5000])
def test_any_title_and_caption_are_drawn(tmp_path, name):
    def ink(title, caption):
        write_sheet(tmp_path / "sheet.png", {title: np.zeros((1, 1, 100))}, RATE, captions={title: [caption]})
        return (pixels(tmp_path / "sheet.png") < 128).all(axis=2).sum()

    nothing = ink("", "")
    assert nothing < ink("", name) < ink(name, name)


def test_words_do_without_any_font_of_the_machine(tmp_path, monkeypatch):
    canvas.font.cache_clear()
    monkeypatch.setattr(canvas, "_FONTS", ("no such font.ttf",))
    write_sheet(tmp_path / "sheet.png", {"drums": np.zeros((1, 1, 100))}, RATE)
    canvas.font.cache_clear()
    title = pixels(tmp_path / "sheet.png")[24:50, 20:100]
    assert (title < 128).all(axis=2).any()
