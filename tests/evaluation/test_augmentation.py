"""Conditions of recording and outliers: each is what its name says, by measures of its own."""

import numpy as np
import pytest

from fauxley.evaluation.classifier import training as classifier_training
from fauxley.evaluation.classifier.augmentation import (
    add_noise,
    apply_filter,
    band_response,
    coloured_noise,
    make_outlier,
    noise,
    noise_of_same_spectrum,
    overdrive,
    reverse,
    room_response,
    shift_and_speed,
    shuffle_pieces,
    vary_conditions,
)
from fauxley.evaluation.classifier.training import Recipe

RATE = 16000
LENGTH = 16384


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def clip():
    """A hit that rings at 1 kHz, from a tenth of the clip on, then silence."""
    n = np.arange(LENGTH - LENGTH // 10 - 4000)
    ring = np.sin(2 * np.pi * 1000 / RATE * n) * np.exp(-n / 3000)
    return np.concatenate([np.zeros(LENGTH // 10), ring, np.zeros(4000)]).astype(np.float32)


def _decibels(ratio):
    return 10 * np.log10(ratio)


def _peak_frequency(audio):
    return np.abs(np.fft.rfft(audio)).argmax() * RATE / len(audio)


@pytest.mark.parametrize("snr", [-3, 0, 10, 30])
def test_noise_is_as_loud_as_asked_for(clip, rng, snr):
    added = add_noise(clip, 7 * noise(LENGTH, 1.0, rng), snr) - clip
    assert _decibels(np.square(clip).mean() / np.square(added).mean()) == pytest.approx(snr, abs=0.01)


def test_silence_stays_silent(rng):
    silence = np.zeros(LENGTH, np.float32)
    np.testing.assert_array_equal(add_noise(silence, noise(LENGTH, 0, rng), 0), silence)
    for seed in range(40):
        np.testing.assert_array_equal(vary_conditions(silence, RATE, np.random.default_rng(seed)), silence)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_falls_with_frequency_as_its_colour_says(rng, slope):
    power = np.abs(np.fft.rfft(noise(1 << 17, slope, rng))) ** 2
    octaves = [power[first : 2 * first].mean() for first in (1 << np.arange(8, 16))]
    falls = -np.diff(np.log2(octaves))
    np.testing.assert_allclose(falls, slope, atol=0.25)


def test_moving_shifts_and_speeds_up(clip):
    np.testing.assert_allclose(shift_and_speed(clip, 100, 1)[100:], clip[:-100], atol=1e-6)
    np.testing.assert_allclose(shift_and_speed(clip, -100, 1)[:-100], clip[100:], atol=1e-6)
    assert not shift_and_speed(clip, 100, 1)[:100].any()
    assert _peak_frequency(shift_and_speed(clip, 0, 1.05)) == pytest.approx(1050, abs=2)
    assert np.argmax(shift_and_speed(clip, 0, 1.05) != 0) == pytest.approx(LENGTH / 10 / 1.05, abs=2)


def test_a_band_keeps_what_is_in_it(rng):
    white = noise(LENGTH, 0, rng)
    narrow = apply_filter(white, band_response(LENGTH, RATE, 400, 2000))
    before, after = np.abs(np.fft.rfft(white)) ** 2, np.abs(np.fft.rfft(narrow)) ** 2

    def change(low, high):
        part = slice(int(low * LENGTH / RATE), int(high * LENGTH / RATE))
        return _decibels(after[part].sum() / before[part].sum())

    assert change(700, 1200) == pytest.approx(0, abs=0.2)
    assert change(390, 410) == pytest.approx(-3, abs=1)
    assert change(1950, 2050) == pytest.approx(-3, abs=0.5)
    assert change(3950, 4050) == pytest.approx(-24, abs=1)  # an octave above
    assert change(195, 205) < -20
    np.testing.assert_allclose(apply_filter(white, band_response(LENGTH, RATE, 0, 1e6)), white, atol=1e-4)


def test_a_room_rings_on_and_is_as_loud_as_said(rng):
    room = room_response(LENGTH, RATE, 0.4, 6, rng)
    assert room[0] == 1
    assert _decibels(1 / np.square(room[1:]).sum()) == pytest.approx(6, abs=0.01)
    early, late = (np.square(room[first : first + 800]).mean() for first in (1, 1 + int(0.2 * RATE)))
    assert _decibels(early / late) == pytest.approx(30, abs=2)
    click = np.zeros(LENGTH, np.float32)
    click[100] = 1
    np.testing.assert_allclose(
        apply_filter(click, np.fft.rfft(room, 2 * LENGTH))[100:], room[: LENGTH - 100], atol=1e-5
    )


def test_overdriving_cuts_peaks_and_nothing_else(clip):
    loud = overdrive(clip, 6)
    limit = np.abs(clip).max() * 10 ** (-6 / 20)
    assert np.abs(loud).max() == pytest.approx(limit)
    np.testing.assert_array_equal(loud[np.abs(clip) < limit], clip[np.abs(clip) < limit])


def test_outliers_hold_what_the_clip_holds_in_another_order(clip, rng):
    np.testing.assert_array_equal(np.sort(reverse(clip, rng)), np.sort(clip))
    backward = {reverse(clip, np.random.default_rng(seed)).tobytes() for seed in range(8)}
    assert clip[::-1].tobytes() in backward
    assert len(backward) == 2
    moved_pieces = shuffle_pieces(clip, rng)
    np.testing.assert_array_equal(np.sort(moved_pieces), np.sort(clip))
    assert (moved_pieces != clip).any()
    spectrum, noisy = np.abs(np.fft.rfft(clip)), np.abs(np.fft.rfft(noise_of_same_spectrum(clip, rng)))
    np.testing.assert_allclose(noisy[1:-1], spectrum[1:-1], atol=1e-3 * spectrum.max())
    for unlike in (noise_of_same_spectrum, coloured_noise):
        assert abs(np.mean([np.corrcoef(clip, unlike(clip, rng))[0, 1] for _ in range(50)])) < 0.15


@pytest.mark.parametrize("length", [1, 7, 400, 16001])
def test_clips_of_any_length_and_no_sound_stay_finite(length):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        for audio in (np.zeros(length, np.float32), np.ones(length, np.float32)):
            heard = vary_conditions(make_outlier(audio, rng), RATE, rng)
            assert heard.shape == (length,)
            assert heard.dtype == np.float32
            assert np.isfinite(heard).all()


def test_what_happens_to_a_clip_does_not_depend_on_the_others(rng):
    audio = (3000 * rng.standard_normal((12, 2000))).astype(np.int16)
    clips = classifier_training._Clips(audio, np.arange(12))
    recipe = Recipe(seed=5)

    def heard(chosen, outliers, epoch=3):
        return classifier_training._make_batch(clips, np.array(chosen), np.array(outliers), epoch, recipe, RATE)

    together = heard(range(12), [4, 7])
    np.testing.assert_array_equal(heard([9, 2], [7]), together[[9, 2, 13]])
    assert (heard([9], []) != heard([9], [], epoch=4)).any()
    assert (together[4] != together[12]).any()
