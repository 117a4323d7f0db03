"""The judges from outside (`benchmarks/outside_judges.py`): their arithmetic, and their networks if installed."""

import importlib.util
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.errors import FauxleyError
from fauxley.evaluation.folder_clips import open_clips
from fauxley.evaluation.metrics.kernel import squared_mmd
from fauxley.signal.drumkit import write_kit
from fauxley.sounds.catalogue import list_sounds
from fauxley.sounds.reading import read_audio

_BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def judges():
    before = list(sys.path)
    sys.path.insert(0, str(_BENCHMARKS))
    spec = importlib.util.spec_from_file_location("outside_judges", _BENCHMARKS / "outside_judges.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    yield module
    del sys.modules["outside_networks"]


@pytest.fixture(scope="module")
def networks(judges):
    return sys.modules["outside_networks"]


def test_with_one_label_the_kernel_distance_is_the_ordinary_one(judges):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(9, 5)), rng.normal(1, size=(14, 5))
    found = judges.kernel_distance_by_label(
        judges.Features(first, np.full(9, "kick")), judges.Features(second, np.full(14, "kick")), 2.0
    )
    assert found == pytest.approx(squared_mmd(first / 2, second / 2))


def test_every_label_counts_the_same_in_the_kernel_distance(judges):
    rng = np.random.default_rng(1)
    sides = []
    for counts in ((4, 7), (9, 2)):
        labels = np.repeat(["hat", "kick"], counts)
        sides.append(judges.Features(rng.normal(size=(sum(counts), 3)), labels))

    def expected(first, second):
        """The kernel's expectation for two sounds whose labels were drawn first, by its definition."""
        means = []
        for label, other in product(("hat", "kick"), repeat=2):
            pairs = product(np.flatnonzero(first.labels == label), np.flatnonzero(second.labels == other))
            means.append(
                np.mean(
                    [
                        (first.values[i] @ second.values[j] / 3 + 1) ** 3
                        for i, j in pairs
                        if not (first is second and i == j)
                    ]
                )
            )
        return np.mean(means)

    distance = expected(sides[0], sides[0]) + expected(sides[1], sides[1]) - 2 * expected(*sides)
    assert judges.kernel_distance_by_label(*sides, 1.0) == pytest.approx(distance)


def test_how_many_sounds_of_each_label_there_are_is_no_distance(judges):
    rng = np.random.default_rng(2)
    sides = []
    for counts in ((400, 100), (100, 400)):
        labels = np.repeat(["hat", "kick"], counts)
        sides.append(judges.Features(rng.normal(np.where(labels == "hat", 2, -2)[:, None], 1, (500, 4)), labels))
    assert abs(judges.kernel_distance_by_label(*sides, 1.0)) < 0.02 * squared_mmd(sides[0].values, sides[1].values)


def test_halves_are_apart_and_have_half_of_each_label(judges):
    labels = np.repeat(["clap", "hat", "kick"], (10, 7, 5))
    half, rest = judges.split(labels, np.random.default_rng(0))
    assert sorted([*half, *rest]) == list(range(22))
    for label, least in (("clap", 5), ("hat", 3), ("kick", 2)):
        assert min((labels[part] == label).sum() for part in (half, rest)) == least


def test_good_sounds_are_told_from_bad_ones_and_labels_are_heard(judges):
    rng = np.random.default_rng(3)
    centres = {"clap": 0.0, "hat": 6.0, "kick": 12.0}

    def sounds(count, moved=0.0):
        labels = np.repeat(list(centres), count)
        middle = np.array([centres[label] for label in labels])[:, None]
        return judges.Features(rng.normal(middle + moved, 1, (3 * count, 8)), labels)

    training, test = sounds(40), sounds(12)
    good = judges.compare(sounds(20), test, training, seed=0)
    bad = judges.compare(sounds(20, moved=3.5), test, training, seed=0)
    made, held_out, other = list(good.values())
    assert list(good) == ["generated, 60", "real, held out, 36", "real, other half, 60"]
    assert made["heard"][0] == held_out["heard"][0] == other["heard"][0] == 1
    assert made["precision"][0] > 0.9
    spoilt = bad["generated, 60"]
    assert spoilt["heard"][0] < 0.5
    assert spoilt["precision"][0] < 0.2
    assert spoilt["kernel distance"][0] > 20 * abs(made["kernel distance"][0])
    assert spoilt["nearest"][0] > 1.5 * made["nearest"][0]


