"""Evaluations as a whole: the protocol, sources that agree, determinism, remarks, the page."""

import importlib.util
import json
import pickle
import re

import numpy as np
import pytest
import soundfile

from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.clips import DatasetClips, ModelClips
from fauxley.evaluation.evaluator import Evaluator, Judged
from fauxley.evaluation.features import ClassifierFeatures, FeatureStore, LogMelNeighbours
from fauxley.evaluation.figures import METRICS
from fauxley.evaluation.folder_clips import FolderClips
from fauxley.evaluation.pretrained import SpeechEmbedding, SpeechQuality, open_embeddings
from fauxley.evaluation.protocol import ProgressTracker, Protocol
from fauxley.evaluation.report.report import to_json, write_report
from fauxley.evaluation.verdict import remarks
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.sounds.writing import write_audio

from .conftest import ArrayClips, memorised, noisy

pytestmark = pytest.mark.slow

PROTOCOL = Protocol(count=60, neighbours=40, seed=5)


@pytest.fixture(scope="module")
def evaluator(learnt_kit, new_kit, classifier):
    return Evaluator(learnt_kit, new_kit, classifier, protocol=PROTOCOL)


@pytest.fixture(scope="module")
def synthesizer():
    architecture = WaveGAN(4096, dim=1)
    return Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000)


def plain(figures):
    content = figures.to_json()
    del content["seconds"]
    return content


def test_the_same_seeds_give_the_same_figures(evaluator, learnt_kit, new_kit, classifier, synthesizer):
    again = Evaluator(learnt_kit, new_kit, classifier, protocol=PROTOCOL)
    first = evaluator.evaluate(ModelClips(synthesizer, "model", 60, 5))
    second = again.evaluate(ModelClips(synthesizer, "model", 60, 5))
    assert plain(first) == plain(second)
    assert [plain(figures) for figures in evaluator.real] == [plain(figures) for figures in again.real]
    other = evaluator.evaluate(ModelClips(synthesizer, "model", 60, 6))
    assert plain(first) != plain(other)


def test_a_model_and_a_folder_of_its_sounds_get_the_same_figures(evaluator, synthesizer, tmp_path):
    for seed, clip in enumerate(synthesizer.generate(60, 0).numpy()):
        write_audio(tmp_path / f"{seed:04d}.wav", clip, 8000)
    model, folder = ModelClips(synthesizer, "it", 60), FolderClips(tmp_path, "it", 8000, 4096, 60)
    names = [folder.name(index) for index in range(60)]
    order = [int(name.removesuffix(".wav")) for name in names]
    # Sums of another order round differently: at most one step of 16 bits.
    np.testing.assert_allclose(folder.read(range(60)), model.read(order), atol=1.01 / 32768)
    mine, theirs = (evaluator.evaluate(source).scores for source in (model, folder))
    for name in ("am", "mis", "frechet/classifier", "kernel/log-mel", "train_distance"):
        assert mine[name].value == pytest.approx(theirs[name].value, rel=0.02), name


def test_other_processes_get_the_same_clips_by_name(new_kit, synthesizer, tmp_path):
    model, other = synthesizer.save(tmp_path / "model"), WaveGAN(4096, dim=1).generator(Draws(1))
    for seed, clip in enumerate(synthesizer.generate(5, 0).numpy()):
        write_audio(tmp_path / f"{seed}.wav", clip, 8000)
    sources = {
        "dataset": DatasetClips(new_kit, "new", 60, seed=3),
        "model": ModelClips(synthesizer, "model", 60, 7, model),
        "folder": FolderClips(tmp_path, "folder", 8000, 4096, 5),
    }
    for name, source in sources.items():
        sent = pickle.dumps(source.portable_reader([3, 1, 4]))
        assert len(sent) < 3000, name
        assert (pickle.loads(sent)() == source.read([3, 1, 4])).all(), name
    changed = Synthesizer(synthesizer.architecture, other, synthesizer.representation, 8000)
    with pytest.raises(FauxleyError, match="another model on a worker"):
        ModelClips(changed, "model", 60, 7, model).portable_reader([0])()
    moved = DatasetClips(new_kit.only(range(60)), "new", 60)
    with pytest.raises(FauxleyError, match="another dataset on a worker"):
        moved.portable_reader([0])()
    unsaved = ModelClips(changed, "model", 60, 7)
    assert (pickle.loads(pickle.dumps(unsaved.portable_reader([2])))() == unsaved.read([2])).all()


