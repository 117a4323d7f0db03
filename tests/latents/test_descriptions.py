"""Descriptions against cases that can be worked out by hand."""

import numpy as np
import pytest

from fauxley.errors import UsageError
from fauxley.latents.descriptions import describe

RATE = 44100


def sine(hertz, seconds=1.0, rate=RATE):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_the_brightness_of_tones_is_their_mean_frequency_by_power(rate):
    assert describe(sine(1000, rate=rate), rate).brightness == pytest.approx(1000, rel=0.01)
    both = describe(2 * sine(500, rate=rate) + sine(3000, rate=rate), rate)
    assert both.brightness == pytest.approx((4 * 500 + 3000) / 5, rel=0.01)


def test_lowness_is_the_share_of_low_energy():
    assert describe(sine(60), RATE).lowness == pytest.approx(1, abs=0.01)
    assert describe(sine(1000), RATE).lowness == pytest.approx(0, abs=0.01)
    assert describe(sine(60) + 2 * sine(1000), RATE).lowness == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_length_is_how_long_it_takes_to_fall_by_40_db(delay):
    t = np.arange(RATE) / RATE
    sound = np.exp(-t / 0.05) * sine(500)
    sound = np.pad(sound, (round(delay * RATE), 0))
    assert describe(sound, RATE).length == pytest.approx(0.05 * np.log(100), abs=0.01)


def test_noise_is_noisy_and_tones_are_not():
    noise = np.random.default_rng(0).standard_normal(2 * RATE)
    assert describe(noise, RATE).noisiness == pytest.approx(1, abs=0.05)
    assert describe(sine(1000), RATE).noisiness < 0.001
    assert describe(sine(1000) + 0.3 * noise[:RATE], RATE).noisiness == pytest.approx(0.15, abs=0.1)


@pytest.mark.parametrize("seconds", [0.005, 0.05])
def test_an_even_rise_takes_eight_tenths_of_its_time_from_a_tenth_to_nine(seconds):
    ramp = np.minimum(np.arange(RATE) / (seconds * RATE), 1)
    assert describe(ramp, RATE).attack == pytest.approx(0.8 * seconds, rel=0.01)


def test_a_click_at_the_very_first_sample_is_seen():
    click = np.zeros(RATE)
    click[0] = 1
    found = describe(click, RATE)
    assert found.brightness == pytest.approx(RATE / 4, rel=0.01)
    assert found.noisiness == pytest.approx(1, abs=0.01)
    assert found.attack == 0
    assert found.length == pytest.approx(0.005, abs=1e-3)


def test_loudness_is_that_of_the_standard():
    assert describe(sine(997, rate=48000), 48000).loudness == pytest.approx(-3.01, abs=0.1)  # BS.1770-4


def test_level_changes_loudness_alone_and_opposite_channels_do_not_cancel():
    random = np.random.default_rng(1)
    sound = np.exp(-np.arange(RATE) / 2000) * random.standard_normal(RATE) * 0.1
    loud, soft = describe(sound, RATE), describe(sound / 10, RATE)
    both = describe(np.stack([sound, -sound]), RATE)
    for name in ("brightness", "lowness", "length", "noisiness", "attack"):
        assert getattr(soft, name) == pytest.approx(getattr(loud, name))
        assert getattr(both, name) == pytest.approx(getattr(loud, name))
    assert loud.loudness - soft.loudness == pytest.approx(20, abs=0.01)


def test_silence_is_nothing():
    found = describe(np.zeros((2, 100)), 8000)
    assert (found.brightness, found.length, found.attack, found.loudness) == (0, 0, 0, -np.inf)


@pytest.mark.parametrize("wrong", [np.zeros((2, 0)), np.zeros((1, 2, 3)), np.array([np.nan, 1])])
def test_what_is_no_sound_is_refused(wrong):
    with pytest.raises(UsageError):
        describe(wrong, 8000)
