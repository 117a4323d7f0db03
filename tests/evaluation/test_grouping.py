"""Sources are found, and never on two sides; a temperature is used where it helps on other sources."""

import csv

import numpy as np
import pytest
import soundfile

from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.evaluation.classifier.calibration import (
    calibration_error,
    fit_temperature,
    helpful_temperature,
    log_loss,
    softmax,
)
from fauxley.evaluation.classifier.grouping import find_groups, grouped_folds, held_out
from fauxley.evaluation.classifier.training import Recipe, train_classifier

pytestmark = pytest.mark.slow


def _sounds(folder, names, rows=None):
    """Noise under each of the names, or tones by label; with a manifest.csv if there are rows."""
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(2000), 8000)
    if rows:
        with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return pack(folder, folder.with_suffix(".dataset"), PackSettings(sample_rate=8000, clip_length=2048), n_jobs=1)


def test_sources_told_by_names_stay_on_one_side(tmp_path):
    """As speakers do whose name begins the names of files under several labels."""
    names = [f"{word}/speaker{n}_nohash_0.wav" for n in range(25) for word in ("yes", "no")]
    dataset = _sounds(tmp_path / "in", names)
    groups = find_groups(dataset)
    held = held_out(groups, 0.2)
    speakers = np.array([entry.file.split("/")[1].split("_")[0] for entry in dataset.entries])
    assert not set(speakers[held]) & set(speakers[~held])
    assert len(set(speakers[held])) == 5
    assert groups.known
    assert "names" in groups.kind


@pytest.mark.parametrize("column", ["source", "speaker", "speaker_or_source"])
def test_sources_that_a_manifest_lists_are_kept_in_the_dataset(tmp_path, column):
    names = [f"{n}.wav" for n in range(12)]
    rows = [{"file": name, "label": "ab"[n % 2], column: f"machine {n % 5}"} for n, name in enumerate(names)]
    groups = find_groups(_sounds(tmp_path / "in", names, rows))
    assert groups.known
    assert groups.names == tuple(f"machine {n}" for n in range(5))
    assert sorted(groups.sizes()) == [2, 2, 2, 3, 3]


@pytest.mark.parametrize("source", ["", "the internet", "{label}"])
def test_sources_that_tell_nothing_are_no_sources(tmp_path, source):
    """None, one for all, or one a label: nobody could be asked about another."""
    names = [f"{n}.wav" for n in range(12)]
    rows = [
        {"file": name, "label": "ab"[n % 2], "source": source.format(label="ab"[n % 2])} for n, name in enumerate(names)
    ]
    groups = find_groups(_sounds(tmp_path / "in", names, rows))
    assert not groups.known
    assert len(groups.names) == 12


