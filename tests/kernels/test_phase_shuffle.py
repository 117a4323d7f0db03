"""Phase shuffle by slices, as on a CPU, and by gathering, as on a GPU: one map, and its transposed."""

import pytest
import torch

from fauxley import kernels
from fauxley.kernels.shifting import (
    shift_by_gathering,
    shift_by_slices,
    shift_transposed_by_gathering,
    shift_transposed_by_slices,
)

# Radius, shifts: none, all alike, both ways, as far as there is.
CASES = [(0, [0, 0, 0]), (2, [2, 2, 2]), (3, [-3, -3, -3]), (2, [1, 0, -1]), (4, [4, 0, -4]), (7, [-7, 7, 5])]
each_case = pytest.mark.parametrize(("radius", "shifts"), CASES)
each_way = pytest.mark.parametrize(
    ("shift", "back"),
    [(shift_by_slices, shift_transposed_by_slices), (shift_by_gathering, shift_transposed_by_gathering)],
    ids=["slices", "gathering"],
)


@each_case
@each_way
@pytest.mark.parametrize(("shape", "dim"), [((3, 8, 2), 1), ((3, 2, 5, 8), 3)])
def test_each_way_is_the_definition_and_its_transposed(shift, back, radius, shifts, shape, dim):
    torch.manual_seed(0)
    x, y = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    places = torch.arange(8) - torch.tensor(shifts)[:, None]
    mirrored = 7 - (7 - places.abs()).abs()
    expected = torch.stack([each.index_select(dim - 1, where) for each, where in zip(x, mirrored, strict=True)])
    there = shift(x, torch.tensor(shifts), radius, dim)
    assert torch.equal(there, expected)
    torch.testing.assert_close((there * y).sum(), (x * back(y, torch.tensor(shifts), radius, dim)).sum())


@each_case
@pytest.mark.parametrize("implementation", ["plain", "fast"])
def test_derivatives_of_both_orders_agree_with_differences(radius, shifts, implementation):
    x = torch.randn(3, 8, 1, dtype=torch.float64, requires_grad=True)

    def curved(x):
        with kernels.use(implementation):
            return kernels.phase_shuffle(x, torch.tensor(shifts), radius) ** 3

    assert torch.autograd.gradcheck(curved, x)
    assert torch.autograd.gradgradcheck(curved, x)
