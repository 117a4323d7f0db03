"""The official code's inception score, similarity script and mel matrices."""

import numpy as np
import pytest
import torch

from fauxley.evaluation.features import LogMelNeighbours
from fauxley.evaluation.metrics.inception_score import inception_score, label_shares
from fauxley.evaluation.metrics.neighbours import nearest
from fauxley.signal.mel import mel_matrix


@pytest.mark.parity("metrics", "inception")
def test_parity_inception_score(recorded):
    scores = recorded["scores"]
    assert inception_score(scores, int(recorded["k"])) == pytest.approx(
        (float(recorded["mean"]), float(recorded["std"])), rel=1e-5
    )
    first = scores[: int(recorded["k7_n"])]
    assert inception_score(first, 7) == pytest.approx((float(recorded["k7_mean"]), float(recorded["k7_std"])), rel=1e-5)
    assert inception_score(scores, 1) == pytest.approx((float(recorded["k1_mean"]), 0), rel=1e-5)
    counts = np.bincount(recorded["labels"], minlength=scores.shape[1])
    np.testing.assert_allclose(label_shares(scores), counts / len(scores))


@pytest.mark.parity("metrics", "mel_matrices")
def test_parity_mel_matrices(recorded):
    for bins in (1025, 513):
        dense = np.zeros((bins, 128))
        dense[recorded[f"m{bins}_row"], recorded[f"m{bins}_col"]] = recorded[f"m{bins}_val"]
        np.testing.assert_allclose(mel_matrix(bins, 16000), dense, atol=1e-4)


@pytest.mark.parity("metrics", "similarity")
def test_parity_similarity_features(recorded):
    clips = [recorded[f"clip{index}_int16"][:16384].astype(np.float32) for index in range(len(recorded["feats"]))]
    audio = np.stack([np.pad(clip, (0, 16384 - len(clip))) for clip in clips])
    features = LogMelNeighbours().transform(torch.from_numpy(audio)).numpy()
    np.testing.assert_allclose(features, recorded["feats"], atol=5e-3)
    extracted = LogMelNeighbours().extract(audio / 32768, 16000)["neighbours"]
    np.testing.assert_allclose(extracted, recorded["feats"].reshape(len(clips), -1), atol=5e-3)


@pytest.mark.parity("metrics", "similarity")
def test_parity_similarity_distances(recorded):
    features = recorded["feats"].reshape(len(recorded["feats"]), -1)
    first, second = features[:4], features[4:]
    doubled = features[[0, 1, 2, 0]]
    cases = {
        "self_mean_std": (features, features, True),
        "cross_0to3_train_4to7_query": (second, first, False),
        "cross_4to7_train_0to3_query": (first, second, False),
        "excl_0to3_train_4to7_query": (second, first, False),
        "dup_012_0_self": (doubled, doubled, True),
    }
    for name, (queries, base, same) in cases.items():
        distances, _ = nearest(queries, base, same=same)
        assert (distances.mean(), distances.std()) == pytest.approx(tuple(recorded[name]), rel=1e-5), name
