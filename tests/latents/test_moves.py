"""Moves stay where latents live, and keep uniform what is uniform."""

import pytest
import torch
from scipy.stats import kstest

from fauxley.errors import UsageError
from fauxley.latents import moves
from fauxley.models.draws import Draws


def latents(count=1, size=20, seed=0):
    return Draws(seed).latents(count, size)


def is_uniform(values):
    return kstest(values.flatten().numpy(), "uniform", args=(-1, 2)).pvalue > 1e-3


def test_a_variation_is_a_function_of_its_number():
    (middle,) = latents()
    many = moves.vary(middle, 9, 0.2, seed=3)
    assert torch.equal(moves.vary(middle, 4, 0.2, seed=3), many[:4])
    assert len({tuple(row.tolist()) for row in many}) == 9
    assert not torch.equal(moves.vary(middle, 9, 0.2, seed=4), many)


def test_the_radius_goes_from_nothing_to_anything():
    (middle,) = latents()
    assert torch.equal(moves.vary(middle, 3, 0.0), middle.expand(3, -1))
    near, far = moves.vary(middle, 50, 0.05), moves.vary(middle, 50, 0.3)
    assert (near - middle).abs().max() <= 0.1 + 1e-6
    assert (near - middle).norm(dim=1).mean() < (far - middle).norm(dim=1).mean()
    corner = torch.full((20,), 0.99)
    assert is_uniform(moves.vary(corner, 200, 1.0))


@pytest.mark.parametrize("radius", [0.1, 0.4, 0.7])
def test_variations_of_uniform_latents_are_uniform(radius):
    varied = torch.cat([moves.vary(middle, 1, radius, seed) for seed, middle in enumerate(latents(200, 20))])
    assert varied.abs().max() <= 1
    assert is_uniform(varied)


@pytest.mark.parametrize("kind", ["linear", "spherical"])
def test_a_path_goes_from_end_to_end(kind):
    start, end = latents(2)
    way = moves.path(start, end, 5, kind)
    torch.testing.assert_close(way[[0, 4]], torch.stack([start, end]))
    assert way.abs().max() <= 1
    reverse = moves.path(end, start, 5, kind)
    torch.testing.assert_close(way, reverse.flip(0))
    assert torch.equal(moves.path(start, end, 1, kind), start[None])


def test_lines_have_their_middle_and_arcs_keep_their_length():
    start, end = torch.eye(4)[:2] * 0.9
    torch.testing.assert_close(moves.path(start, end, 3, "linear")[1], (start + end) / 2)
    torch.testing.assert_close(moves.path(start, end, 7, "spherical").norm(dim=1), torch.full((7,), 0.9))
    torch.testing.assert_close(
        moves.between(start, 0.5 * start, 0.5, "spherical"), 0.75 * start
    )  # no arc between these


def test_a_square_has_its_corners():
    corners = latents(4)
    square = moves.square(corners, 3, 5, "linear")
    assert square.shape == (3, 5, 20)
    torch.testing.assert_close(square[[0, 0, 2, 2], [0, 4, 0, 4]], corners)
    torch.testing.assert_close(square[1, 2], corners.mean(0))


def test_truncation_draws_to_the_centre():
    torch.testing.assert_close(moves.truncate(latents(3), 0.5), latents(3) / 2)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: moves.vary(latents()[0], 3, 1.5),
        lambda: moves.vary(latents()[0], 3, float("nan")),
        lambda: moves.vary(latents()[0], -1),
        lambda: moves.vary(2 * torch.ones(5), 3),
        lambda: moves.path(latents(2)[0], latents(2)[1], 0),
        lambda: moves.square(latents(3), 2, 2),
        lambda: moves.truncate(latents(), 0),
        lambda: moves.truncate(latents(), 1.1),
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong()
