"""Phase shuffle by gathering, as a GPU does it, against the slices of a CPU."""

import pytest
import torch

from fauxley.models.layers import phase_shuffle
from fauxley.models.phase_shuffle import gathered_shuffle

# Radius, shifts: none, all alike, both ways, as far as there is.
CASES = [(0, [0, 0, 0]), (2, [2, 2, 2]), (3, [-3, -3, -3]), (2, [1, 0, -1]), (4, [4, 0, -4]), (7, [-7, 7, 5])]
each_case = pytest.mark.parametrize(("radius", "shifts"), CASES)


@each_case
@pytest.mark.parametrize(("shape", "dim"), [((3, 8, 2), 1), ((3, 2, 5, 8), 3)])
def test_gathering_is_slicing_and_so_are_its_derivatives(radius, shifts, shape, dim):
    torch.manual_seed(0)
    x, towards = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    curved, results = torch.randn(shape, dtype=torch.float64), []
    for shuffle in (phase_shuffle, gathered_shuffle):
        y = shuffle(x, torch.tensor(shifts), radius, dim)
        (slope,) = torch.autograd.grad((y**3 * towards).sum(), x, create_graph=True)
        curvature = torch.autograd.grad((slope * curved).sum(), (x, towards))
        results.append((y, slope, *curvature))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[1], results[0], rtol=1e-13, atol=1e-13)


@each_case
def test_gathering_passes_gradcheck_twice(radius, shifts):
    x = torch.randn(3, 8, 1, dtype=torch.float64, requires_grad=True)

    def shuffle(x):
        return gathered_shuffle(x, torch.tensor(shifts), radius, 1)

    assert torch.autograd.gradcheck(shuffle, x)
    assert torch.autograd.gradgradcheck(lambda x: shuffle(x) ** 2, x)
