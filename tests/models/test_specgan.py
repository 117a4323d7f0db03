"""SpecGAN: sizes, options, and the representation that makes it a model of sound."""

import pytest
import torch

from fauxley.errors import UsageError
from fauxley.models.draws import Draws
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer

SMALL = {"dim": 1, "latent_size": 5}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_papers_sizes():
    architecture = SpecGAN()
    assert architecture.grid == (4, 4)
    # Dense, then 25 weights and a bias per pair of channels; Table 5 and 6.
    convolutions = sum(25 * 2**i * 64 * 2 ** (i + 1) * 64 for i in range(4)) + 25 * 64
    biases = sum(2**i * 64 for i in range(5))
    assert count(architecture.critic(Draws(0))) == convolutions + biases + 16 * 1024 + 1
    generator = architecture.generator(Draws(0))
    assert count(generator) == convolutions + biases - 1024 + 1 + 101 * 16 * 1024


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (1, 128, 128)),
        ({"clip_length": 32768}, (1, 128, 256)),
        ({"clip_length": 65536, "channels": 2}, (2, 128, 512)),
        ({"window_length": 512, "hop_length": 256, "clip_length": 65536}, (1, 256, 256)),
        ({"window_length": 1024, "hop_length": 128}, (1, 512, 128)),
    ],
)
def test_longer_clips_and_other_windows(options, shape):
    architecture = SpecGAN(**SMALL, griffin_lim_iterations=1, **options)
    audio = torch.rand(1, architecture.channels, architecture.clip_length) - 0.5
    representation = architecture.representation()
    features = representation.to_features(audio)
    assert features.shape[1:] == shape
    generated = architecture.generator(Draws(0))(Draws(1).latents(2, 5))
    assert generated.shape == (2, *shape)
    assert architecture.critic(Draws(0))(generated, []).shape == (2,)
    assert representation.to_audio(generated).shape == (2, *audio.shape[1:])


@pytest.mark.parametrize("upsampling", ["zeros", "nearest", "linear", "cubic"])
@pytest.mark.parametrize("kernel_length", [1, 2, 4, 5])
def test_every_kernel_and_upsampling_keeps_the_size(upsampling, kernel_length):
    architecture = SpecGAN(**SMALL, upsampling=upsampling, kernel_length=kernel_length)
    features = architecture.generator(Draws(0))(Draws(1).latents(1, 5))
    assert features.shape == (1, 1, 128, 128)
    assert architecture.critic(Draws(0))(features, []).shape == (1,)


@pytest.mark.parametrize(
    "options",
    [
        {"clip_length": 16000},
        {"clip_length": 0},
        {"window_length": 100},
        {"window_length": 256, "hop_length": 512, "clip_length": 16384},
        {"hop_length": 0},
        {"griffin_lim_iterations": -1},
        {"griffin_lim_momentum": 1.0},
        {"phase_shuffle": 8},
        {"dim": 0},
    ],
)
def test_impossible_sizes_are_refused_in_one_line(options):
    with pytest.raises(UsageError) as caught:
        SpecGAN(**options)
    assert "\n" not in str(caught.value)
    assert "got" in str(caught.value)


def test_fitting_in_one_pass_gives_the_statistics_of_all_frames_together():
    torch.manual_seed(0)
    # A large offset, which would cancel all digits of a sum of squares in float32.
    audio = 1e-3 * torch.randn(7, 2, 2048) * torch.rand(7, 1, 1)
    fitted = LogSpectrogram(2048)
    fitted.fit(audio[first:last] for first, last in ((0, 1), (1, 4), (4, 7)))
    frames = fitted._logarithm(audio).double().flatten(0, 2)
    torch.testing.assert_close(fitted.mean.double(), frames.mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(fitted.std.double(), frames.std(0, correction=0), rtol=1e-5, atol=0)


def test_features_of_the_data_are_standardised_and_clipped():
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(16, 1, 4096)
    representation = LogSpectrogram(4096)
    representation.fit([audio])
    features = representation.to_features(audio)
    assert features.abs().max() <= 1
    assert features.mean().abs() < 0.01
    assert features.std() == pytest.approx(1 / 3, rel=0.05)
    assert representation.to_features(torch.zeros(1, 1, 4096)).min() == -1  # silence is far below


def test_silent_data_can_be_fitted_and_comes_back_silent():
    representation = LogSpectrogram(4096)
    silence = torch.zeros(2, 1, 4096)
    representation.fit([silence])
    back = representation.to_audio(representation.to_features(silence))
    assert torch.isfinite(back).all()
    assert back.abs().max() < 1e-4


def test_the_statistics_travel_with_the_model(tmp_path):
    architecture = SpecGAN(**SMALL, clip_length=4096)
    representation = architecture.representation()
    representation.fit([0.1 * torch.randn(4, 1, 4096)])
    model = Synthesizer(architecture, architecture.generator(Draws(0)), representation, 16000)
    loaded = Synthesizer.from_pretrained(model.save(tmp_path / "model"))
    assert torch.equal(loaded.representation.mean, representation.mean)
    assert torch.equal(loaded.generate(2), model.generate(2))
    assert loaded.generate(2).shape == (2, 1, 4096)
