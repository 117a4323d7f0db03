import krippendorff
import numpy as np
import pytest
from scipy import stats

from fauxley.listening.statistics import estimate, holm, krippendorff_alpha, sign_flip_test, sign_test


def test_the_interval_of_independent_answers_is_the_classic_one() -> None:
    x = np.random.default_rng(0).normal(3, 1, 400)
    found = estimate(x.tolist(), list(range(400)), ["one"] * 400, seed=0)
    low, high = stats.t.interval(0.95, 399, loc=x.mean(), scale=stats.sem(x))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)
    assert (found.mean, found.answers, found.listeners) == (pytest.approx(x.mean()), 400, 400)


@pytest.mark.slow
def test_intervals_cover_the_truth_where_listeners_and_clips_differ() -> None:
    """An interval over answers alone would cover it in about a third of the cases."""
    rng = np.random.default_rng(1)
    covered = naive = 0
    listeners, items = np.repeat(np.arange(12), 15), np.tile(np.arange(15), 12)
    for seed in range(150):
        x = 3 + rng.normal(0, 0.6, 12)[listeners] + rng.normal(0, 0.6, 15)[items] + rng.normal(0, 0.5, 180)
        found = estimate(x.tolist(), listeners.tolist(), items.astype(str).tolist(), seed)
        covered += found.low <= 3 <= found.high
        half = 1.96 * x.std(ddof=1) / np.sqrt(len(x))
        naive += abs(x.mean() - 3) <= half
    assert covered >= 0.9 * 150
    assert naive < 0.7 * 150


def test_an_estimate_is_a_function_of_its_seed_and_of_nothing_none() -> None:
    arguments = ([1.0, 2.0, 5.0, 2.5, 3.1, 4.2], [0, 0, 1, 1, 2, 3], ["a", "b", "a", "c", "d", "d"])
    assert estimate(*arguments, seed=3) == estimate(*arguments, seed=3)
    assert estimate(*arguments, seed=3) != estimate(*arguments, seed=4)
    assert estimate([], [], [], seed=0) is None


@pytest.mark.parametrize("size", [2, 5, 11])
def test_sign_flips_as_scipy(size: int) -> None:
    x = np.random.default_rng(size).normal(0.4, 1, size).round(1)
    reference = stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(x.tolist(), seed=0) == pytest.approx(reference.pvalue, abs=1e-12)


def test_sign_flips_of_many_are_close_to_the_t_test() -> None:
    x = np.random.default_rng(5).normal(0.3, 1, 60)
    assert sign_flip_test(x.tolist(), seed=0) == pytest.approx(stats.ttest_1samp(x, 0).pvalue, rel=0.15)
    assert sign_flip_test([1.0], seed=0) is None


@pytest.mark.parametrize(("wins", "losses"), [(0, 1), (7, 2), (5, 5), (40, 71), (900, 1100), (0, 4000)])
def test_the_sign_test_as_scipy(wins: int, losses: int) -> None:
    assert sign_test(wins, losses) == pytest.approx(stats.binomtest(wins, wins + losses).pvalue, rel=1e-9)


def test_the_sign_test_of_nothing_is_none() -> None:
    assert sign_test(0, 0) is None


def test_holm() -> None:
    # By hand: 3 · 0.01, 2 · 0.02, and never below the one before.
    assert holm([0.02, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


# Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: four observers, twelve units; 0 is missing.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)


def units(data: np.ndarray) -> list[list[int]]:
    return [[int(value) - 1 for value in column if value] for column in data.T]


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example(level: str, published: float) -> None:
    assert krippendorff_alpha(units(PUBLISHED), 5, level) == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("seed", range(6))
def test_as_the_krippendorff_package(level: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, 30)
    data = np.where(rng.random((7, 30)) < 0.6, truth, rng.integers(1, 6, (7, 30)))
    data[rng.random(data.shape) < 0.5] = 0
    reference = krippendorff.alpha(np.where(data, data, np.nan), level_of_measurement=level, value_domain=range(1, 6))
    assert krippendorff_alpha(units(data), 5, level) == pytest.approx(reference, abs=1e-12)


def test_chance_is_0_and_opposition_is_below() -> None:
    rng = np.random.default_rng(0)
    assert krippendorff_alpha(rng.integers(0, 4, (5000, 2)).tolist(), 4, "nominal") == pytest.approx(0, abs=0.03)
    assert krippendorff_alpha([[0, 1]] * 10, 2, "nominal") < 0


@pytest.mark.parametrize("data", [[], [[1], [2], [0]], [[2, 2], [2, 2, 2]]])
def test_what_is_not_defined_is_none(data: list[list[int]]) -> None:
    assert krippendorff_alpha(data, 5, "ordinal") is None
