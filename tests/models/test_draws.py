"""Random numbers: reproducible, unrelated, and of the right distribution."""

import itertools
from collections import Counter

import pytest
import torch

from fauxley.models.draws import Draws, Purpose, Share, SharedDraws
from fauxley.models.wavegan import WaveGAN


def test_the_same_key_gives_the_same_numbers_and_another_key_others():
    keys = [(0,), (1,), (0, 0), (1, 0), (0, 1), (2, 0, 0, 0), (2, 0, 0, 0, 0), (2, 0, 0, 0, 1), (2**40,)]
    drawn = {key: Draws(*key).latents(1, 50) for key in keys}
    for key in keys:
        assert torch.equal(Draws(*key).latents(1, 50), drawn[key])
    for one, other in itertools.combinations(keys, 2):
        assert abs(torch.corrcoef(torch.cat([drawn[one], drawn[other]]))[0, 1]) < 0.5, (one, other)


def test_no_two_purposes_draw_the_same_at_any_seeds():
    """Weights of a generator and of an inversion were once equal, at seeds 4 and 0."""
    networks = WaveGAN(4096, dim=1, latent_size=3).networks(4)
    keys = [(purpose, seed) for purpose in Purpose for seed in range(6)]
    drawn = {tuple(Draws(*key).latents(1, 5).flatten().tolist()) for key in keys}
    assert len(drawn) == len(keys)
    for name, purpose in (("generator", Purpose.GENERATOR_WEIGHTS), ("critic", Purpose.CRITIC_WEIGHTS)):
        first = next(weight for weight in networks[name].parameters() if weight.dim() > 1)
        expected = Draws(purpose, 4).uniform(first.shape, 1.0)
        torch.testing.assert_close(first.detach() / first.detach().abs().max(), expected / expected.abs().max())


def test_numbers_of_a_seed_never_change():
    """A seed is a sound, and shared models come with seeds: this pins them across versions and platforms."""
    torch.testing.assert_close(Draws(0).latents(1, 3), torch.tensor([[0.996896, -0.6322217, -0.9965305]]))
    assert Draws(2, 0, 0, 0, 1).shifts(4, 1, 2, False).tolist() == [[-1], [0], [-1], [1]]


def test_latents_fill_the_cube():
    z = Draws(0).latents(200, 100)
    assert z.shape == (200, 100)
    assert -1 <= z.min() < -0.999
    assert 0.999 < z.max() <= 1
    assert abs(z.mean()) < 0.02
    assert abs(z.var() - 1 / 3) < 0.01


def test_interpolation_lies_between():
    alpha = Draws(0).interpolation(2000)
    assert 0 <= alpha.min() < 0.01
    assert 0.99 < alpha.max() <= 1


@pytest.mark.parametrize("radius", [0, 1, 5])
def test_shifts_are_uniform_and_reach_the_radius_on_both_sides(radius):
    counts = Counter(Draws(0).shifts(1, 4000, radius, True).flatten().tolist())
    assert sorted(counts) == list(range(-radius, radius + 1))
    assert min(counts.values()) > 0.8 * 4000 / (2 * radius + 1)


def test_a_shift_holds_for_the_whole_batch_unless_asked_for_per_example():
    for_batch = Draws(0).shifts(50, 6, 3, False)
    assert for_batch.shape == (50, 6)
    assert (for_batch == for_batch[:, :1]).all()
    assert len(for_batch[:, 0].unique()) > 3
    assert any(len(row.unique()) > 1 for row in Draws(0).shifts(4, 6, 3, True))


@pytest.mark.parametrize(("whole", "world_size"), [(7, 3), (6, 2), (3, 3)])
def test_the_shares_of_all_processes_are_the_numbers_of_the_whole_batch(whole, world_size):
    def numbers(draws, count):
        return (
            draws.latents(count, 4),
            torch.tensor([draws.happens(0.5) for _ in range(8)]).expand(count, 8),
            draws.interpolation(count),
            *(draws.shifts(2, count, 3, per_example).T for per_example in (True, False)),
        )

    shares = [Share(rank, world_size, whole) for rank in range(world_size)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    parts = [numbers(SharedDraws(1, 2, share=share), len(share)) for share in shares]
    for expected, *pieces in zip(numbers(Draws(1, 2), whole), *parts, strict=True):
        for share, piece in zip(shares, pieces, strict=True):
            assert torch.equal(piece, expected[share.rows] if expected.dim() else expected)


def test_numbers_for_other_examples_than_the_share_are_refused():
    with pytest.raises(ValueError, match="5 examples of a share of 2"):
        SharedDraws(1, share=Share(1, 3, 6)).latents(5, 4)
