import krippendorff
import numpy as np
import pytest

from fauxley.listening.statistics import krippendorff_alpha

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
