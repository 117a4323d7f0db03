"""What an ear would notice about the built-in drums."""

import csv
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from fauxley.errors import UsageError
from fauxley.signal.drumkit import INSTRUMENTS, PEAK, synthesize, write_kit

RATE = 16_000
SEEDS = range(6)


def energy_share(sound, low, high, sample_rate=RATE):
    """The share of a sound's energy between two frequencies, in Hz."""
    power = np.abs(np.fft.rfft(sound[0])) ** 2
    frequency = np.fft.rfftfreq(sound.shape[1], 1 / sample_rate)
    return power[(frequency >= low) & (frequency < high)].sum() / power.sum()


def duration(sound, sample_rate=RATE):
    """Seconds until what remains is 40 dB below the whole."""
    remaining = np.cumsum(sound[0, ::-1].astype(np.float64) ** 2)[::-1]
    return float(np.argmax(remaining < 1e-4 * remaining[0])) / sample_rate


def strongest_frequency(sound, sample_rate):
    spectrum = np.abs(np.fft.rfft(sound[0], 8 * sound.shape[1]))
    return np.argmax(spectrum) * sample_rate / (8 * sound.shape[1])


def smoothed_envelope(sound, milliseconds=3):
    window = np.hanning(round(milliseconds * RATE / 1000))
    return np.sqrt(np.convolve(sound[0] ** 2, window / window.sum(), mode="same"))


@pytest.fixture(scope="module")
def drums():
    return {name: [synthesize(name, seed) for seed in SEEDS] for name in INSTRUMENTS}


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_sound_starts_at_once_peaks_at_the_same_level_and_ends_in_silence(drums, instrument):
    for sound in drums[instrument]:
        assert sound.shape == (1, 16_384)
        assert sound.dtype == np.float32
        assert np.abs(sound).max() == pytest.approx(PEAK, abs=1e-6)
        assert np.argmax(np.abs(sound[0]) > 0.1) < 0.003 * RATE
        assert np.abs(sound[0, -160:]).max() < 1e-3
        assert sound[0, -1] == 0
        assert abs(sound.mean()) < 0.005


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_the_level_falls_all_along(drums, instrument):
    for sound in drums[instrument]:
        levels = [np.square(part).sum() for part in np.array_split(sound[0], 4)]
        assert all(later <= earlier / 2 for earlier, later in pairwise(levels))


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_seed_is_a_drum(instrument):
    sounds = [synthesize(instrument, seed)[0] for seed in (3, 3, 4)]
    np.testing.assert_array_equal(sounds[0], sounds[1])
    assert abs(np.corrcoef(sounds[0], sounds[2])[0, 1]) < 0.95


@pytest.mark.parametrize("instrument", ["kick", "tom", "cowbell"])
def test_the_pitch_is_the_same_at_every_sample_rate(instrument):
    pitches = [strongest_frequency(synthesize(instrument, 1, rate), rate) for rate in (16_000, 44_100, 96_000)]
    assert pitches == pytest.approx([pitches[0]] * 3, rel=0.005)


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_shorter_sound_is_a_longer_one_faded_out(instrument):
    whole, cut = synthesize(instrument, 5), synthesize(instrument, 5, duration_seconds=0.128)
    assert cut.shape == (1, 2048)
    np.testing.assert_array_equal(cut[0, :1900], whole[0, :1900])
    assert cut[0, -1] == 0
    longer = synthesize(instrument, 5, duration_seconds=2.048)
    np.testing.assert_array_equal(longer[0, :16_384], whole[0])
    assert not longer[0, 16_384:].any()


