"""Metrics against closed forms, and against scipy and scikit-learn, as functions of arrays."""

import re
from pathlib import Path

import numpy as np
import pytest

from fauxley.errors import UsageError
from fauxley.evaluation.classifier.calibration import accuracy, calibration_error, confusion, fit_temperature
from fauxley.evaluation.metrics.different_bins import different_bins
from fauxley.evaluation.metrics.frechet import Gaussian, frechet_distance, frechet_distance_infinity
from fauxley.evaluation.metrics.inception_score import am_score, inception_score, label_shares, modified_inception_score
from fauxley.evaluation.metrics.kernel import Scale, fit_scale, kad, kernel_distance, kid, median_distance, squared_mmd
from fauxley.evaluation.metrics.neighbours import memorisation, nearest
from fauxley.evaluation.metrics.precision_recall import precision_recall
from fauxley.evaluation.metrics.signal_measures import kolmogorov_smirnov


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


@pytest.mark.slow
@pytest.mark.parametrize("clips", [(200, 200), (200, 1500), (400, 400), (900, 250)])
def test_one_distribution_is_at_no_distance_from_itself_once_extrapolated(clips):
    """D = 64, where the plain distance is 4 to 11: each estimate is 0 within its interval, and their mean nearly is."""
    found = []
    for seed in range(4):
        rng = np.random.default_rng([seed, *clips])
        x, y = (rng.standard_normal((count, 64)) for count in clips)
        assert frechet_distance(x, y) > 3
        found.append(frechet_distance_infinity(x, y, seed))
        assert abs(found[-1].value) <= found[-1].spread
    assert abs(np.mean([one.value for one in found])) < 0.4
    assert max(one.spread for one in found) < 3


def test_what_is_extrapolated_is_the_distance_of_the_distributions():
    rng = np.random.default_rng(0)
    scale, shift = np.linspace(0.2, 1.5, 24), 0.25
    truth = 24 * shift**2 + np.square(0.3 * scale).sum()
    found = []
    for seed in range(6):
        x, y = rng.standard_normal((2, 300, 24)) * scale
        one = frechet_distance_infinity(x, 1.3 * y + shift, seed)
        assert abs(one.value - truth) <= one.spread
        found.append(one.value)
    assert np.mean(found) == pytest.approx(truth, rel=0.1)