def test_so_many_sounds_of_each_label_are_read(judges, tmp_path):
    write_kit(tmp_path, per_instrument=3, duration_seconds=0.1)
    kinds = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    found = judges.read(open_clips(tmp_path, 100), 16000, 0.05, count=2)
    assert sorted(found.labels) == sorted(2 * kinds)
    assert {clip.shape for clip in found.clips} == {(800,)}


def test_labels_of_generated_sounds_are_in_their_sidecars(judges, tmp_path):
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", np.full(800, 0.1 * number), 8000)
        (tmp_path / f"{number}.json").write_text(json.dumps({"label": ("kick", "snare")[number % 2]}))
    found = judges.read(open_clips(tmp_path, 100), 8000, None, count=2, kinds=2)
    assert sorted(found.labels) == ["kick", "kick", "snare", "snare"]


def test_the_spectrogram_of_aisfx_is_essentias(networks):
    """MelBands with type power, weighting warping, normalize unit_sum and the scale htkMel, written out once more."""
    rng = np.random.default_rng(4)
    clip = rng.normal(0, 0.1, 5000).astype(np.float32)
    scaled = np.concatenate([np.zeros(1024), clip * 0.9 / np.abs(clip).max(), np.zeros(4096)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    frames = np.stack([scaled[1024 * n : 1024 * n + 2048] for n in range(5)])
    power = np.abs(np.fft.rfft(frames * window)) ** 2

    mel = 2595 * np.log10(1 + np.arange(1025) * 44100 / 2048 / 700)
    edges = np.linspace(0, 2595 * np.log10(1 + 22050 / 700), 98)
    expected = np.zeros((5, 96))
    for band, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        weights = np.clip(np.minimum((mel - low) / (centre - low), (high - mel) / (high - centre)), 0, None)
        expected[:, band] = np.log10(1 + 10000 * power @ (weights / weights.sum())) / 9.457798957824707
    found = networks.log_mel(clip).numpy()
    assert found.shape == (6, 96)
    np.testing.assert_allclose(found[:5], expected, atol=1e-4)
    np.testing.assert_allclose(networks.log_mel(clip * 0.01).numpy(), found, atol=1e-4)


def test_the_embedding_of_sound_effects_tells_a_sound_from_noise(networks):
    pytest.importorskip("aisfx", reason="needs pip install --no-deps aisfx")
    time = np.arange(30000) / 44100
    kick = (np.sin(2 * np.pi * 60 * time) * np.exp(-8 * time)).astype(np.float32)
    hiss = np.random.default_rng(5).normal(0, 0.3, 30000).astype(np.float32)
    embedded = networks.AiSfx().embed([kick, kick * 0.1, hiss, kick[:25000]])
    assert embedded.shape == (4, 512)
    distances = np.linalg.norm(embedded - embedded[0], axis=1)
    assert max(distances[1], distances[3]) < 0.2 * distances[2]


@pytest.fixture(scope="module")
def recogniser(networks):
    pytest.importorskip("pocketsphinx", reason="needs pip install --no-deps pocketsphinx")
    return networks.Recogniser(["down", "stop", "yes"])


def test_the_recogniser_hears_real_words_in_any_order(recogniser, data_dir):
    folder = data_dir / "commands"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set FAUXLEY_DATA_DIR")
    chosen = [sound for word in recogniser.words for sound in list_sounds(folder, [f"label={word}"]).mixed().sounds[:5]]
    clips = [read_audio(folder / sound.file, 16000, 1)[0] for sound in chosen]
    scores = recogniser.scores(clips)
    heard = np.array(recogniser.words)[scores.argmax(1)]
    assert (heard == [sound.label for sound in chosen]).mean() > 0.6  # by chance 1/3
    np.testing.assert_array_equal(recogniser.scores(clips[::-1])[::-1], scores)


def test_a_label_that_is_no_word_is_named(networks):
    pytest.importorskip("pocketsphinx", reason="needs pip install --no-deps pocketsphinx")
    with pytest.raises(FauxleyError, match="'hat_closed'"):
        networks.Recogniser(["kick", "hat_closed"])


def test_a_missing_package_is_named_with_the_command_that_installs_it(networks, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FauxleyError, match="pip install --no-deps aisfx"):
        networks.AiSfx()
    with pytest.raises(FauxleyError, match="pip install --no-deps pocketsphinx"):
        networks.Recogniser(["yes"])
