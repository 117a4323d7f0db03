"""Whether clips are heard as what they are meant to be: by hand, for real clips, for mixed-up ones, for a model."""

import json

import numpy as np
import pytest

from fauxley.evaluation.clips import DatasetClips, ModelClips
from fauxley.evaluation.evaluator import Evaluator, Judged
from fauxley.evaluation.figures import Evaluation
from fauxley.evaluation.folder_clips import FolderClips
from fauxley.evaluation.metrics.kernel import fit_scale
from fauxley.evaluation.metrics.label_agreement import agreement, confusion_matrix
from fauxley.evaluation.protocol import Protocol
from fauxley.evaluation.report.report import to_json, write_report
from fauxley.evaluation.scoring import score_each_label
from fauxley.evaluation.verdict import remarks
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.sounds.writing import write_audio

PROTOCOL = Protocol(count=200, neighbours=40, seed=5)


class Mixed(DatasetClips):
    """Real clips that pretend to have the next label."""

    def label(self, index):
        return self.labels[(self.labels.index(super().label(index)) + 1) % len(self.labels)]


@pytest.fixture(scope="module")
def evaluator(learnt_kit, new_kit, classifier):
    return Evaluator(learnt_kit, new_kit, classifier, protocol=PROTOCOL)


@pytest.fixture(scope="module")
def conditional(learnt_kit):
    architecture = WaveGAN(4096, dim=1, labels=learnt_kit.labels)
    return Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000)


def test_every_label_counts_the_same_however_many_clips_it_has():
    asked = np.array([0, 0, 0, 0, 1, -1])
    probabilities = np.eye(3)[[0, 0, 0, 1, 1, 2]]
    confusion = confusion_matrix(asked, probabilities)
    assert confusion.tolist() == [[3, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert agreement(confusion) == pytest.approx((3 / 4 + 1) / 2)
    assert agreement(confusion, np.array([True, False, True])) == pytest.approx(3 / 4)
    assert np.isnan(agreement(confusion, np.array([False, False, True])))


@pytest.mark.slow
def test_real_clips_are_heard_as_they_are_and_mixed_up_ones_are_not(evaluator, new_kit):
    held_out = evaluator.real[-1]
    right = evaluator.evaluate(DatasetClips(new_kit, "right", 200, 9, 4096))
    wrong = evaluator.evaluate(Mixed(new_kit, "wrong", 200, 9, 4096))
    assert right.scores["agreement"].value > 0.7
    assert right.scores["agreement_share"].value == pytest.approx(
        right.scores["agreement"].value / held_out.scores["agreement"].value
    )
    assert wrong.scores["agreement"].value < 0.3
    heard = [
        [each.verdict for each in remarks(one, held_out) if "hears the label" in each.text] for one in (right, wrong)
    ]
    assert heard == [["good"], ["poor"]]


def test_each_label_is_compared_with_real_clips_of_it_where_there_are_enough():
    rng = np.random.default_rng(0)
    real, numbers = rng.standard_normal((90, 8)), np.repeat([0, 1, 2], [40, 40, 10])
    real[numbers == 1] += 3
    made = rng.standard_normal((90, 8))
    made[numbers == 1] += 3
    scale, figures, swapped = fit_scale(real), Evaluation("made", 90), Evaluation("swapped", 90)
    score_each_label(figures, ("a", "b", "c", "d"), (made, numbers), (real, numbers), 0, scale)
    exchanged = np.array([1, 0, 2])[numbers]
    score_each_label(swapped, ("a", "b", "c", "d"), (made, exchanged), (real, numbers), 0, scale)
    assert list(figures.label_distances) == ["a", "b", "c"], "of the fourth there is no clip"
    assert figures.label_distances["c"] is None, "ten are too few"
    for name in ("a", "b"):
        assert swapped.label_distances[name].value > 100 * abs(figures.label_distances[name].value)


def test_a_conditional_model_is_asked_for_every_label_equally_often(evaluator, conditional, tmp_path):
    source = ModelClips(conditional, "model", 80, 3)
    figures = evaluator.evaluate(source)
    assert len(set(figures.confusion.sum(1).tolist())) == 1
    assert figures.confusion.sum() == 80
    labels = [source.label(index) for index in range(80)]
    made = conditional.generate(80, 3, labels=labels).numpy()[:, 0]
    np.testing.assert_allclose(source.read(range(80)), np.clip(made, -1, 1), atol=1.01 / 32768)
    assert all(score is None for score in figures.label_distances.values()), "ten clips of each are too few"
    content = to_json(evaluator, [Judged(source, figures)])
    assert content["protocol"]["labels"] == list(evaluator.classifier.labels)
    assert np.array(content["generated"][0]["confusion"]).shape == figures.confusion.shape
    assert set(content["generated"][0]["label_distances"].values()) == {None}
    write_report(tmp_path, "It", evaluator, [Judged(source, figures)])
    assert "Labels asked for" in (tmp_path / "report.html").read_text()
    assert "too few to say" in (tmp_path / "report.html").read_text()


def test_an_unconditional_model_has_no_such_figures(evaluator):
    architecture = WaveGAN(4096, dim=1)
    model = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000)
    figures = evaluator.evaluate(ModelClips(model, "model", 60))
    assert figures.confusion is None
    assert figures.label_distances == {}
    assert not {"agreement", "agreement_share"} & set(figures.scores)


def test_a_folder_of_sounds_has_the_labels_of_its_sidecars_and_sub_folders(tmp_path):
    for name, content in (("a", {"label": "kick"}), ("b", {"labels": {"kick": 0.5}}), ("c", None)):
        write_audio(tmp_path / f"{name}.wav", np.ones((1, 100), np.float32) / 2, 8000)
        if content:
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "snare").mkdir()
    write_audio(tmp_path / "snare" / "d.wav", np.ones((1, 100), np.float32) / 2, 8000)
    (tmp_path / "c.json").write_text("{")
    folder = FolderClips(tmp_path, "it", 8000, 4096, 10)
    found = {folder.name(index): folder.label(index) for index in range(len(folder))}
    assert {name.replace("\\", "/"): label for name, label in found.items()} == {
        "a.wav": "kick",
        "b.wav": "",
        "c.wav": "",
        "snare/d.wav": "snare",
    }
