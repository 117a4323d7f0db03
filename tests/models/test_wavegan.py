"""WaveGAN's networks: sizes, shapes, options, and what may not be asked for."""

import math

import numpy as np
import pytest
import torch

from fauxley.errors import UsageError
from fauxley.models.draws import Draws
from fauxley.models.wavegan import WaveGAN

CLIP_LENGTHS = [4096, 8192, 16384, 32768, 65536, 131072, 262144]
SMALL = {"clip_length": 4096, "dim": 2, "latent_size": 5}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def random_audio(architecture, batch=2, seed=0):
    torch.manual_seed(seed)
    return torch.rand(batch, architecture.channels, architecture.clip_length) * 2 - 1


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("clip_length", CLIP_LENGTHS)
def test_latents_become_clips_and_clips_scores(clip_length, channels):
    architecture = WaveGAN(clip_length, channels, dim=1, latent_size=3)
    draws = Draws(0)
    audio = architecture.generator(draws)(draws.latents(2, 3))
    (scores,) = architecture.critic(draws).score(audio, draws=draws)
    assert audio.shape == (2, channels, clip_length)
    assert audio.abs().max() <= 1
    assert scores.shape == (2,)
    assert torch.isfinite(scores).all()


@pytest.mark.parametrize("clip_length", CLIP_LENGTHS)
def test_strides_lead_from_sixteen_samples_to_the_clip(clip_length):
    architecture = WaveGAN(clip_length, dim=3)
    assert 16 * math.prod(architecture.strides) == clip_length
    assert set(architecture.strides[:-1]) == {4}
    assert architecture.widths == tuple(3 * 2**n for n in range(len(architecture.strides)))


def test_the_papers_model_has_the_papers_size():
    architecture = WaveGAN()
    assert round(count(architecture.generator(Draws(0))) / 1e6, 2) == 19.07
    assert round(count(architecture.critic(Draws(0))) / 1e6, 2) == 17.43


def test_upsampling_and_channels_change_only_what_they_must():
    zeros, nearest, stereo = (
        count(WaveGAN(**SMALL, **changed).generator(Draws(0)))
        for changed in ({}, {"upsampling": "nearest"}, {"channels": 2})
    )
    assert zeros == nearest
    assert stereo - zeros == 25 * 2 + 1


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"clip_length": 20000}, "20000"),
        ({"clip_length": 2048}, "4096"),
        ({"clip_length": 524288}, "262144"),
        ({"channels": 0}, "channels"),
        ({"dim": -1}, "dim"),
        ({"kernel_length": 0}, "kernel_length"),
        ({"latent_size": 0}, "latent_size"),
        ({"post_filter_length": -1}, "post_filter_length"),
        ({"phase_shuffle": -1}, "phase_shuffle"),
        ({"phase_shuffle": 64, "clip_length": 4096}, "less than 64"),
        ({"upsampling": "cubic"}, "zeros or nearest"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changed, named):
    with pytest.raises(UsageError, match=named) as caught:
        WaveGAN(**changed)
    assert "\n" not in str(caught.value)


def test_the_largest_phase_shuffle_that_is_allowed_works():
    architecture = WaveGAN(**SMALL, phase_shuffle=63)
    critic = architecture.critic(Draws(0))
    shifts = torch.tensor([[63, -63]] * critic.shuffled_layers)
    assert critic(random_audio(architecture), shifts).shape == (2,)


@pytest.mark.parametrize("taps", [1, 4, 512])
def test_post_filter_is_one_convolution_per_channel(taps):
    with_filter = WaveGAN(**SMALL, channels=2, post_filter_length=taps)
    generator = with_filter.generator(Draws(0))
    z = Draws(1).latents(3, 5)
    generator.requires_grad_(False)
    filtered = generator(z)
    post_filter, generator.post_filter = generator.post_filter, torch.nn.Identity()
    dry = generator(z)
    for channel in range(2):
        kernel = post_filter.weight[:, 0, channel].flip(0)
        full = np.stack([np.convolve(signal[channel], kernel) for signal in dry])
        expected = torch.from_numpy(full[:, taps // 2 : taps // 2 + 4096])
        torch.testing.assert_close(filtered[:, channel], expected, rtol=1e-4, atol=1e-6)


def test_stereo_channels_differ():
    audio = WaveGAN(**SMALL, channels=2).generator(Draws(0))(Draws(1).latents(1, 5))
    assert not torch.allclose(audio[:, 0], audio[:, 1])


@pytest.mark.parametrize("per_example", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_scoring_together_is_scoring_apart(batch_norm, per_example):
    """With batch normalisation examples mix, so real and generated must not be joined."""
    architecture = WaveGAN(**SMALL, batch_norm=batch_norm, phase_shuffle=4, phase_shuffle_per_example=per_example)
    critic = architecture.critic(Draws(0))
    first, second = random_audio(architecture, 3, seed=1), 0.1 * random_audio(architecture, 2, seed=2)

    together = critic.score(first, second, draws=Draws(7))

    draws = Draws(7)
    apart = [critic.score(batch, draws=draws)[0] for batch in (first, second)]
    for ours, expected in zip(together, apart, strict=True):
        torch.testing.assert_close(ours, expected)


def test_phase_shuffle_changes_scores_only_where_there_is_some():
    for radius, changes in ((0, False), (3, True)):
        architecture = WaveGAN(**SMALL, phase_shuffle=radius)
        critic = architecture.critic(Draws(0))
        audio = random_audio(architecture)
        scores = [critic.score(audio, draws=Draws(n))[0] for n in range(4)]
        assert all(torch.equal(scores[0], other) for other in scores[1:]) != changes


def test_generator_in_use_does_not_mix_the_batch_and_in_training_does():
    architecture = WaveGAN(**SMALL, batch_norm=True)
    generator = architecture.generator(Draws(0))
    z = Draws(1).latents(4, 5)
    in_training = generator(z)[:1], generator(z[:1])
    assert not torch.allclose(*in_training)
    generator.eval()
    torch.testing.assert_close(generator(z)[:1], generator(z[:1]))


def test_initial_weights_fill_glorots_interval_and_biases_are_zero():
    architecture = WaveGAN(4096, dim=8, latent_size=50)
    for network in (architecture.generator(Draws(3)), architecture.critic(Draws(3))):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                assert not parameter.any()
                continue
            taps = len(parameter) if parameter.dim() == 3 else 1
            limit = math.sqrt(6 / (taps * (parameter.shape[-2] + parameter.shape[-1])))
            assert 0.97 * limit < parameter.abs().max() <= limit, name
            assert abs(parameter.mean()) < 4 * limit / math.sqrt(3 * parameter.numel()), name


def test_initial_weights_follow_from_the_seed():
    weights = [torch.cat([p.flatten() for p in WaveGAN(**SMALL).critic(Draws(n)).parameters()]) for n in (5, 5, 6)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
