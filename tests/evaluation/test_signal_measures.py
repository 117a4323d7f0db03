"""Signal measures of signals whose measures are known."""

import numpy as np
import pytest

from fauxley.evaluation.metrics.signal_measures import MEASURES, mean_spectrum, measure

RATE = 16000
T = np.arange(16384) / RATE


def measured(clip):
    found = measure(np.asarray(clip, np.float32)[None], RATE)
    assert set(found) == set(MEASURES)
    return {name: float(values[0]) for name, values in found.items()}


def test_a_sine_has_the_level_peak_and_centroid_of_a_sine():
    found = measured(0.5 * np.sin(2 * np.pi * 1000 * T))
    assert found["peak_db"] == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert found["level_db"] == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.02)
    assert found["centroid_hz"] == pytest.approx(1000, abs=5)
    assert (found["silence"], found["clipping"]) == (0, 0)
    assert found["dc"] < 1e-3
    assert found["duration_s"] == pytest.approx(1.02, abs=0.011)


def test_onset_duration_and_silence_of_a_burst():
    clip = np.where((T >= 0.3) & (T < 0.5), 0.5 * np.sin(2 * np.pi * 440 * T), 0)
    found = measured(clip)
    assert found["onset_s"] == pytest.approx(0.3, abs=0.011)
    assert found["duration_s"] == pytest.approx(0.2, abs=0.021)
    assert found["silence"] == pytest.approx(1 - 0.2 / 1.02, abs=0.03)


@pytest.mark.parametrize("milliseconds", [5, 20, 80])
def test_the_rise_of_a_straight_attack_is_eight_tenths_of_it(milliseconds):
    ramp = np.clip((T - 0.1) / (milliseconds / 1000), 0, 1) * np.exp(-np.clip(T - 0.1, 0, None) * 2)
    noise = np.random.default_rng(0).choice([-1.0, 1.0], len(T))  # of constant power
    expected = 0.8 * milliseconds
    assert measured(0.5 * ramp * noise)["rise_ms"] == pytest.approx(expected, abs=1 + 0.1 * expected)


def test_a_sound_that_begins_at_full_level_rises_at_once_and_silence_has_no_rise():
    assert measured(np.sign(np.random.default_rng(0).standard_normal(16384)) * np.exp(-T))["rise_ms"] < 1
    assert measured(np.zeros(16384))["rise_ms"] < 1


def test_clipping_is_flat_tops_and_not_a_peak_at_full_scale():
    sine = np.sin(2 * np.pi * 100 * T)
    assert measured(sine / np.abs(sine).max())["clipping"] < 0.06
    peak = np.zeros(16384)
    peak[100] = 1
    assert measured(peak)["clipping"] == 0
    assert measured(np.clip(3 * sine, -1, 1))["clipping"] == pytest.approx(1 - 2 * np.arcsin(1 / 3) / np.pi, abs=0.02)


def test_dc_is_the_mean():
    assert measured(np.full(16384, -0.25))["dc"] == pytest.approx(0.25)


def test_the_tilt_of_white_noise_is_flat_and_of_brown_noise_six_db_an_octave():
    white = np.random.default_rng(0).standard_normal(16384)
    assert measured(0.1 * white)["tilt_db"] == pytest.approx(0, abs=0.5)
    spectrum = np.fft.rfft(white)
    brown = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1))
    assert measured(0.1 * brown / brown.std())["tilt_db"] == pytest.approx(-6.02, abs=0.6)


def test_zero_insertion_by_four_leaves_artefacts_and_a_voice_does_not():
    """Noise upsampled by strides of 4 with a filter that is not flat over the phases, as a WaveGAN's is not."""
    rng = np.random.default_rng(0)
    pattern = rng.standard_normal(64)  # what differs between the 64 phases
    envelope = 1 + 0.5 * rng.standard_normal(16384)
    marked = 0.1 * (rng.standard_normal(16384) + 0.5 * np.tile(pattern, 256) * envelope)
    assert measured(marked)["artefact_db"] > 8
    assert measured(0.1 * rng.standard_normal(16384))["artefact_db"] < 4
    voice = sum(np.sin(2 * np.pi * 117 * n * T) / n for n in range(1, 40))  # harmonics, but of a pitch of its own
    assert measured(0.1 * voice)["artefact_db"] < 4


def test_silence_and_short_clips_are_measured_without_complaint():
    for clip in (np.zeros(16384), np.zeros(7)):
        assert all(np.isfinite(value) for value in measured(clip).values())


def test_the_mean_spectrum_peaks_where_the_sound_is_and_ignores_level():
    quiet, loud = 0.001 * np.sin(2 * np.pi * 1000 * T), 0.9 * np.sin(2 * np.pi * 3000 * T)
    spectrum = mean_spectrum(np.stack([quiet, loud]).astype(np.float32))
    at = {hertz: spectrum[round(hertz / 8000 * 512)] for hertz in (1000, 3000, 5000)}
    assert at[1000] == pytest.approx(at[3000], rel=0.05)
    assert at[5000] < 1e-3 * at[1000]
