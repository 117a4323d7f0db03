"""Cleaned sounds, checked with what is known of sines, steps and silence."""

import numpy as np
import pytest

from fauxley.errors import UsageError
from fauxley.signal.cleaning import Cleaning, loudness
from fauxley.signal.drumkit import INSTRUMENTS, synthesize

RATE = 16_000
NOTHING = Cleaning(remove_dc=False, trim_db=None, fade_out_seconds=0, normalize="none")


def sine(frequency, seconds=1.0, amplitude=1.0, sample_rate=RATE):
    return amplitude * np.sin(2 * np.pi * frequency / sample_rate * np.arange(round(seconds * sample_rate)))[None]


def decibels(amplitude):
    return 20 * np.log10(amplitude)


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_a_sine_of_997_hz_at_full_scale_reads_minus_3_01_lkfs(sample_rate):
    tone = sine(997, 2, sample_rate=sample_rate)
    assert loudness(tone, sample_rate) == pytest.approx(-3.01, abs=0.01)
    assert loudness(0.1 * tone, sample_rate) == pytest.approx(-23.01, abs=0.01)
    assert loudness(np.concatenate([tone, tone]), sample_rate) == pytest.approx(0, abs=0.01)


def test_the_weighting_is_deaf_to_lows_and_lifts_highs():
    middle, low, high = (loudness(sine(f, 2, 0.5, 48_000), 48_000) for f in (500, 25, 10_000))
    assert low < middle - 8
    assert high == pytest.approx(middle + 4, abs=0.2)


def test_silence_and_softer_parts_are_gated():
    tone = sine(997, 10, sample_rate=48_000)
    with_silence = np.concatenate([tone, np.zeros_like(tone)], axis=1)
    with_soft = np.concatenate([tone, 0.1 * tone], axis=1)
    assert loudness(with_silence, 48_000) == pytest.approx(-3.01, abs=0.1)
    assert loudness(with_soft, 48_000) == pytest.approx(-3.01, abs=0.1)
    with_somewhat_softer = np.concatenate([tone, 0.5 * tone], axis=1)
    assert loudness(with_somewhat_softer, 48_000) == pytest.approx(-3.01 + 10 * np.log10(0.625), abs=0.05)


def test_short_sounds_are_measured_as_part_of_a_block():
    assert loudness(sine(997, 0.2), RATE) == pytest.approx(-3.01 + 10 * np.log10(0.5), abs=0.05)
    assert np.isfinite(loudness(np.ones((1, 1)), RATE))


def test_the_loudness_of_silence_is_minus_infinity():
    assert loudness(np.zeros((2, RATE)), RATE) == -np.inf
    assert loudness(np.full((1, RATE), np.nan), RATE) == -np.inf


def test_with_everything_off_nothing_changes():
    clip = np.random.default_rng(0).uniform(-1, 1, (2, 999)).astype(np.float32)
    np.testing.assert_array_equal(NOTHING.apply(clip, RATE), clip)


@pytest.mark.parametrize("sound", [sine(100, amplitude=0.5), *(0.5 * synthesize(name, 1) for name in INSTRUMENTS)])
def test_an_offset_goes_and_the_sound_stays(sound):
    cleaned = Cleaning(trim_db=None, fade_out_seconds=0, normalize="none").apply(sound + 0.3, RATE)
    np.testing.assert_allclose(cleaned, sound, atol=1e-4)


def test_silence_around_a_lopsided_sound_stays_silent():
    """Taking out the mean would lower it to 43 dB below the peak, too high to be trimmed."""
    clip = np.zeros((1, RATE))
    clip[0, 4000:4225] = np.hanning(225)
    assert np.abs(Cleaning(trim_db=None, normalize="none").apply(clip, RATE)[0, 8000:]).max() < 1e-5
    assert Cleaning().apply(clip, RATE).shape[1] < 32 + 225 + 160


def test_both_ends_are_trimmed_to_the_sound():
    sound = np.cos(2 * np.pi * np.arange(4000) / 16)[None]
    clip = np.concatenate([1e-4 * np.ones((1, 3000)), sound, np.zeros((1, 5000))], axis=1)
    trimmed = Cleaning(remove_dc=False, normalize="none").apply(clip, RATE)
    pre_roll, fade_out = 32, 160
    assert trimmed.shape[1] == pre_roll + sound.shape[1] + fade_out
    np.testing.assert_array_equal(trimmed[:, pre_roll:-fade_out], sound.astype(np.float32))


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_network_s_noise_is_trimmed_and_the_onset_found(instrument):
    """Noise whose level is 60 dB below the sound, as trained networks make; its peaks reach 12 dB higher."""
    sound = synthesize(instrument, 0, duration_seconds=0.8)
    noise = 1e-3 * np.sqrt(np.mean(sound[0, :160] ** 2)) * np.random.default_rng(0).normal(size=(1, 16_384))
    clip = np.pad(sound, ((0, 0), (2000, 16_384 - 2000 - sound.shape[1]))) + noise
    cleaned = Cleaning(normalize="none").apply(clip, RATE)
    assert cleaned.shape[1] < 13_000
    onset = 2000 + np.argmax(np.abs(sound[0]) > 0.05) - np.argmax(np.abs(cleaned[0]) > 0.05)
    assert 2000 - 40 <= onset <= 2000


