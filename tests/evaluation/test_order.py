"""Sets that are wrong in a known way, ordered by each figure against what it is there to notice.

Real clips (recordings, or the built-in kit where there are none) in two halves: the first is what a model would have
learnt from, the second are new real clips. The wrong sets are made of the second half, but `memorised` of the first.

What is blind to what:

    noise        heard by everything but |D|self (noise is varied) and the check for copies
    scrambled    heard by distances in log-mel, whose features keep the order of time; not by levels or spectra
    memorised    heard by the check for copies alone: every distance takes copies for the best of models, and the
    paper's
                 |D|train hears exact copies but not such with inaudible noise in their silences
    collapsed    heard by recall, coverage, |D|self, bins and distances; precision and the check for copies are deaf
    to it
"""

import numpy as np
import pytest

from fauxley.evaluation.features import Fingerprints, LogMelNeighbours, extract
from fauxley.evaluation.figures import Evaluation
from fauxley.evaluation.metrics import signal_measures
from fauxley.evaluation.metrics.neighbours import nearest
from fauxley.evaluation.scoring import score_copies, score_distances, score_memorisation, score_neighbours

from .conftest import ArrayClips, collapsed, memorised, noisy, scrambled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def figures(halves):
    """Figures of each set by name."""
    learnt, new = halves
    sets = {
        "real": new,
        "noisy": noisy(new),
        "scrambled": scrambled(new),
        "memorised": memorised(learnt),
        "exact copies": learnt,
        "collapsed": collapsed(new),
    }
    extractors = {"log-mel": LogMelNeighbours(), "fingerprints": Fingerprints()}
    features = {name: extract(ArrayClips(clips), extractors, {}) for name, clips in sets.items()}
    reference = extract(ArrayClips(learnt), extractors, {})
    held_out = nearest(features["real"]["copies"], reference["copies"])[0][:, 0]
    measures = signal_measures.measure(learnt, 16000)
    found = {}
    for name, clips in sets.items():
        one = found[name] = Evaluation(name, len(clips))
        score_neighbours(one, features[name], reference, own=False, device="cpu")
        score_memorisation(one, held_out)
        score_copies(one, features[name], reference, 100, own=False, device="cpu")
        score_distances(one, "log-mel", reference["log-mel"], features[name]["log-mel"], 0)
        one.gaps = {
            key: signal_measures.kolmogorov_smirnov(values, measures[key])
            for key, values in signal_measures.measure(clips, 16000).items()
        }
    return found


def value(figures, which, name):
    score = figures[which].scores
    return (score[name] if name in score else score[f"{name}/log-mel"]).value


@pytest.mark.parametrize("metric", ["frechet", "frechet_infinity", "kernel", "bin_divergence", "ndb"])
@pytest.mark.parametrize("wrong", ["noisy", "scrambled", "collapsed"])
def test_distances_hear_noise_scrambling_and_collapse(figures, metric, wrong):
    assert value(figures, wrong, metric) > value(figures, "real", metric)


@pytest.mark.parametrize("metric", ["precision", "density"])
@pytest.mark.parametrize("wrong", ["noisy", "scrambled"])
def test_precision_and_density_hear_what_is_off(figures, metric, wrong):
    assert value(figures, wrong, metric) < value(figures, "real", metric)


@pytest.mark.parametrize("metric", ["recall", "coverage", "self_distance"])
def test_recall_coverage_and_the_distance_to_siblings_hear_collapse(figures, metric):
    assert value(figures, "collapsed", metric) < 0.6 * value(figures, "real", metric)


def test_precision_is_deaf_to_collapse(figures):
    assert value(figures, "collapsed", "precision") > value(figures, "noisy", "precision")


def test_only_the_search_for_neighbours_hears_copies(figures):
    assert value(figures, "exact copies", "train_distance") < 0.1 * value(figures, "real", "train_distance")
    assert value(figures, "exact copies", "suspicious") == 1
    assert value(figures, "memorised", "suspicious") > 0.9
    assert value(figures, "memorised", "closer") > 0.9
    for innocent in ("noisy", "scrambled", "collapsed"):
        assert value(figures, innocent, "suspicious") < 0.1
    assert value(figures, "real", "closer") == pytest.approx(0.5)
    for deaf in ("frechet", "kernel", "bin_divergence"):
        assert value(figures, "memorised", deaf) <= value(figures, "real", deaf)


def test_signal_measures_hear_noise_in_the_silence_and_the_order_of_time_in_the_onset(figures):
    assert figures["noisy"].gaps["silence"] > figures["real"].gaps["silence"]
    assert figures["noisy"].gaps["tilt_db"] > 2 * figures["real"].gaps["tilt_db"]
    assert figures["scrambled"].gaps["level_db"] == pytest.approx(figures["real"].gaps["level_db"])  # deaf
    moved = np.abs(figures["scrambled"].gaps["duration_s"])
    assert moved > figures["real"].gaps["duration_s"]


def test_the_speech_embedding_hears_the_direction_of_time(halves):
    pretrained = pytest.importorskip("onnxruntime") and pytest.importorskip("fauxley.evaluation.pretrained")
    pytest.importorskip("openwakeword", reason="the extra speech is not installed")
    learnt, new = (half[:40] for half in halves)
    embed = {"speech": pretrained.SpeechEmbedding()}
    reference, real, back = (extract(ArrayClips(clips), embed, {})["speech"] for clips in (learnt, new, new[:, ::-1]))
    assert real.shape == (40, 96)
    from fauxley.evaluation.metrics.kernel import kernel_distance

    assert kernel_distance(reference, back).value > kernel_distance(reference, real).value