def test_other_processes_get_the_same_extractors(classifier):
    clips = np.random.default_rng(0).uniform(-1, 1, (3, 4096)).astype(np.float32)
    extractors = [LogMelNeighbours(), ClassifierFeatures(classifier)]
    if importlib.util.find_spec("openwakeword"):
        extractors.append(SpeechEmbedding())
    for extractor in extractors:
        mine, theirs = (each.extract(clips, 8000) for each in (extractor, pickle.loads(pickle.dumps(extractor))))
        assert mine.keys() == theirs.keys()
        assert all((mine[name] == theirs[name]).all() for name in mine)


def test_real_clips_stand_beside_and_judge_themselves_fairly(evaluator):
    train, held_out = evaluator.real
    assert train.count == 60
    assert held_out.count == 60  # as many as of the training data, though there are more
    assert held_out.scores["inception_score"].value > 1.5
    assert "suspicious" in held_out.scores
    again = evaluator.evaluate(evaluator.test)
    assert again.scores["closer"].value == pytest.approx(0.5)
    assert again.scores["inception_share"].value == pytest.approx(1)


def test_copies_are_found_and_named(evaluator, learnt_kit):
    source = DatasetClips(learnt_kit, "copies", 50, seed=9)
    figures = evaluator.evaluate(ArrayClips(memorised(source.read(range(50))), sample_rate=8000))
    assert figures.scores["suspicious"].value == 1
    right = [evaluator.train.name(int(index)) for index in figures.nearest.indices]
    assert np.mean([mine == source.name(n) for n, mine in enumerate(right)]) > 0.9
    (found,) = [remark for remark in remarks(figures, evaluator.real[-1]) if "copies" in remark.text]
    assert found.verdict == "poor"


def test_remarks_hear_collapse_and_noise(evaluator, new_kit):
    clips = DatasetClips(new_kit, "new").read(range(50))
    one_sound = ArrayClips(np.repeat(clips[:1], 50, 0), sample_rate=8000)
    texts = " ".join(remark.text for remark in remarks(evaluator.evaluate(one_sound), evaluator.real[-1]))
    assert "alike" in texts
    assert "labels are heard less" in texts
    noise = evaluator.evaluate(ArrayClips(noisy(noisy(clips)), sample_rate=8000))
    assert any("Silence" in remark.text or "tilt" in remark.text for remark in remarks(noise, evaluator.real[-1]))


def test_every_figure_is_explained_and_has_a_direction(evaluator):
    for figures in evaluator.real:
        for name in figures.scores:
            metric = METRICS[name.partition("/")[0]]
            assert metric.meaning
            assert metric.blind


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (lambda: ArrayClips(np.zeros((30, 4096)), sample_rate=16000), "8000 Hz"),
        (lambda: ArrayClips(np.zeros((30, 8192)), sample_rate=8000), "clip_length 8192"),
        (lambda: ArrayClips(np.zeros((3, 4096)), sample_rate=8000), "at least 20 are needed"),
    ],
)
def test_clips_that_do_not_match_are_one_line(evaluator, source, hint):
    with pytest.raises(FauxleyError, match=hint) as caught:
        evaluator.evaluate(source())
    assert "\n" not in str(caught.value)


def test_silence_alone_is_judged_without_complaint(evaluator):
    figures = evaluator.evaluate(ArrayClips(np.zeros((30, 4096)), sample_rate=8000))
    assert figures.scores["self_distance"].value == 0
    json.dumps(to_json(evaluator, [Judged(ArrayClips(np.zeros((30, 4096)), sample_rate=8000), figures)]))


def test_data_with_other_labels_than_the_classifier_is_refused(drums, classifier, learnt_kit):
    with pytest.raises(FauxleyError, match="16; at least 20"):
        Evaluator(drums, None, classifier)
    with pytest.raises(UsageError, match="at least 20"):
        Protocol(count=3)


