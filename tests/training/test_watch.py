"""Every alarm goes off at what it is for, and is quiet at good sounds."""

import numpy as np
import pytest

from fauxley.signal.drumkit import INSTRUMENTS, synthesize
from fauxley.training.watch import Watch, dc, level_db, variety


def drum_sounds(seed):
    return np.stack([synthesize(name, seed + n, 8000, 0.512) for n in range(2) for name in INSTRUMENTS])


REAL, OTHERS = drum_sounds(0), drum_sounds(100)
RANDOM = np.random.default_rng(0)
ALIKE = OTHERS[:1] + 0.001 * RANDOM.standard_normal(OTHERS.shape).astype(np.float32)
BAD = {
    "makes silence": np.zeros_like(REAL),
    "silence": 1e-5 * OTHERS,
    "quieter": 0.1 * OTHERS,
    "louder": np.sign(RANDOM.standard_normal(OTHERS.shape)).astype(np.float32),
    "not centred on zero": OTHERS + 0.2,
    "mode collapse": ALIKE,
}


@pytest.mark.parametrize("seed", [100, 200, 300])
def test_good_sounds_raise_no_alarm(seed):
    watch = Watch(REAL)
    assert [watch.preview(drum_sounds(seed)) for _ in range(3)] == [[]] * 3


@pytest.mark.parametrize("said", BAD)
def test_an_alarm_needs_two_previews_is_given_once_and_comes_back_after_clearing(said):
    watch = Watch(REAL)
    heard = [watch.preview(sounds) for sounds in (BAD[said], BAD[said], BAD[said], OTHERS, BAD[said], BAD[said])]
    assert [len(warnings) for warnings in heard] == [0, 1, 0, 0, 0, 1]
    assert said in heard[1][0]
    assert "\n" not in heard[1][0]


def test_one_bad_preview_is_no_alarm():
    watch = Watch(REAL)
    assert not any(watch.preview(sounds) for sounds in (BAD["makes silence"], OTHERS, BAD["mode collapse"], OTHERS))


def test_quiet_data_may_be_matched_quietly_and_alike_data_alike():
    assert not any(Watch(1e-5 * REAL).preview(1e-5 * OTHERS) for _ in range(2))
    watch = Watch(np.repeat(REAL[:1], 4, axis=0))
    assert not [text for _ in range(2) for text in watch.preview(np.repeat(REAL[:1], 4, axis=0))]


@pytest.mark.parametrize("peak", [1.0, 0.7, 0.1])
def test_rising_levels_are_noticed_before_files_cut_much_off(peak):
    """Sounds that grow by 1 dB from preview to preview: said before 0.5 % of the samples lie beyond full scale."""
    data, others = (peak * sounds / np.abs(sounds).max(axis=(1, 2), keepdims=True) for sounds in (REAL, OTHERS))
    watch, heard, step = Watch(data), [], 0
    while not heard:
        louder = others * 10 ** (step / 20)
        heard, step = watch.preview(louder), step + 1
    assert "full scale" in heard[0]
    assert step > 1
    beyond = (np.abs(louder) > 1).mean() - (np.abs(data) > 1).mean()
    assert beyond < 0.005
    assert np.median(np.abs(louder).max(axis=2)) < 1.5


@pytest.mark.slow
def test_sounds_as_loud_as_the_data_raise_no_alarm_whatever_their_level():
    for gain in (1.0, 0.9, 0.3):
        watch = Watch(gain * REAL)
        assert not [text for seed in (100, 200, 300) for text in watch.preview(gain * drum_sounds(seed))]


def test_a_critic_that_has_won_is_noticed_once_it_lasts():
    watch = Watch(REAL)
    heard = [watch.numbers(20.0) for _ in range(50)]
    assert sum(map(len, heard)) == 1
    assert "critic" in next(text for texts in heard for text in texts)
    assert not heard[18]
    for separation in [20.0] * 15 + [3.0] + [20.0] * 19:
        assert not watch.numbers(separation)


def test_a_normal_game_raises_no_alarm():
    watch = Watch(REAL)
    assert not any(watch.numbers(separation) for separation in RANDOM.uniform(-1, 7, 200))


def test_the_measures_are_what_they_say():
    t = np.arange(8000) / 8000
    sine = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None, None]
    assert level_db(sine) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert level_db(0 * sine) == pytest.approx(-120)
    assert dc(sine + 0.25) == pytest.approx(0.25, abs=1e-3)
    assert variety(np.repeat(sine, 3, axis=0)) == pytest.approx(0, abs=1e-6)
    assert variety(REAL) > 5
    assert variety(sine) == 0
