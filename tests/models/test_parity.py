"""The networks give the numbers of the authors' TensorFlow code."""

import copy
import re

import numpy as np
import pytest
import torch

from fauxley import kernels
from fauxley.interop.variables import convert, specgan_variables, wavegan_variables
from fauxley.kernels import phase_shuffle
from fauxley.models.draws import Draws
from fauxley.models.layers import CubicUpsampling2d, LinearUpsampling2d, NearestUpsampling2d
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.signal.stft import stft

from ..interop.bundles import to_tensorflow  # noqa: TID252 - importlib mode has no package `tests`

UPSAMPLING = {"zeros": "zeros", "nn": "nearest", "linear": "linear", "cubic": "cubic"}
RESIZES = {"nn": NearestUpsampling2d, "linear": LinearUpsampling2d, "cubic": CubicUpsampling2d}


@pytest.fixture(autouse=True, params=["plain", "fast"])
def implementation(request):
    """Both implementations of the kernels give the official numbers."""
    with kernels.use(request.param):
        yield


def architecture_of(cfg):
    if "slice_len" not in cfg:
        return SpecGAN(
            dim=cfg["dim"],
            kernel_length=cfg["kernel_len"],
            latent_size=cfg.get("latent_dim", 100),
            upsampling=UPSAMPLING[cfg.get("upsample", "zeros")],
            batch_norm=cfg["use_batchnorm"],
        )
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


def variables_of(architecture):
    return (wavegan_variables if isinstance(architecture, WaveGAN) else specgan_variables)(architecture)


def channels_last(x):
    """Audio (B, C, T) as the official (B, T, C), spectrograms (B, C, bins, frames) as (B, frames, bins, C)."""
    return x.transpose(1, -1).detach().numpy()


def channels_first(x):
    """The inverse of `channels_last`."""
    return torch.from_numpy(x).transpose(1, -1).contiguous()


@pytest.mark.parity("wavegan_generator")
def test_parity_wavegan_generator(recorded):
    check_generator(recorded)


@pytest.mark.parity("specgan_generator")
def test_parity_specgan_generator(recorded):
    check_generator(recorded)


def check_generator(recorded):
    architecture = architecture_of(recorded.cfg)
    names, _ = variables_of(architecture)
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
def test_parity_wavegan_critic(recorded):
    check_critic(recorded)


@pytest.mark.parity("specgan_discriminator")
def test_parity_specgan_critic(recorded):
    check_critic(recorded)


def check_critic(recorded):
    architecture = architecture_of(recorded.cfg)
    _, names = variables_of(architecture)
    critic = architecture.critic(Draws(0))
    critic.load_state_dict(convert(recorded.variables(), names))
    x = channels_first(recorded["x"])
    shifts = torch.tensor([[int(phase)] * len(x) for phase in recorded["phases"]] if "phases" in recorded else [])

    scores, gradient = scores_and_gradient(critic, x, shifts)
    _, exact = scores_and_gradient(copy.deepcopy(critic).double(), x.double(), shifts)

    assert_close(scores, recorded["D_x"], 1e-5)
    for stride, expected in recorded.versions("dsumD_dx"):
        expected = expected.reshape(-1)
        ours, precise = (each.reshape(-1)[::stride] for each in (gradient, exact))
        # The input of a leaky ReLU may be zero but for rounding. Then its slope is either, which moves what that unit
        # sees: there the gradient in float32 or the one in float64 has to agree, which a wrong formula would not do.
        nearest = np.where(np.abs(ours - expected) <= np.abs(precise - expected), ours, precise)
        assert_close(nearest, expected, 1e-5)
        assert np.mean(np.abs(ours - expected) > 1e-5 * np.abs(expected).max()) < 0.01


def scores_and_gradient(critic, x, shifts):
    x = x.clone().requires_grad_()
    scores = critic(x, shifts)
    scores.sum().backward()
    return scores.detach().numpy(), channels_last(x.grad)