@pytest.mark.parametrize("trim_db", [-0.01, -6, -1000])
@pytest.mark.parametrize("num_samples", [1, 2, 30, 400])
def test_any_threshold_leaves_something_to_hear(trim_db, num_samples):
    clip = np.hanning(num_samples + 2)[None, 1:-1]
    cleaned = Cleaning(remove_dc=False, trim_db=trim_db).apply(clip, RATE)
    assert 1 <= cleaned.shape[1] <= num_samples
    assert decibels(np.abs(cleaned).max()) == pytest.approx(-1, abs=1e-3)


def test_an_attack_on_the_first_sample_is_not_faded():
    clip = np.exp(-np.arange(RATE) / 1000)[None]
    cleaned = Cleaning(remove_dc=False).apply(clip, RATE)
    assert cleaned[0, 0] == np.abs(cleaned).max()


def test_channels_are_cut_and_scaled_alike():
    left, right = np.zeros((2, RATE))
    left[2000:4000] = 0.5 * sine(500, 0.125)[0]
    right[6000:8000] = 0.25 * sine(500, 0.125)[0]
    cleaned = Cleaning(remove_dc=False).apply(np.stack([left, right]), RATE)
    assert cleaned.shape == (2, pytest.approx(8000 - 2000 + 32 + 160, abs=3))
    assert decibels(np.abs(cleaned[0]).max()) == pytest.approx(-1, abs=0.01)
    assert decibels(np.abs(cleaned[1]).max()) == pytest.approx(-7, abs=0.05)


def test_a_sound_cut_off_in_full_swing_ends_at_zero():
    cleaned = Cleaning().apply(sine(440, 0.3), RATE)
    assert cleaned[0, -1] == 0
    assert np.abs(np.diff(cleaned[0, -30:])).max() < 0.01


def test_a_click_of_one_sample_survives():
    clip = np.zeros((1, 100))
    clip[0, 50] = 0.2
    for fade_out_seconds in (0, 0.01, 10):
        cleaned = Cleaning(remove_dc=False, fade_out_seconds=fade_out_seconds).apply(clip, RATE)
        assert decibels(np.abs(cleaned).max()) == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize("peak_dbfs", [0, -1, -6])
def test_peaks_are_brought_to_the_level_asked_for(peak_dbfs):
    cleaned = Cleaning(peak_dbfs=peak_dbfs).apply(sine(440, amplitude=0.01), RATE)
    assert decibels(np.abs(cleaned).max()) == pytest.approx(peak_dbfs, abs=1e-4)


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_loudness_is_brought_to_the_level_asked_for_and_never_clips(instrument):
    sound = synthesize(instrument, 0)
    soft = Cleaning(normalize="loudness", loudness_lkfs=-35).apply(sound, RATE)
    assert loudness(soft, RATE) == pytest.approx(-35, abs=0.01)
    # Louder than the peak allows: as loud as it gets.
    loud = Cleaning(normalize="loudness", loudness_lkfs=0).apply(0.1 * sound, RATE)
    assert decibels(np.abs(loud).max()) == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize("normalize", ["none", "peak", "loudness"])
@pytest.mark.parametrize(
    "clip",
    [
        np.zeros((2, 500)),
        np.full((1, 500), np.nan),
        np.full((1, 500), 0.4),
        np.full((1, 1), np.inf),
        np.full((1, 9), 2e-5),
    ],
    ids=["zeros", "nan", "offset alone", "one infinite sample", "faint"],
)
def test_silence_comes_back_as_silence(clip, normalize):
    cleaned = Cleaning(normalize=normalize).apply(clip, RATE)
    assert cleaned.shape == clip.shape
    assert cleaned.dtype == np.float32
    assert np.abs(cleaned).max() < 1e-4


def test_samples_that_are_not_finite_do_not_spoil_the_others():
    clip = sine(440)
    clip[0, [10, 20, 30]] = np.nan, np.inf, -np.inf
    cleaned = Cleaning().apply(clip, RATE)
    assert np.isfinite(cleaned).all()
    assert decibels(np.abs(cleaned).max()) == pytest.approx(-1, abs=1e-4)


def test_the_input_is_left_alone():
    clip = synthesize("snare", 0)
    before = clip.copy()
    Cleaning(remove_dc=False, trim_db=None).apply(clip, RATE)
    np.testing.assert_array_equal(clip, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trim_db": 3.0}, "trim_db must be below 0 or None; got 3.0"),
        ({"fade_out_seconds": -1.0}, "must be 0 or more; got 0.002 and -1.0"),
        ({"pre_roll_seconds": float("nan")}, "must be 0 or more"),
        ({"normalize": "rms"}, "one of none, peak, loudness; got 'rms'"),
        ({"peak_dbfs": 1.0}, "must be 0 or less; got 1.0"),
    ],
)
def test_wrong_options_say_what_to_do(options, message):
    with pytest.raises(UsageError, match=message):
        Cleaning(**options)


@pytest.mark.parametrize(("shape", "sample_rate"), [((100,), RATE), ((1, 0), RATE), ((1, 100), 0)])
def test_wrong_clips_are_refused(shape, sample_rate):
    with pytest.raises(UsageError, match="must be"):
        Cleaning().apply(np.zeros(shape), sample_rate)