def test_of_two_giants_one_is_held_out(tmp_path):
    names = [f"{n}.wav" for n in range(12)]
    rows = [{"file": name, "label": "ab"[n % 2], "source": "xy"[n // 6]} for n, name in enumerate(names)]
    assert held_out(find_groups(_sounds(tmp_path / "in", names, rows)), 0.1).sum() == 6


def test_without_sources_copies_stay_together(tmp_path):
    dataset = _sounds(tmp_path / "in", [f"a/{n}.wav" for n in range(6)])
    (tmp_path / "in" / "b").mkdir()
    (tmp_path / "in" / "b" / "copy.wav").write_bytes((tmp_path / "in" / "a" / "0.wav").read_bytes())
    dataset = pack(tmp_path / "in", tmp_path / "second", PackSettings(sample_rate=8000, clip_length=2048), n_jobs=1)
    groups = find_groups(dataset)
    assert not groups.known
    assert (len(groups.of_clip), len(groups.names)) == (7, 6)


def test_a_dataset_of_before_has_no_sources(tmp_path):
    rows = [{"file": f"{n}.wav", "label": "ab"[n % 2], "source": "one"} for n in range(4)]
    dataset = _sounds(tmp_path / "in", [row["file"] for row in rows], rows)
    path = dataset.folder / "manifest.csv"
    path.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()) + "\n")
    old = type(dataset).open(dataset.folder)
    assert [entry.source for entry in old.entries] == [""] * 4
    assert [entry.license for entry in old.entries] == [entry.license for entry in dataset.entries]


@pytest.mark.parametrize("count", [2, 3, 5, 40])
def test_grouped_folds_never_share_a_source(count):
    of_clip = np.random.default_rng(count).zipf(1.6, 300) % 23
    folds = grouped_folds(of_clip, count)
    assert len(folds) == min(count, len(set(of_clip)))
    np.testing.assert_array_equal(np.sum(folds, 0), 1)
    for group in set(of_clip):
        assert sum(fold[of_clip == group].any() for fold in folds) == 1
    largest = np.bincount(of_clip).max()
    assert max(fold.sum() for fold in folds) - min(fold.sum() for fold in folds) <= largest


def _answers(rng, count, sharpness):
    """Logits of a classifier that knows the right probabilities, then exaggerates them so many times."""
    logits = rng.normal(0, 1.5, (count, 5))
    labels = np.array([rng.choice(5, p=p) for p in softmax(logits)])
    return sharpness * logits, labels


@pytest.mark.parametrize("sharpness", [0.4, 3.0])
def test_a_temperature_that_helps_is_used(sharpness):
    rng = np.random.default_rng(0)
    logits, labels = _answers(rng, 1000, sharpness)
    found = helpful_temperature(logits, labels, np.arange(1000) % 20)
    assert found == fit_temperature(logits, labels)
    assert found == pytest.approx(sharpness, rel=0.15)
    assert log_loss(softmax(logits / found), labels) < log_loss(softmax(logits), labels)
    assert calibration_error(softmax(logits / found), labels) < calibration_error(softmax(logits), labels)


def test_a_temperature_that_helps_on_no_other_source_is_not_used():
    """Sources each of which would want a temperature of its own, and all together none."""
    rng = np.random.default_rng(1)
    few, many = _answers(rng, 400, 0.3), _answers(rng, 400, 3.0)
    logits, labels = np.concatenate([few[0], many[0]]), np.concatenate([few[1], many[1]])
    groups = np.repeat([0, 1], 400)
    assert abs(np.log(fit_temperature(logits, labels))) > 0.1  # fitted on all, it would not be 1
    assert helpful_temperature(logits, labels, groups, folds=2) == 1


@pytest.mark.parametrize("sources", [1, 2, 4])
def test_few_sources_are_too_few_to_tell(sources):
    logits, labels = _answers(np.random.default_rng(1), 400, 3.0)
    assert helpful_temperature(logits, labels, np.arange(400) % sources) == 1
    assert helpful_temperature(logits, labels, np.arange(400) % 5) > 2


def test_a_few_right_answers_are_no_certainty():
    logits, labels = np.eye(4).repeat(3, 0), np.arange(4).repeat(3)
    probabilities = softmax(logits / fit_temperature(logits, labels))
    assert 0.85 < probabilities.max(1).mean() < 0.97


def test_few_sources_are_cross_validated(tmp_path):
    """Every clip is asked about, by a classifier that has not heard its source."""
    rows = [{"file": f"{n}.wav", "label": "ab"[n % 2], "source": f"s{n // 8}"} for n in range(48)]
    dataset = _sounds(tmp_path / "in", [row["file"] for row in rows], rows)
    recipe = Recipe(epochs=1, least_steps=0, batch_size=16, width=4)
    told = []
    judgement = train_classifier(dataset, recipe, progress=lambda done, total: told.append((done, total))).judgement
    assert judgement.num_clips == 48
    assert "6 sources, in 3 parts" in judgement.held_out
    assert told == [(n + 1, 4) for n in range(4)]
    once = train_classifier(dataset, Recipe(epochs=1, least_steps=0, batch_size=16, width=4, folds=1)).judgement
    assert once.num_clips < 48


def test_test_data_of_learnt_sources_is_named(tmp_path):
    rows = [{"file": f"{n}.wav", "label": "ab"[n % 2], "source": f"s{n // 8}"} for n in range(48)]
    learnt = _sounds(tmp_path / "learnt", [row["file"] for row in rows], rows)
    others = [row | {"source": "new"} for row in rows[:4]] + rows[4:8]
    new = _sounds(tmp_path / "new", [row["file"] for row in others], others)
    recipe = Recipe(epochs=1, least_steps=0, batch_size=16, width=4, folds=1)
    assert "4 of its clips" in train_classifier(learnt, recipe, new).judgement.held_out
