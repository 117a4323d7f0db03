"""The classifier: what it learns, what it ignores, how it is kept, and what a stranger's file can do to it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.classifier.augmentation import augment_spectrograms
from fauxley.evaluation.classifier.cache import cached_path, find_cached
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.classifier.network import ClassifierSettings
from fauxley.evaluation.classifier.training import Recipe, train_classifier
from fauxley.evaluation.clips import DatasetClips
from fauxley.evaluation.features import ClassifierFeatures, extract
from fauxley.evaluation.metrics.inception_score import inception_score
from fauxley.signal.mel import mel_matrix

from .conftest import SMALL_RECIPE, ArrayClips, collapsed, noisy, scrambled

pytestmark = pytest.mark.slow


def test_it_learns_and_says_how_well(classifier, new_kit):
    judgement = classifier.judgement
    assert judgement.accuracy > 0.6  # one in eight by chance
    assert judgement.num_clips == new_kit.num_clips()
    assert 0 <= judgement.calibration_error < 0.4
    assert np.trace(judgement.confusion) == round(judgement.accuracy * judgement.num_clips)
    assert [sum(row) for row in judgement.confusion] == [12] * 8


def test_the_accuracy_is_that_of_its_answers(classifier, new_kit):
    clips = DatasetClips(new_kit, "new")
    found = extract(clips, {"classifier": ClassifierFeatures(classifier)}, {})
    names = [new_kit.labels[label] for label in clips.label_numbers]
    right = [classifier.labels[i] == name for i, name in zip(found["probabilities"].argmax(1), names, strict=True)]
    assert np.mean(right) == pytest.approx(classifier.judgement.accuracy)
    np.testing.assert_allclose(found["probabilities"].sum(1), 1)
    assert found["classifier"].shape == (96, 32)


def test_level_does_not_matter(classifier, new_kit):
    audio = torch.from_numpy(DatasetClips(new_kit, "new").read(range(8)))
    _, loud = classifier.judge(audio)
    _, quiet = classifier.judge(0.01 * audio)
    np.testing.assert_allclose(loud, quiet, atol=1e-4)


def test_the_inception_score_falls_gently_with_noise_and_far_for_what_means_nothing(classifier, new_kit):
    real = DatasetClips(new_kit, "new", seed=3).read(range(96))
    sets = {
        "noisy": noisy(real),
        "quiet": 0.001 * real,
        "scrambled": scrambled(real),
        "collapsed": collapsed(real),
        "backwards": real[:, ::-1].copy(),
        "noise": 0.1 * np.random.default_rng(5).standard_normal(real.shape),
    }
    features = {"classifier": ClassifierFeatures(classifier)}

    def score(clips):
        return inception_score(extract(ArrayClips(clips, sample_rate=8000), features, {})["probabilities"], 2)[0]

    scores, best = {name: score(clips) for name, clips in sets.items()}, score(real)
    assert scores.pop("quiet") == pytest.approx(best, rel=1e-3)
    assert scores.pop("collapsed") < 0.9 * best
    accepted = scores.pop("noisy")
    assert 0.5 * best < accepted < best
    for wrong, low in scores.items():
        assert low < 0.9 * accepted, (wrong, low, accepted, best)


def test_training_is_a_function_of_the_seed(classifier, learnt_kit, new_kit):
    again = train_classifier(learnt_kit, SMALL_RECIPE, new_kit)
    assert again.digest == classifier.digest
    assert again.judgement == classifier.judgement


def test_saved_and_loaded_it_says_the_same(classifier, new_kit, tmp_path):
    classifier.save(tmp_path / "c")
    loaded = Classifier.load(tmp_path / "c")
    audio = torch.from_numpy(DatasetClips(new_kit, "new").read(range(5)))
    for mine, theirs in zip(classifier.judge(audio), loaded.judge(audio), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (loaded.digest, loaded.judgement, loaded.data) == (classifier.digest, classifier.judgement, classifier.data)
    with pytest.raises(FileExistsError):
        classifier.save(tmp_path / "c")


def _edited(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").write_text(json.dumps(config))


def _settings(folder, **changes):
    settings = json.loads((folder / "config.json").read_text())["settings"]
    _edited(folder, settings=settings | changes)


def _resaved(folder, change):
    """The weights changed, with a checksum that is right."""
    import hashlib

    tensors = load_file(folder / "classifier.safetensors")
    change(tensors)
    data = save(tensors)
    (folder / "classifier.safetensors").write_bytes(data)
    _edited(folder, weights_sha256=hashlib.sha256(data).hexdigest())


HOSTILE = {
    "no folder": shutil.rmtree,
    "no weights": lambda folder: (folder / "classifier.safetensors").unlink(),
    "not JSON": lambda folder: (folder / "config.json").write_text("{"),
    "deep JSON": lambda folder: (folder / "config.json").write_text("[" * 100_000),
    "another version": lambda folder: _edited(folder, format_version=99),
    "an earlier version": lambda folder: _edited(folder, format_version=1),
    "a flipped bit": lambda folder: (folder / "classifier.safetensors").write_bytes(
        (folder / "classifier.safetensors").read_bytes()[:-1] + b"\x01"
    ),
    "sizes that fill the memory": lambda folder: _settings(folder, width=1 << 40),
    "sizes the weights lack": lambda folder: _settings(folder, width=512),
    "a spectrogram that fills the memory": lambda folder: _settings(folder, window_length=1 << 40),
    "one label": lambda folder: _settings(folder, labels=["kick"]),
    "another type": lambda folder: _edited(folder, settings={"type": "Path"}),
    "no temperature": lambda folder: _edited(folder, temperature=float("nan")),
    "a confusion of another size": lambda folder: _edited(
        folder,
        judgement={
            "type": "Judgement",
            "accuracy": 1.0,
            "noisy_accuracy": 1.0,
            "calibration_error": 0.0,
            "num_clips": 1,
            "held_out": "",
            "confusion": [[1]],
        },
    ),
    "weights that are no numbers": lambda folder: _resaved(
        folder, lambda tensors: tensors["network.output.bias"].fill_(torch.nan)
    ),
    "weights of another precision": lambda folder: _resaved(
        folder, lambda tensors: tensors.update({"network.output.bias": tensors["network.output.bias"].double()})
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_or_damaged_files_are_one_line(classifier, tmp_path, what):
    folder = classifier.save(tmp_path / "c")
    HOSTILE[what](folder)
    with pytest.raises(FauxleyError) as caught:
        Classifier.load(folder)
    assert "\n" not in str(caught.value)


def test_one_of_before_says_what_to_do(classifier, tmp_path):
    folder = classifier.save(tmp_path / "c")
    _edited(folder, format_version=1)
    with pytest.raises(FauxleyError, match="train it again"):
        Classifier.load(folder)


def test_the_cache_finds_it_by_the_data_alone(classifier, learnt_kit, new_kit, tmp_path, monkeypatch):
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path))
    assert find_cached(learnt_kit) is None
    folder = cached_path(learnt_kit, SMALL_RECIPE, new_kit)
    good = Classifier.load(classifier.save(folder))
    judgement = json.loads((folder / "config.json").read_text())["judgement"]
    _edited(folder, judgement=judgement | {"accuracy": 0.95, "noisy_accuracy": 0.9})
    assert find_cached(learnt_kit).digest == good.digest
    fair = replace(good.judgement, accuracy=0.99, noisy_accuracy=0.3)  # in silence alone
    other = replace(good, judgement=fair, temperature=2.0)
    other.save(cached_path(learnt_kit, replace(SMALL_RECIPE, conditions=False), new_kit))
    assert find_cached(learnt_kit).temperature == good.temperature
    shutil.rmtree(cached_path(learnt_kit, replace(SMALL_RECIPE, conditions=False), new_kit))
    assert find_cached(new_kit) is None
    assert cached_path(learnt_kit, SMALL_RECIPE, None) != folder
    for change in ({"outliers": 0.1}, {"conditions": False}, {"folds": 5}):
        assert cached_path(learnt_kit, replace(SMALL_RECIPE, **change), new_kit) != folder, change
    _edited(folder, judgement=json.loads((folder / "config.json").read_text())["judgement"] | {"accuracy": 0.2})
    assert find_cached(learnt_kit) is None  # nothing to judge by


def test_augmentation_keeps_shapes_and_the_sum_of_targets():
    rng = np.random.default_rng(0)
    spectrograms, target = torch.randn(6, 1, 64, 50), torch.eye(6)
    changed, blended = augment_spectrograms(spectrograms, target, rng, 0.3)
    assert changed.shape == spectrograms.shape
    assert torch.isfinite(changed).all()
    torch.testing.assert_close(blended.sum(1), torch.ones(6))
    assert (blended.diagonal() >= 0.5).all()
    _, kept = augment_spectrograms(spectrograms, target, rng, 0)
    assert kept is target


def test_too_little_to_learn_is_said(learnt_kit, drums, new_kit):
    with pytest.raises(FauxleyError, match="at least 40"):
        train_classifier(drums, SMALL_RECIPE)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"width": -1},
        {"folds": 0},
        {"outliers": 1.1},
        {"seed": -1},
        {"held_out": 0.9},
        {"mixup": float("nan")},
    ],
)
def test_recipes_that_make_no_sense(change):
    (name,) = change
    with pytest.raises(UsageError, match=rf"^{name} must "):
        Recipe(**change)


@pytest.mark.parametrize("change", [{"width": 0}, {"labels": ("a", "a")}, {"high": 9000.0}, {"num_bands": 4}])
def test_settings_that_make_no_sense(change):
    with pytest.raises(UsageError):
        ClassifierSettings(**{"sample_rate": 8000, "clip_length": 4096, "labels": ("a", "b"), "high": 3900.0} | change)


def test_mel_bands_are_triangles_that_add_up_to_one_between_centres():
    matrix = mel_matrix(2049, 16000, 20, 100, 7000)
    frequency = np.linspace(0, 8000, 2049)
    inner = (frequency > frequency[matrix[:, 0].argmax()]) & (frequency < frequency[matrix[:, -1].argmax()])
    np.testing.assert_allclose(matrix[inner].sum(1), 1, atol=1e-9)
    assert matrix[(frequency < 100) | (frequency > 7000)].max() == 0
    with pytest.raises(UsageError, match="half the sample rate"):
        mel_matrix(129, 8000, 20, 100, 7000)