def test_kicks_are_deep_and_fall_in_pitch(drums):
    for kick in drums["kick"]:
        assert energy_share(kick, 30, 150) > 0.5
        crossings = np.flatnonzero(np.diff(np.signbit(kick[0, : RATE // 4])))
        assert crossings[4] - crossings[2] < crossings[10] - crossings[8]


def test_toms_are_pitched_above_kicks_and_vary(drums):
    pitches = [strongest_frequency(tom, RATE) for tom in drums["tom"]]
    assert min(pitches) > max(strongest_frequency(kick, RATE) for kick in drums["kick"])
    assert max(pitches) > 1.5 * min(pitches)


def test_snares_have_a_head_and_wires(drums):
    for snare in drums["snare"]:
        assert energy_share(snare, 120, 500) > 0.2
        assert energy_share(snare, 1500, 8000) > 0.05


@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_hats_are_high(sample_rate):
    for instrument in ("hat_closed", "hat_open"):
        for seed in SEEDS:
            assert energy_share(synthesize(instrument, seed, sample_rate), 5000, sample_rate, sample_rate) > 0.6


def test_every_closed_hat_is_shorter_than_every_open_one(drums):
    assert max(map(duration, drums["hat_closed"])) < 0.15 < min(map(duration, drums["hat_open"]))


def test_claps_are_several_bursts(drums):
    for clap in drums["clap"]:
        envelope = smoothed_envelope(clap)[: RATE // 10]
        peaks = (envelope[1:-1] > envelope[:-2]) & (envelope[1:-1] >= envelope[2:])
        assert np.count_nonzero(peaks & (envelope[1:-1] > 0.25 * envelope.max())) >= 3


def test_cowbells_have_two_partials_not_quite_a_fifth_apart(drums):
    for cowbell in drums["cowbell"]:
        spectrum = np.abs(np.fft.rfft(cowbell[0]))
        frequency = np.fft.rfftfreq(cowbell.shape[1], 1 / RATE)
        fundamentals = []
        for low, high in ((430, 670), (670, 1000)):
            band = np.where((frequency > low) & (frequency < high), spectrum, 0)
            fundamentals.append(frequency[np.argmax(band)])
            assert band.max() > 0.25 * spectrum.max()
        assert 1.4 < fundamentals[1] / fundamentals[0] < 1.56


def test_rims_are_short_and_made_of_two_modes(drums):
    for rim in drums["rim"]:
        assert duration(rim) < 0.1
        assert energy_share(rim, 350, 650) + energy_share(rim, 1300, 2200) > 0.7


def test_nothing_is_heard_of_aliases():
    """A bell's partials are multiples of two fundamentals; what lies between them would be aliases."""
    bell = synthesize("cowbell", 0, 48_000)[0, :24_000]
    spectrum = np.abs(np.fft.rfft(bell * np.blackman(len(bell))))
    frequency = np.fft.rfftfreq(len(bell), 1 / 48_000)
    low = frequency[np.argmax(np.where((frequency > 430) & (frequency < 670), spectrum, 0))]
    high = frequency[np.argmax(np.where((frequency > 670) & (frequency < 1000), spectrum, 0))]
    to_partial = [np.abs(frequency - pitch * np.round(frequency / pitch)) for pitch in (low, high)]
    between = (np.minimum(*to_partial) > 60) & (frequency > 1000)
    assert between.sum() > 1000
    assert spectrum[between].max() < 1e-3 * spectrum.max()


def test_a_kit_is_labelled_files_and_a_manifest(tmp_path):
    paths = write_kit(tmp_path / "kit", per_instrument=2, seed=7)
    assert len(paths) == 2 * len(INSTRUMENTS)
    with (tmp_path / "kit" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tmp_path / "kit" / row["file"] for row in rows] == paths
    assert rows[0] == {"file": "kick/kick-0001.wav", "label": "kick", "license": "CC0-1.0"}
    info = soundfile.info(paths[0])
    assert (info.subtype, info.samplerate, info.channels, info.frames) == ("PCM_16", 16_000, 1, 16_384)


def test_kits_are_reproducible_and_seeds_share_no_sound(tmp_path):
    first, again, other = (
        {path.read_bytes() for path in write_kit(tmp_path / name, per_instrument=2, seed=seed)}
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert len(first) == 2 * len(INSTRUMENTS)
    assert first == again
    assert not first & other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gong", 0), "choose from kick, snare"),
        (("kick", -1), "seed must be 0 or more; got -1"),
        (("kick", 0, 0), "both must be positive"),
        (("kick", 0, 16_000, -1.0), "both must be positive"),
    ],
)
def test_wrong_use_says_what_to_do(arguments, message):
    with pytest.raises(UsageError, match=message):
        synthesize(*arguments)


def test_a_kit_of_nothing_is_refused(tmp_path):
    with pytest.raises(UsageError, match="per_instrument must be 1 or more; got 0"):
        write_kit(tmp_path, per_instrument=0)
