"""The networks give the numbers of the authors' TensorFlow code."""

import re

import numpy as np
import pytest
import torch

from fauxley.export.tensorflow import convert, to_tensorflow, wavegan_variables
from fauxley.models.draws import Draws
from fauxley.models.layers import phase_shuffle
from fauxley.models.wavegan import WaveGAN

UPSAMPLING = {"zeros": "zeros", "nn": "nearest"}


def architecture_of(cfg):
    return WaveGAN(
        clip_length=cfg["slice_len"],
        channels=cfg["nch"],
        dim=cfg["dim"],
        kernel_length=cfg["kernel_len"],
        latent_size=cfg.get("latent_dim", 100),
        upsampling=UPSAMPLING[cfg.get("upsample", "zeros")],
        batch_norm=cfg["use_batchnorm"],
        post_filter_length=cfg.get("pp_len", 0),
        phase_shuffle=cfg.get("phaseshuffle_rad", 0),
    )


def channels_last(x):
    return x.transpose(1, 2).detach().numpy()


@pytest.mark.parity("wavegan_generator")
def test_parity_generator(recorded):
    architecture = architecture_of(recorded.cfg)
    names, _ = wavegan_variables(architecture)
    generator = architecture.generator(Draws(0))
    generator.load_state_dict(convert(recorded.variables(), names))
    generator.train(recorded.cfg["train"])

    audio = channels_last(generator(torch.from_numpy(recorded["z"])))

    for stride, expected in recorded.versions("G_z"):
        ours = audio if stride > 1 else audio[: len(expected)]  # in full for the first items only
        ours = ours.reshape(-1)[::stride].reshape(expected.shape)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    after = dict(generator.named_buffers())
    official = {variable: name for name, variable in names.items()}
    for variable, _, expected in recorded.group("after"):
        ours = to_tensorflow(after[official[variable]], variable)
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5, err_msg=variable)


@pytest.mark.parity("wavegan_discriminator")
def test_parity_critic(recorded):
    architecture = architecture_of(recorded.cfg)
    _, names = wavegan_variables(architecture)
    critic = architecture.critic(Draws(0))
    critic.load_state_dict(convert(recorded.variables(), names))
    x = torch.from_numpy(recorded["x"]).transpose(1, 2).contiguous().requires_grad_()
    shifts = [[int(phase)] * len(x) for phase in recorded["phases"]] if "phases" in recorded else []

    scores = critic(x, shifts)
    scores.sum().backward()

    assert_close(scores.detach().numpy(), recorded["D_x"], 1e-5)
    gradient = channels_last(x.grad)
    for stride, expected in recorded.versions("dsumD_dx"):
        assert_close(gradient.reshape(-1)[::stride], expected.reshape(-1), 1e-5)


@pytest.mark.parity("phaseshuffle")
def test_parity_phase_shuffle(recorded):
    x = torch.from_numpy(recorded["x"])
    cases = {name: int(match[1]) for name in recorded.own if (match := re.search(r"_phase([+-]\d+)$", name))}
    assert cases
    for name, shift in cases.items():
        np.testing.assert_array_equal(phase_shuffle(x, [shift] * len(x)).numpy(), recorded[name], err_msg=name)


def assert_close(ours, expected, tolerance):
    """Within a tolerance relative to the largest of the expected numbers."""
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())
