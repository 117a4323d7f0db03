import numpy as np
import pytest

from fauxley.listening.stimuli import Leveller, drown, headphone_tones, noise_like
from fauxley.signal.cleaning import loudness

RATE = 16000
LEVELLER = Leveller(RATE, 1, 1.0, -30.0)


def word(level: float = 0.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(RATE) / RATE
    return (level * np.exp(-5 * time) * np.sin(1500 * time + rng.normal(0, 0.3, RATE).cumsum()))[None].astype(
        np.float32
    )


@pytest.mark.parametrize("level", [0.9, 0.1, 0.003])
@pytest.mark.parametrize(("rate", "channels", "length"), [(RATE, 1, RATE), (44100, 2, 20000), (8000, 1, 30000)])
def test_all_clips_are_equally_loud_and_long(level: float, rate: int, channels: int, length: int) -> None:
    clip = np.resize(word(level), (channels, length))
    levelled = LEVELLER.level(LEVELLER.fit(clip, rate))
    assert levelled.shape == (1, LEVELLER.num_samples)
    assert loudness(levelled, RATE) == pytest.approx(-30, abs=0.1)
    assert LEVELLER.shortfall_db(levelled) < 0.1


def test_the_attack_stays_and_silence_is_around_it() -> None:
    click = np.zeros((1, RATE), np.float32)
    click[0, 0] = 1
    levelled = LEVELLER.level(click)
    margin = (LEVELLER.num_samples - RATE) // 2
    assert np.abs(levelled).argmax() == margin == 800
    assert not levelled[0, :margin].any()


def test_what_peaks_too_high_says_by_how_much_it_is_softer() -> None:
    click = np.zeros((1, RATE), np.float32)
    click[0, 100] = 1
    loud = Leveller(RATE, 1, 1.0, -20.0)
    levelled = loud.level(click)
    assert np.abs(levelled).max() <= 10 ** (-1 / 20) + 1e-6
    assert loud.shortfall_db(levelled) == pytest.approx(-20 - loudness(levelled, RATE))
    assert loud.shortfall_db(levelled) > 3
    assert loud.shortfall_db(loud.level(np.zeros((1, RATE)))) == 0


def test_an_offset_is_taken_out() -> None:
    levelled = LEVELLER.level(word(0.5) + 0.2)
    assert abs(float(levelled[0, -1000:-900].mean())) < 1e-3


def test_the_anchor_is_5_db_of_noise_above_the_clip_with_its_spectrum() -> None:
    clip = word()
    noise = drown(clip, np.random.default_rng(0)) - clip
    assert 10 * np.log10(np.square(clip).mean() / np.square(noise).mean()) == pytest.approx(-5, abs=0.01)
    bands = [np.square(np.abs(np.fft.rfft(x))).reshape(-1)[:8000].reshape(20, 400).sum(axis=1) for x in (clip, noise)]
    np.testing.assert_allclose(bands[1] / bands[0], 10**0.5, rtol=1e-3)
    assert not drown(np.zeros((1, 100)), np.random.default_rng(0)).any()


def test_noise_like_a_clip_is_steady() -> None:
    noise = noise_like(word(), np.random.default_rng(0))
    quarters = np.square(noise).reshape(4, -1).mean(axis=1)
    assert quarters.max() < 2 * quarters.min()


@pytest.mark.parametrize(("quiet", "antiphase"), [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)])
def test_over_headphones_one_tone_is_softest_over_loudspeakers_another(quiet: int, antiphase: int) -> None:
    tones = headphone_tones(quiet, antiphase, RATE)
    starts = [round((0.5 + 1.5 * place) * RATE) for place in range(3)]
    left = [np.square(tones[0, start : start + RATE]).mean() for start in starts]
    in_air = [np.square(tones[:, start : start + RATE].mean(axis=0)).mean() for start in starts]
    assert int(np.argmin(left)) == quiet - 1
    assert 10 * np.log10(min(left) / max(left)) == pytest.approx(-6, abs=0.01)
    assert int(np.argmin(in_air)) == antiphase - 1
    assert min(in_air) < 1e-12
