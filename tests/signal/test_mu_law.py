"""The μ-law against its formula in NumPy."""

import math

import numpy as np
import pytest
import torch

from fauxley.signal.mu_law import compress, expand


def test_companding_is_that_of_the_paper():
    """Section 2.2: f(x) = sign(x) ln(1 + μ |x|) / ln(1 + μ), μ = 255, in 256 even steps."""
    x = np.linspace(-1, 1, 4001)
    bent = np.sign(x) * np.log(1 + 255 * np.abs(x)) / np.log(256)
    expected = np.floor((bent + 1) / 2 * 255 + 0.5)
    difference = compress(torch.from_numpy(x), 256).numpy() - expected
    assert np.count_nonzero(difference) <= 2  # of roundings at an edge
    assert np.abs(difference).max() <= 1


def test_levels_are_expanded_by_the_inverse():
    levels = np.arange(256)
    bent = 2 * levels / 255 - 1
    expected = np.sign(bent) * (np.power(256, np.abs(bent)) - 1) / 255
    np.testing.assert_allclose(expand(torch.from_numpy(levels), 256).numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("levels", [2, 16, 255, 256])
def test_every_level_survives_the_round_trip(levels):
    every = torch.arange(levels)
    audio = expand(every, levels)
    assert torch.equal(compress(audio, levels), every)
    assert audio.dtype == torch.float32
    assert audio[[0, -1]].tolist() == [-1, 1]
    torch.testing.assert_close(audio, -audio.flip(0))


def test_the_error_is_small_where_sound_is_quiet():
    x = torch.linspace(-1, 1, 10001)
    error = (expand(compress(x, 256), 256) - x).abs()
    steepness = math.log(256) * (x.abs() + 1 / 255)  # of expansion; half a step is 1 / 255
    assert (error <= 1.02 * steepness / 255).all()


def test_silence_is_the_middle_and_excess_is_clipped():
    assert compress(torch.tensor([0.0, 1.5, -7.0]), 256).tolist() == [128, 255, 0]
    assert -82 < 20 * math.log10(expand(torch.tensor(128), 256).item()) < -80
