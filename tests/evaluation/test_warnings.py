"""A report warns of a classifier that is a poor judge of the clips before it."""

from types import SimpleNamespace

import pytest

from fauxley.evaluation.figures import Evaluation
from fauxley.evaluation.report.report import warnings_for


def warnings_of(*, accuracy=0.95, error=0.02, learnt=16384, rate=16000, judged_seconds=1.0):
    """What is said of a classifier of clips of `learnt` samples that judges others."""
    classifier = SimpleNamespace(
        judgement=SimpleNamespace(accuracy=accuracy, calibration_error=error),
        settings=SimpleNamespace(clip_length=learnt, sample_rate=rate),
    )
    train = SimpleNamespace(clip_length=round(48000 * judged_seconds), sample_rate=48000)
    evaluator = SimpleNamespace(
        real=[Evaluation("real", 5000)], test=[], baseline_distances=range(200), classifier=classifier, train=train
    )
    return warnings_for(evaluator, [])


def test_nothing_is_said_of_a_good_one():
    assert warnings_of() == []


@pytest.mark.parametrize(("learnt", "rate", "seconds"), [(16384, 44100, 1.47), (64000, 16000, 1.0)])
def test_one_that_learnt_clips_of_another_length_is_named_with_both(learnt, rate, seconds):
    (text,) = warnings_of(learnt=learnt, rate=rate, judged_seconds=seconds)
    assert f"learnt clips of {learnt / rate:.2f} s and judges clips of {seconds:.2f} s" in text


def test_a_weak_one_and_one_that_is_too_sure_are_said_to_be():
    assert ["weak" in text for text in warnings_of(accuracy=0.6)] == [True]
    assert ["0.20 (calibration error)" in text for text in warnings_of(error=0.2)] == [True]
