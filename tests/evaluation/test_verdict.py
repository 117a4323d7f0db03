"""What disqualifies a checkpoint, and which one is then the best."""

import numpy as np
import pytest

from fauxley.cli.shared.judging import choose_best, explain_best, record_step
from fauxley.evaluation.clips import DatasetClips
from fauxley.evaluation.evaluator import Evaluator
from fauxley.evaluation.figures import Score
from fauxley.evaluation.protocol import Protocol
from fauxley.evaluation.verdict import faults
from fauxley.runs import read_best

from .conftest import ArrayClips

pytestmark = pytest.mark.slow


def test_the_best_checkpoint_is_one_without_faults_however_near_the_others_are(learnt_kit, new_kit, tmp_path):
    """By a distance that is deaf to level, clipped sounds won over honest ones."""
    evaluator = Evaluator(learnt_kit, protocol=Protocol(count=90, neighbours=90))
    real = evaluator.real[-1]
    honest = DatasetClips(new_kit, "new").read(range(40))
    sets = {
        100: honest,
        200: np.clip(27 * honest, -1, 1),
        300: 0.2 * honest,
        400: honest[np.arange(40) % 2],
        500: np.concatenate([honest[:30], 0 * honest[:10]]),
    }
    judged = {step: evaluator.evaluate(ArrayClips(one, sample_rate=8000)) for step, one in sets.items()}
    found = {step: faults(figures, real) for step, figures in judged.items()}
    assert not found[100]
    assert {"level", "clipping"} <= set(found[200])
    assert found[300] == ["level"]
    assert "repetition" in found[400]
    assert "silence" in found[500]
    for step, figures in judged.items():
        figures.scores["kernel/log-mel"] = Score(float(-step))  # the worse, the nearer
    assert choose_best(judged, None, real) == (100, "kernel/log-mel")
    sentence = explain_best(judged, 100, "kernel/log-mel", real)
    assert "step 100" in sentence
    assert "step 200: level, clipping" in sentence
    del judged[100]
    assert choose_best(judged, None, real)[0] == 500  # one fault, and the nearest of those
    (tmp_path / "checkpoints" / "step-00000200").mkdir(parents=True)
    record_step(tmp_path, 200, "kernel/log-mel", judged[200], real)
    best = read_best(tmp_path)
    assert best is not None
    assert "clipping" in best.faults
