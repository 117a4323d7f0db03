"""What models cost by arithmetic: as many weights as they have, and no more of anything than a machine can pay."""

import pytest
import torch

from fauxley.errors import UsageError
from fauxley.models.cost import require_affordable, require_playable
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.training.presets import PRESETS

USEFUL = [
    *(config.architecture for _, config in PRESETS.values()),
    WaveGAN(262144, channels=2, dim=64),
    WaveGAN(262144, channels=2, dim=128, batch_norm=True, post_filter_length=512, upsampling="nearest"),
    WaveGAN(8192, channels=16, dim=3, kernel_length=7, batch_norm=True),
    WaveGAN(8192, dim=3, labels=("kick", "snare")),
    SpecGAN(dim=4, labels=("a", "b", "c"), batch_norm=True),
    SpecGAN(262144, channels=2, dim=128, window_length=1024, batch_norm=True),
    SpecGAN(262144, channels=2, window_length=1024, upsampling="nearest", griffin_lim_iterations=1000),
    SpecGAN(channels=2, dim=4, kernel_length=3, window_length=512, upsampling="cubic", batch_norm=True),
    SpecGAN(dim=4, inversion_dim=10, inversion_layers=3, inversion_iterations=4),
    WaveNet(262144),
    WaveNet(1048576, dim=32, skip_dim=64, layers=20),
]


@pytest.mark.parametrize("architecture", USEFUL, ids=repr)
def test_what_somebody_may_want_is_possible_and_its_weights_are_counted_exactly(architecture):
    require_affordable(architecture)
    with torch.device("meta"):
        cost = architecture.generator_cost() + architecture.representation_cost()
        parts = [(cost, architecture.generator(), architecture.representation())]
        if not isinstance(architecture, WaveNet):
            parts.append((architecture.critic_cost(), architecture.critic()))
    for cost, *modules in parts:
        assert cost.weights == sum(value.numel() for module in modules for value in module.state_dict().values())
        assert cost.multiply_adds > cost.numbers > 0


@pytest.mark.parametrize("architecture", USEFUL, ids=repr)
def test_training_costs_all_networks_and_the_signals_of_all_layers(architecture):
    with torch.device("meta"):
        networks = [architecture.generator(), *([] if isinstance(architecture, WaveNet) else [architecture.critic()])]
    cost = architecture.training_cost()
    assert cost.weights == sum(value.numel() for network in networks for value in network.state_dict().values())
    assert cost.multiply_adds >= architecture.generator_cost().multiply_adds
    assert cost.numbers >= 2 * architecture.clip_length * architecture.channels


def test_products_are_those_of_the_papers_tables():
    """Table 3 by hand: the dense layer, four layers of 25 · 16 · 1024 · 512 products, and the last to one channel."""
    by_hand = 100 * 16 * 1024 + 4 * 25 * 16 * 1024 * 512 + 25 * 4096 * 64
    assert WaveGAN().generator_cost().multiply_adds == by_hand
    assert WaveGAN().critic_cost().multiply_adds == by_hand - 100 * 16 * 1024 + 16 * 1024


ABSURD = {
    "channels": (WaveGAN, {"clip_length": 4096, "channels": 20_000, "dim": 1, "kernel_length": 1, "latent_size": 1}),
    "channels of images": (SpecGAN, {"channels": 5000, "dim": 1}),
    "channels and length": (WaveGAN, {"clip_length": 262144, "channels": 65, "dim": 1}),
    "d": (WaveGAN, {"dim": 100_000}),
    "d without end": (WaveGAN, {"dim": 10**400}),
    "d of images": (SpecGAN, {"dim": 100_000}),
    "taps": (WaveGAN, {"kernel_length": 10**9}),
    "a latent": (WaveGAN, {"latent_size": 10**12}),
    "length of images": (SpecGAN, {"clip_length": 2**40, "dim": 1}),
    "the window": (SpecGAN, {"window_length": 2**30, "dim": 1}),
    "windows and hops": (SpecGAN, {"window_length": 2**17, "hop_length": 1, "clip_length": 32, "dim": 1}),
    "iterations": (SpecGAN, {"griffin_lim_iterations": 10**9}),
    "iterations behind a network": (SpecGAN, {"inversion_dim": 1, "inversion_iterations": 10**9}),
    "iterations of many channels": (
        SpecGAN,
        {"griffin_lim_iterations": 9999, "channels": 64, "clip_length": 262144, "dim": 1},
    ),
    "iterations of many channels, longer than a minute": (SpecGAN, {"griffin_lim_iterations": 10_000, "channels": 64}),
    "taps behind": (WaveGAN, {"clip_length": 262144, "post_filter_length": 200_000}),
    "a million samples, one by one": (WaveNet, {"clip_length": 1048576}),
    "width of the inversion": (SpecGAN, {"inversion_dim": 10**6}),
    "layers and length": (WaveNet, {"clip_length": 1048576, "dim": 1, "layers": 200, "cycle": 1}),
    "layers": (WaveNet, {"clip_length": 256, "dim": 1, "skip_dim": 1, "layers": 512, "cycle": 1, "levels": 2}),
    "rings": (WaveNet, {"clip_length": 256, "dim": 100, "layers": 300, "cycle": 14}),
}


@pytest.mark.parametrize(("model", "sizes"), ABSURD.values(), ids=ABSURD)
def test_what_sizes_come_to_together_is_refused_in_one_line(model, sizes):
    with pytest.raises(UsageError, match=r"at most|may have|too long") as caught:
        require_affordable(model(**sizes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        (262144, 2, 8000),
        (262144, 2, 96_000),
        (1048576, 1, 8000),
        (262144, 2, 8000, 96_000),
        (262144, 64, 16_000, 48_000),
    ],
)
def test_sounds_at_usual_rates_are_played(arguments):
    require_playable(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        (4096, 1, 1),
        (4096, 1, 0),
        (4096, 1, -8000),
        (4096, 1, 10**400),
        (1048576, 1, 1000),
        (4096, 1, 16_000, 10**9),
        (262144, 64, 1000, 384_000),
    ],
)
def test_sounds_of_hours_and_rates_of_no_device_are_refused_in_one_line(arguments):
    with pytest.raises(UsageError, match=r"rate|at most") as caught:
        require_playable(*arguments)
    assert len(str(caught.value)) < 600
