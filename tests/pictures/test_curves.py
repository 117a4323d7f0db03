"""The curves of a run, whatever they do."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fauxley.errors import UsageError
from fauxley.pictures.curves import write_curves


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize(
    "values",
    [[], [1.0], [np.nan, np.nan], [0.0] * 5, [1e-4] * 5, [1.0, np.inf, 3.0, -np.inf], list(range(3000))],
    ids=["empty", "one", "nan", "zero", "constant", "gaps", "many"],
)
def test_any_curve_can_be_drawn(tmp_path, values):
    write_curves(tmp_path / "curves.png", {"loss $": values, "again": values}, range(len(values)))
    assert pixels(tmp_path / "curves.png").shape[0] > 100


def test_a_curve_that_is_not_finite_is_marked_red(tmp_path):
    def red(values):
        write_curves(tmp_path / "curves.png", {"loss": values}, range(len(values)))
        image = pixels(tmp_path / "curves.png").astype(int)
        return ((image[..., 0] > 230) & (image[..., 1:] < 60).all(axis=2)).any()

    assert not red([1.0, 2.0, 3.0])
    assert red([1.0, np.nan, 3.0])


def test_a_wild_start_does_not_flatten_the_rest(tmp_path):
    values = np.sin(np.arange(1000) / 50)
    values[:3] = 1e6
    write_curves(tmp_path / "curves.png", {"loss": values.tolist()}, range(1000))
    image = pixels(tmp_path / "curves.png").astype(int)
    curve_rows = np.flatnonzero((np.abs(image - (92, 40, 134)).sum(axis=2) < 120)[:, 150:].any(axis=1))
    assert np.ptp(curve_rows) > 0.4 * len(image)


def test_curves_say_what_is_wrong(tmp_path):
    with pytest.raises(UsageError, match="one column or more"):
        write_curves(tmp_path / "curves.png", {}, [])
    with pytest.raises(UsageError, match="'loss' has 2 values for 3 steps"):
        write_curves(tmp_path / "curves.png", {"loss": [1.0, 2.0]}, [1, 2, 3])


def test_importing_is_cheap():
    check = "import sys, fauxley.pictures.curves; sys.exit(bool({'matplotlib', 'scipy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