def test_folders_broken_files_and_other_rates(tmp_path, synthesizer):
    with pytest.raises(FauxleyError, match="no sounds"):
        FolderClips(tmp_path, "empty", 8000, 4096, 10)
    for index in range(3):
        write_audio(tmp_path / f"{index}.wav", np.zeros((1, 100)), 8000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.warns(UserWarning, match="1 file is skipped: broken.wav cannot be read"):
        assert len(FolderClips(tmp_path, "folder", 8000, 4096, 10)) == 3
    with pytest.raises(UsageError, match="at 16000 Hz"):
        FolderClips(tmp_path, "folder", 16000, 4096, 10)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "NaN"),
        (np.inf, "infinity"),
        (-np.inf, "infinity"),
        (3e7, "3e+07 times full scale"),
        (1e38, "full scale"),
    ],
)
def test_files_with_numbers_that_are_no_sound_are_named_passed_over_and_counted(tmp_path, value, reason):
    samples = 0.1 * np.random.default_rng(0).standard_normal((30, 4096)).astype(np.float32)
    samples[4, 1000] = samples[9, 3000] = value
    for index, clip in enumerate(samples):
        soundfile.write(tmp_path / f"{index:02d}.wav", clip, 8000, subtype="FLOAT")
    with pytest.warns(UserWarning, match="skipped") as caught:
        source = FolderClips(tmp_path, "folder", 8000, 4096, 25)
    (text,) = [str(one.message) for one in caught]
    assert "skipped" in text
    assert reason in text
    assert "\n" not in text
    named = [line.split()[0] for line in source.passed_over]
    assert set(named) <= {"04.wav", "09.wav"}
    assert all(name in text for name in named)
    assert len(source) == 25  # others take their places
    assert np.isfinite(source.read(range(25))).all()


def test_large_features_live_in_a_file_without_a_name(monkeypatch):
    monkeypatch.setattr("fauxley.evaluation.features._IN_MEMORY", 100)
    rows = np.arange(40, dtype=np.float32).reshape(10, 4)
    store = FeatureStore(10, rows)
    store.append(rows[:7])
    store.append(rows[7:])
    store.append(rows)  # beyond what there is room for
    assert isinstance(store.array, np.memmap)
    np.testing.assert_array_equal(store.array, rows)


def test_progress_is_told_of_every_clip(learnt_kit):
    class Counting(ProgressTracker):
        def __init__(self):
            self.stages = []

        def begin(self, what, total):
            self.stages.append([what, total, 0])

        def advance(self, count):
            self.stages[-1][2] += count

    tracker = Counting()
    assert len(Evaluator(learnt_kit, protocol=PROTOCOL, progress=tracker).real) == 1
    assert any("features" in what and total == 96 for what, total, _ in tracker.stages)
    for what, total, done in tracker.stages:
        assert done == total, what


def test_a_missing_extra_is_one_line_that_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for open_it in (lambda: open_embeddings(("speech",)), lambda: SpeechQuality(5)):
        with pytest.raises(FauxleyError, match=r"pip install 'fauxley\[speech\]'"):
            open_it()
    with pytest.raises(UsageError, match="there are speech"):
        open_embeddings(("nonsense",))


class Hostile(ArrayClips):
    def name(self, index):
        return '"><script>alert(1)</script>\udce9.wav'


def test_the_page_is_one_file_that_asks_for_nothing_and_escapes_names(evaluator, new_kit, tmp_path):
    clips = DatasetClips(new_kit, "new").read(range(30))
    source = Hostile(clips, title="<img src=x onerror=alert(2)>", sample_rate=8000)
    write_report(tmp_path, "<b>title", evaluator, [Judged(source, evaluator.evaluate(source))])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>title" not in page
    assert not re.search(r"""(?:src|href)=["']?(?!data:)[^"'#\s>]*//""", page)
    assert page.count("data:audio/flac") >= 30
    assert page.count("data:image/png") >= 30
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["protocol"]["clips_each_side"] == 60
    assert report["protocol"]["classifier"] == evaluator.classifier.digest
    assert report["generated"][0]["scores"]["frechet/classifier"]["value"] >= 0
    assert any("1000" in text for text in report["warnings"])