def test_squared_mmd_is_the_double_sum_over_scikit_learns_kernel(sets):
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    x, y = sets
    kxx, kyy, kxy = (pairwise.polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    within = (kxx.sum() - np.trace(kxx)) / (n * (n - 1)) + (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
    assert squared_mmd(x, y) == pytest.approx(within - 2 * kxy.mean(), rel=1e-9)


@pytest.mark.slow
def test_kid_and_kad_are_their_published_formulas(sets):
    """Written out over all pairs, as Bińkowski et al. (equation 4) and Chung et al. (equations 5 to 7) have them."""
    x, y = sets
    n, m, dimensions = len(x), len(y), x.shape[1]

    def unbiased(k):
        within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
        within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
        return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)

    assert kid(x, y, subsets=2).value == pytest.approx(unbiased(lambda a, b: (a @ b / dimensions + 1) ** 3), rel=1e-9)
    width = np.median([np.linalg.norm(x[i] - x[j]) for i in range(n) for j in range(i)])
    assert median_distance(x) == pytest.approx(width, rel=1e-9)
    expected = 100 * unbiased(lambda a, b: np.exp(-np.square(a - b).sum() / (2 * width**2)))
    assert kad(x, y, subsets=2).value == pytest.approx(expected, rel=1e-9)
    moved = kad(x + 1e5, y + 1e5, subsets=2).value  # the kernel knows differences only
    assert moved == pytest.approx(expected, rel=1e-5)
    wider = 100 * unbiased(lambda a, b: np.exp(-np.square(a - b).sum() / (2 * (3 * width) ** 2)))
    assert kad(x, y, bandwidth=3 * width, subsets=2).value == pytest.approx(wider, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("size", [8])
def test_with_a_settled_scale_few_clips_give_the_same_distance_on_average(size):
    rng = np.random.default_rng(0)
    many = rng.standard_normal((4000, 5)) * [1, 1, 3, 1, 1]
    scale, width = fit_scale(many), median_distance(many)
    measures = {
        "kernel": lambda x, y: kernel_distance(x, y, scale=scale, subsets=2).value,
        "kad": lambda x, y: kad(x, y, bandwidth=width, subsets=2).value,
        "kid": lambda x, y: kid(x, y, subsets=2).value,
    }
    other = many[::-1] + 0.7
    for name, measure in measures.items():
        truth = measure(many[:2000], other[:2000])
        found = [measure(many[rng.choice(2000, size)], other[rng.choice(2000, size)]) for _ in range(600)]
        assert abs(np.mean(found) - truth) < 4 * np.std(found) / np.sqrt(len(found)), name


@pytest.mark.slow
def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(0)
    values = np.array(
        [
            kernel_distance(*rng.standard_normal((2, 150, 6)), seed=n, scale=Scale(np.zeros(6), 1.0)).value
            for n in range(60)
        ]
    )
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert (values < 0).any()


@pytest.mark.slow
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


def test_neighbours_are_exact_where_single_precision_cannot_tell():
    """Clips far from the mean and close to each other: norms of 1e5, distances of 1."""
    rng = np.random.default_rng(0)
    place = 1e5 * np.repeat(np.eye(3), 40, axis=0)
    x, y = (place + np.round(rng.standard_normal((120, 3)), 2) for _ in range(2))
    distances = np.sqrt(np.square(y[:, None] - x).sum(2))
    order = np.argsort(distances, axis=1, kind="stable")[:, :3]
    found = nearest(y, x, 3)
    np.testing.assert_allclose(found[0], np.take_along_axis(distances, order, 1), rtol=1e-12)
    np.testing.assert_array_equal(found[1], order)
    np.testing.assert_array_equal(nearest(y[:1], x[:4])[1], np.argsort(distances[:1, :4])[:, :1])


@pytest.mark.slow
def test_neighbours_do_not_depend_on_blocks(sets, monkeypatch):
    x, y = sets
    whole = nearest(y, x, 3)
    itself = nearest(x, x, 2, same=True)
    monkeypatch.setattr("fauxley.evaluation.metrics.neighbours._BLOCK_BYTES", 4 * 12 * 7)
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
    """Against all distances in one array, as the authors' code (prdc) has it: a surface is outside."""
    distance = pytest.importorskip("scipy.spatial.distance")
    x, y = sets
    k = 5
    within_x = np.sort(distance.cdist(x, x), 1)[:, k]  # the nearest is the clip itself
    within_y = np.sort(distance.cdist(y, y), 1)[:, k]
    cross = distance.cdist(x, y)
    found = precision_recall(x, y, k)
    assert found.precision == pytest.approx((cross < within_x[:, None]).any(0).mean())
    assert found.recall == pytest.approx((cross < within_y).any(1).mean())
    assert found.density == pytest.approx((cross < within_x[:, None]).sum(0).mean() / k)
    assert found.coverage == pytest.approx((cross.min(1) < within_x).mean())


@pytest.mark.slow
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


_OF_TWO_SETS = {
    "frechet": frechet_distance,
    "frechet infinity": frechet_distance_infinity,
    "mmd": squared_mmd,
    "kernel": kernel_distance,
    "kid": kid,
    "kad": kad,
    "precision and recall": precision_recall,
    "bins": different_bins,
    "neighbours": lambda x, y: nearest(x, y, 2),
}
_OF_PROBABILITIES = {
    "inception": lambda p: inception_score(p, 1),
    "mis": modified_inception_score,
    "am": lambda p: am_score(p, np.full(4, 0.25)),
    "shares": label_shares,
}
_OF_VALUES = {"memorisation": memorisation, "kolmogorov-smirnov": kolmogorov_smirnov}


def _spoilt(value, shape=(60, 5)):
    spoilt = np.random.default_rng(0).standard_normal(shape)
    spoilt.reshape(-1)[7] = value
    return spoilt


def _says_one_line(call, *arrays):
    with pytest.raises(UsageError) as caught:
        call(*arrays)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("name", [*_OF_TWO_SETS, *_OF_VALUES])
def test_numbers_that_are_none_are_one_clear_error(name, value):
    """Unnoticed, a NaN gave a perfect NDB and a plausible precision."""
    shape = (60, 5) if name in _OF_TWO_SETS else (60,)
    good, bad = _spoilt(0.5, shape), _spoilt(value, shape)
    call = (_OF_TWO_SETS | _OF_VALUES)[name]
    for arrays in ((good, bad), (bad, good), (bad, bad)):
        assert "finite" in _says_one_line(call, *arrays)


@pytest.mark.parametrize("name", _OF_TWO_SETS)
def test_other_dimensions_and_single_clips_are_one_clear_error(name):
    call, good = _OF_TWO_SETS[name], np.ones((60, 5))
    assert "same dimensions" in _says_one_line(call, good, np.ones((60, 4)))
    assert "(clips, dimensions)" in _says_one_line(call, good, np.ones(60))
    assert "(clips, dimensions)" in _says_one_line(call, np.ones((60, 0)), np.ones((60, 0)))
    assert "at least" in _says_one_line(call, good, np.ones((0, 5)))
    assert re.search("at least|too few", _says_one_line(call, good, np.ones((1, 5))))


@pytest.mark.parametrize("name", _OF_PROBABILITIES)
def test_what_are_no_probabilities_is_one_clear_error(name):
    call, good = _OF_PROBABILITIES[name], np.full((30, 4), 0.25)
    spoilt = good.copy()
    spoilt[3, 2] = np.nan
    assert "finite" in _says_one_line(call, spoilt)
    assert "sum to 1" in _says_one_line(call, 2 * good)
    assert "at least" in _says_one_line(call, good[:1])
    assert "(clips, dimensions)" in _says_one_line(call, good[0])


def test_too_little_is_said():
    for few in (np.zeros(0), np.zeros(1)):
        for call in _OF_VALUES.values():
            assert "at least" in _says_one_line(call, few, np.zeros(3))
            assert "at least" in _says_one_line(call, np.zeros(3), few)
    assert "too few" in _says_one_line(lambda x: nearest(x, x, 2, same=True), np.zeros((2, 3)))
    assert "divided" in _says_one_line(lambda p: inception_score(p, 10), np.full((3, 3), 1 / 3))
    _says_one_line(am_score, np.full((5, 4), 0.25), np.array([0.5, np.nan, 0, 0]))


def test_what_is_all_alike_is_no_reason_to_fail():
    same = np.ones((60, 4))
    assert frechet_distance(same, same) == 0
    assert kernel_distance(same, same).value == pytest.approx(0)
    assert different_bins(same, same).divergence == pytest.approx(0)
    assert kad(same, same).value == pytest.approx(0)
    assert kid(same, same).value == pytest.approx(0)
    assert frechet_distance_infinity(same, same) == (0, 0)
    assert precision_recall(same, same) == (0, 0, 0, 0)  # balls without an inside


def test_a_clip_on_the_surface_of_a_ball_is_outside_also_after_rounding():
    """Copies of real clips lie exactly as far from other real clips as those do from each other."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 7)) + 100
    k = 3
    distance = np.sqrt(np.square(x[:, None] - x).sum(2))
    reach = np.sort(distance, 1)[:, k]
    inside = distance < reach[:, None] * (1 - 1e-10)
    assert precision_recall(x, x[::-1], k).density == pytest.approx(inside.sum(0).mean() / k)
    twice = np.concatenate([x, x])
    assert precision_recall(twice, np.repeat(x[:2], 40, 0), k).recall == 0


def test_the_documented_example_of_a_new_metric_is_the_energy_distance():
    distance = pytest.importorskip("scipy.stats").energy_distance
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.partition("## Adding a metric")[2], re.DOTALL):
        exec(compile(block, "docs/evaluation.md", "exec"), names)
    x, y = np.random.default_rng(0).standard_normal((2, 100, 1))
    assert names["energy_distance"](x, y + 0.3) == pytest.approx(distance(x[:, 0], y[:, 0] + 0.3) ** 2)