@pytest.mark.parity("phaseshuffle")
def test_parity_phase_shuffle(recorded):
    x = torch.from_numpy(recorded["x"])
    cases = {name: int(match[1]) for name in recorded.own if (match := re.search(r"_phase([+-]\d+)$", name))}
    assert cases
    for name, shift in cases.items():
        np.testing.assert_array_equal(
            phase_shuffle(x, torch.tensor([shift] * len(x)), abs(shift)).numpy(), recorded[name], err_msg=name
        )


@pytest.mark.parity("resize")
@pytest.mark.parametrize("name", RESIZES)
def test_parity_resize(recorded, name):
    layer = RESIZES[name](3, 3, 5)
    resized = channels_last(layer.resize(channels_first(recorded["x"])))
    np.testing.assert_allclose(resized, recorded[f"y_{name}"], rtol=0, atol=1e-6)


@pytest.mark.parity("spec_audio", "front_end")
def test_parity_stft(recorded):
    (spectrum,) = stft(channels_first(recorded["x"][:1])[0], 256, 128).numpy()
    np.testing.assert_allclose(spectrum.real, recorded["stft_re_clip0"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(spectrum.imag, recorded["stft_im_clip0"], rtol=0, atol=1e-5)


def representation_of(recorded, iterations=16):
    representation = LogSpectrogram(recorded["x"].shape[1], iterations=iterations)
    representation.mean.copy_(torch.from_numpy(recorded["X_mean"]))
    representation.std.copy_(torch.from_numpy(recorded["X_std"]))
    return representation


@pytest.mark.parity("spec_audio", "front_end")
def test_parity_features(recorded):
    features = channels_last(representation_of(recorded).to_features(channels_first(recorded["x"])))
    difference = np.abs(features - recorded["X_norm"])
    assert difference.mean() < 5e-5
    assert difference.max() < 2e-2  # the logarithm of almost nothing magnifies the rounding of the transform


@pytest.mark.parity("spec_audio", "front_end")
@pytest.mark.parametrize(("image", "iterations"), [("x", 0), ("x", 1), ("x", 16), ("G", 16)])
def test_parity_griffin_lim(recorded, image, iterations):
    expected = recorded[f"gl_{image}_ngl{iterations}"]
    features = channels_first(recorded["X_norm" if image == "x" else "G_norm"])
    audio = channels_last(representation_of(recorded, iterations).to_audio(features))
    if iterations <= 1:
        assert_close(audio, expected, 1e-5)
    # Each iteration amplifies rounding: 110 dB at first, 84 dB measured after 16.
    for ours, theirs in zip(audio.astype(np.float64), expected.astype(np.float64), strict=True):
        assert np.square(theirs).sum() > 1e6 * np.square(ours - theirs).sum()


@pytest.mark.parity("spec_audio", "moments")
@pytest.mark.parametrize("name", ["first", "slices", "slicespad"])
def test_parity_moments(recorded, name):
    source = "first" if name == "first" else "slices"
    wavs = [values for key, values in recorded.own.items() if re.fullmatch(rf"{source}_wav\d+_int16", key)]
    representation = LogSpectrogram(16384)
    representation.fit(clip for wav in wavs for clip in clips_of(wav, name))
    np.testing.assert_allclose(representation.mean, recorded[f"{name}_mean"], rtol=0, atol=5e-3)
    np.testing.assert_allclose(representation.std, recorded[f"{name}_std"], rtol=0, atol=5e-3)


def clips_of(wav, name, length=16384):
    """One file cut as the fixture was: clips (1, 1, T), one after the other as a stream."""
    audio = wav.astype(np.float32) / 32768
    audio /= np.abs(audio).max()
    start, hop, pad = {"first": (0, length, True), "slices": (3000, 8192, False), "slicespad": (3000, length, True)}[
        name
    ]
    audio = audio[start:]
    ends = len(audio) if pad else len(audio) - length + 1
    for place in range(0, length if name == "first" else ends, hop):
        clip = audio[place : place + length]
        yield torch.from_numpy(np.pad(clip, (0, length - len(clip))))[None, None]


def assert_close(ours, expected, tolerance):
    """Within a tolerance relative to the largest of the expected numbers."""
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())
