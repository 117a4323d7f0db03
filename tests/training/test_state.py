"""The averaged generator forgets at the rate its half-life says."""

import pytest
import torch
from torch import nn

from fauxley.errors import UsageError
from fauxley.models.layers import BatchNorm
from fauxley.training.state import Averaging, averaged_copy, update_average


def test_after_its_half_life_an_old_weight_counts_half():
    averaging = Averaging(half_life=1000, ramp=1e9)
    old, new = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.ones_(old.weight)
    nn.init.zeros_(new.weight)
    average = averaged_copy(old)
    for step in range(1, 101):
        update_average(average, new, averaging.decay(batch_size=10, step=step))
    assert average.weight.item() == pytest.approx(0.5, rel=1e-4)


def test_the_ramp_keeps_the_first_weights_from_lasting():
    averaging = Averaging(half_life=1e9, ramp=0.05)
    kept = 1.0
    for step in range(1, 1001):
        kept *= averaging.decay(batch_size=16, step=step)
    assert kept < 1e-6
    assert averaging.decay(16, 1000) == pytest.approx(0.5 ** (1 / 50))


def test_no_half_life_is_no_averaging():
    assert Averaging().decay(16, 100) == 0


def test_moving_statistics_are_taken_over_and_nothing_is_trained():
    network = nn.Sequential(BatchNorm(2, track=True))
    average = averaged_copy(network)
    network(torch.randn(3, 5, 2))
    update_average(average, network, 0.9)
    assert torch.equal(average[0].moving_mean, network[0].moving_mean)
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert not average.training


@pytest.mark.parametrize("changed", [{"half_life": -1.0}, {"half_life": float("nan")}, {"ramp": 0.0}])
def test_what_makes_no_sense_is_refused(changed):
    with pytest.raises(UsageError, match=next(iter(changed))):
        Averaging(**changed)
