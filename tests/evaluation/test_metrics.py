"""Metrics against closed forms, and against scipy and scikit-learn, as functions of arrays."""

import numpy as np
import pytest

from fauxley.errors import UsageError
from fauxley.evaluation.bins import different_bins
from fauxley.evaluation.calibration import accuracy, calibration_error, confusion, fit_temperature
from fauxley.evaluation.frechet import Gaussian, frechet_distance, frechet_distance_infinity
from fauxley.evaluation.inception_score import am_score, inception_score, modified_inception_score
from fauxley.evaluation.kernel import kernel_distance, squared_mmd
from fauxley.evaluation.neighbours import memorisation, nearest
from fauxley.evaluation.precision_recall import precision_recall
from fauxley.evaluation.signals import kolmogorov_smirnov


@pytest.fixture
def sets():
    """Two sets of correlated features in 12 dimensions."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((12, 12))
    return rng.standard_normal((300, 12)) @ mixing, rng.standard_normal((260, 12)) * 1.3 + 0.5


def test_frechet_distance_of_gaussians_is_the_closed_form():
    # For diagonal covariances: |μ₁ - μ₂|² + Σ (σ₁ - σ₂)².
    a = Gaussian(np.array([0.0, 1, 2]), np.diag([1.0, 4, 9]))
    b = Gaussian(np.array([1.0, 1, 0]), np.diag([4.0, 4, 1]))
    assert frechet_distance(a, b) == pytest.approx(1 + 4 + 1 + 0 + 4)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_is_that_of_scipys_matrix_root(sets):
    linalg = pytest.importorskip("scipy.linalg")
    x, y = sets
    first, second = np.cov(x.T), np.cov(y.T)
    root = linalg.sqrtm(first @ second).real
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_fewer_clips_than_dimensions_is_finite_and_symmetric():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((10, 40)), rng.standard_normal((12, 40))
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_extrapolation_removes_most_of_the_bias_of_few_clips():
    rng = np.random.default_rng(0)
    truth = Gaussian(np.zeros(32), np.eye(32))
    plain, extrapolated = [], []
    for seed in range(5):
        sample = rng.standard_normal((400, 32))
        plain.append(frechet_distance(truth, sample))
        extrapolated.append(frechet_distance_infinity(truth, sample, seed))
    assert np.mean(plain) > 0.5
    assert abs(np.mean(extrapolated)) < 0.3 * np.mean(plain)


def test_squared_mmd_is_the_double_sum_over_scikit_learns_kernel(sets):
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    x, y = sets
    kxx, kyy, kxy = (pairwise.polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    within = (kxx.sum() - np.trace(kxx)) / (n * (n - 1)) + (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
    assert squared_mmd(x, y) == pytest.approx(within - 2 * kxy.mean(), rel=1e-9)


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(0)
    values = np.array([kernel_distance(*rng.standard_normal((2, 150, 6)), n).value for n in range(60)])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert (values < 0).any()


@pytest.mark.parametrize("shift", [0, 0.5])
def test_the_kernel_distances_interval_holds_what_many_clips_say(shift):
    rng = np.random.default_rng(0)
    truth = kernel_distance(rng.standard_normal((3000, 6)), rng.standard_normal((3000, 6)) + shift, subsets=2).value
    found = []
    for seed in range(30):
        x, y = rng.standard_normal((2, 150, 6))
        found.append(kernel_distance(x, y + shift, seed))
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.85


def test_neighbours_are_scikit_learns(sets):
    neighbors = pytest.importorskip("sklearn.neighbors")
    x, y = sets
    x = x + 1000  # where |a|² + |b|² - 2 a·b loses digits in single precision
    y = y + 1000
    expected = neighbors.NearestNeighbors(n_neighbors=4, algorithm="brute").fit(x).kneighbors(y)
    found = nearest(y, x, 4)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-9)
    np.testing.assert_array_equal(found[1], expected[1])


def test_neighbours_do_not_depend_on_blocks(sets, monkeypatch):
    x, y = sets
    whole = nearest(y, x, 3)
    itself = nearest(x, x, 2, same=True)
    monkeypatch.setattr("fauxley.evaluation.neighbours._BLOCK_BYTES", 4 * 12 * 7)
    for expected, found in ((whole, nearest(y, x, 3)), (itself, nearest(x, x, 2, same=True))):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        np.testing.assert_array_equal(found[1], expected[1])
    assert (itself[1] != np.arange(len(x))[:, None]).all()


def test_a_copy_is_a_neighbour_at_distance_zero_but_a_clip_is_not_its_own():
    x = np.array([[0.0, 0], [3, 4], [0, 0]], np.float32)
    distances, indices = nearest(x, x, same=True)
    assert distances[:, 0].tolist() == [0, 5, 0]
    assert indices[[0, 2], 0].tolist() == [2, 0]


def test_precision_recall_density_and_coverage_are_the_definitions(sets):
    """Against all distances in one array, as the papers write it."""
    distance = pytest.importorskip("scipy.spatial.distance")
    x, y = sets
    k = 5
    within_x = np.sort(distance.cdist(x, x), 1)[:, k]  # the nearest is the clip itself
    within_y = np.sort(distance.cdist(y, y), 1)[:, k]
    cross = distance.cdist(x, y)
    found = precision_recall(x, y, k)
    assert found.precision == pytest.approx((cross <= within_x[:, None]).any(0).mean())
    assert found.recall == pytest.approx((cross <= within_y).any(1).mean())
    assert found.density == pytest.approx((cross <= within_x[:, None]).sum(0).mean() / k)
    assert found.coverage == pytest.approx((cross.min(1) <= within_x).mean())


def test_bins_of_one_distribution_differ_by_chance_and_of_two_do():
    rng = np.random.default_rng(0)
    same = [different_bins(rng.standard_normal((600, 4)), rng.standard_normal((600, 4)), n) for n in range(5)]
    assert 0 <= np.mean([one.different for one in same]) < 0.25
    dropped = rng.standard_normal((2000, 4))
    other = different_bins(rng.standard_normal((600, 4)), dropped[dropped[:, 0] > 0][:600])
    assert other.different > 0.5
    assert other.divergence > 5 * np.mean([one.divergence for one in same])


def test_inception_scores_of_known_cases():
    sure = np.eye(4)[np.arange(80) % 4]
    assert inception_score(sure, 10) == pytest.approx((4, 0))
    assert inception_score(np.full((80, 4), 0.25), 10) == pytest.approx((1, 0))
    assert inception_score(np.eye(4)[np.zeros(80, int)], 10) == pytest.approx((1, 0))
    assert am_score(sure, np.full(4, 0.25)) == pytest.approx(0, abs=1e-12)
    assert am_score(np.full((80, 4), 0.25), np.full(4, 0.25)) == pytest.approx(np.log(4))
    # All mass on one label where the data has two: KL is ln 2 against the share it covers, infinite but for the floor.
    assert am_score(np.eye(2)[np.zeros(9, int)], np.array([0.5, 0.5])) > 10
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), 30)
    pairs = [np.exp((a * (np.log(a) - np.log(b))).sum()) for a in p for b in p]
    assert modified_inception_score(p) == pytest.approx(np.exp(np.mean(np.log(pairs))))


def test_memorisation_counts_by_rank():
    found = memorisation(np.array([1.0, 5, 9]), np.arange(0, 10.0))
    assert found.closer == pytest.approx((8.5 + 4.5 + 0.5) / 30)
    assert memorisation(np.zeros(5), np.arange(1.0, 300)).suspicious == 1
    ties = memorisation(np.ones(4), np.ones(6))
    assert (ties.closer, ties.suspicious) == (0.5, 0)


def test_kolmogorov_smirnov_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for shift in (0, 0.4, 9):
        a, b = rng.standard_normal(200), rng.standard_normal(150) + shift
        assert kolmogorov_smirnov(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_calibration_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])
    assert accuracy(probabilities, labels) == 0.75
    # Two clips at 0.9 of which half are right, two at 0.6 of which both are.
    assert calibration_error(probabilities, labels, 10) == pytest.approx((2 * 0.4 + 2 * 0.4) / 4)
    assert confusion(probabilities, labels).tolist() == [[1, 0], [1, 2]]


def test_temperature_repairs_overconfidence():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4000, 5))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (p.cumsum(1) > rng.random((4000, 1))).argmax(1)  # drawn from p, so that T = 1 is right for `logits`
    assert fit_temperature(7 * logits, labels) == pytest.approx(7, rel=0.1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: frechet_distance(np.zeros((1, 3)), np.zeros((5, 3))),
        lambda: frechet_distance(np.ones((5, 3)), np.ones((5, 4))),
        lambda: squared_mmd(np.zeros((1, 3)), np.zeros((5, 3))),
        lambda: nearest(np.zeros((2, 3)), np.zeros((2, 4))),
        lambda: nearest(np.zeros((2, 3)), np.zeros((2, 3)), 2, same=True),
        lambda: precision_recall(np.zeros((5, 3)), np.zeros((50, 3))),
        lambda: different_bins(np.zeros((5, 3)), np.zeros((50, 3))),
        lambda: inception_score(np.zeros((3, 3)), 10),
        lambda: memorisation(np.zeros(0), np.zeros(3)),
    ],
)
def test_too_little_is_said(call):
    with pytest.raises(UsageError):
        call()


def test_what_is_all_alike_is_no_reason_to_fail():
    same = np.ones((60, 4))
    assert frechet_distance(same, same) == 0
    assert kernel_distance(same, same).value == pytest.approx(0)
    assert different_bins(same, same).divergence == pytest.approx(0)
    assert precision_recall(same, same).precision == 1
