"""The network that finds phases: what it must give whatever its weights are."""

import json

import pytest
import torch

from fauxley.errors import FauxleyError, UsageError
from fauxley.models.draws import Draws
from fauxley.models.phase_inversion import LearnedInversion, initialize_inversion
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.signal.stft import stft

SMALL = {"dim": 1, "latent_size": 5, "clip_length": 4096}
LEARNED = {**SMALL, "inversion_dim": 8, "inversion_layers": 2}


def make(window_length=256, hop_length=128, iterations=0):
    return initialize_inversion(LearnedInversion(window_length, hop_length, 8, 2, iterations), Draws(0))


def model(**changed):
    architecture = SpecGAN(**{**LEARNED, **changed})
    representation = architecture.representation()
    representation.fit([0.1 * torch.randn(4, 1, 4096, generator=torch.Generator().manual_seed(0))])
    representation.inversion = architecture.inversion(Draws(3))
    return Synthesizer(architecture, architecture.generator(Draws(0)), representation, 16000)


def noise(*shape):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


# Griffin-Lim divides by magnitudes, small ones too, and its momentum carries the rounding on.
@pytest.mark.parametrize(("iterations", "tolerance"), [(0, 1e-6), (2, 5e-3)])
@pytest.mark.parametrize(("window_length", "hop_length"), [(256, 128), (256, 64), (1024, 256), (128, 96)])
def test_the_true_phases_give_the_sound_back(window_length, hop_length, iterations, tolerance):
    audio = noise(2, 2, 4096)
    spectrum = stft(audio, window_length, hop_length)
    back = make(window_length, hop_length, iterations).invert(spectrum.abs(), spectrum.angle())
    # At the very beginning there is only the first window's foot.
    inside = slice(window_length // 2, 4096 - window_length)
    torch.testing.assert_close(back[..., inside], audio[..., inside], rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("window_length", "hop_length", "shape"),
    [(256, 128, (2, 1, 32, 129)), (256, 128, (1, 2, 1, 129)), (1024, 256, (3, 2, 7, 513)), (128, 96, (1, 1, 50, 65))],
)
def test_any_number_of_frames_channels_and_clips(window_length, hop_length, shape):
    magnitude = noise(*shape).abs()
    audio = make(window_length, hop_length)(magnitude)
    assert audio.shape == (*shape[:2], (shape[2] - 1) * hop_length + window_length)
    for clip in range(shape[0]):
        for channel in range(shape[1]):
            alone = make(window_length, hop_length)(magnitude[clip, channel].view(1, 1, *shape[2:]))
            torch.testing.assert_close(alone[0, 0], audio[clip, channel], rtol=1e-3, atol=1e-5)


def test_the_magnitudes_are_kept_and_levels_carry_over():
    inversion, magnitude = make(), noise(1, 1, 20, 129).abs()
    torch.testing.assert_close(inversion(100 * magnitude), 100 * inversion(magnitude), rtol=1e-3, atol=1e-4)
    assert torch.isfinite(inversion(torch.zeros(1, 1, 20, 129))).all()
    assert inversion(torch.zeros(1, 1, 20, 129)).abs().max() == 0


def test_no_phase_is_a_click_at_the_centre_of_each_frame():
    inversion = make(hop_length=256)
    with torch.no_grad():
        inversion.head.weight.zero_()
        inversion.head.bias[:129] = 1
    audio = inversion(torch.ones(1, 1, 3, 129))[0, 0]
    clicks = torch.zeros(768)
    clicks[128::256] = 1
    torch.testing.assert_close(audio, clicks, rtol=0, atol=1e-5)


@pytest.mark.parametrize("iterations", [0, 3])
def test_gradients_reach_the_magnitudes_and_all_weights(iterations):
    inversion, magnitude = make(iterations=iterations), noise(1, 1, 20, 129).abs().requires_grad_()
    inversion(magnitude).square().sum().backward()
    assert torch.isfinite(magnitude.grad).all()
    assert (magnitude.grad != 0).float().mean() > 0.9
    for name, parameter in inversion.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_initial_weights_are_a_function_of_the_draws():
    first, again = make().state_dict(), make().state_dict()
    other = initialize_inversion(LearnedInversion(256, 128, 8, 2), Draws(1)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert first["head.weight"].std() == pytest.approx(0.02, rel=0.1)
    assert all(not value.any() for name, value in first.items() if name.endswith("bias"))


def test_a_model_with_a_network_comes_back_bit_for_bit(tmp_path):
    made = model(inversion_iterations=1)
    loaded = Synthesizer.from_pretrained(made.save(tmp_path / "model"))
    assert torch.equal(loaded.generate(2), made.generate(2))
    assert loaded.generate(2).shape == (2, 1, 4096)


def test_griffin_lim_can_be_had_again_as_it_was():
    learned, plain = model(), model(inversion_dim=0)
    assert not torch.equal(learned.generate(1), plain.generate(1))
    learned.representation.use_griffin_lim()
    assert torch.equal(learned.generate(1), plain.generate(1))
    plain.representation.use_griffin_lim()
    assert torch.equal(learned.generate(1), plain.generate(1))


def test_a_folder_without_the_fields_of_a_network_is_griffin_lims(tmp_path):
    made = model(inversion_dim=0)
    folder = made.save(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    for name in ("inversion_dim", "inversion_layers", "inversion_iterations"):
        del config["architecture"][name]
    (folder / "config.json").write_text(json.dumps(config))
    assert torch.equal(Synthesizer.from_pretrained(folder).generate(1), made.generate(1))


@pytest.mark.parametrize(
    ("name", "value"),
    [("inversion_dim", 16), ("inversion_dim", 0), ("inversion_layers", 3), ("inversion_layers", 10**9)],
)
def test_sizes_that_are_not_those_of_the_weights_are_refused(tmp_path, name, value):
    folder = model().save(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["architecture"][name] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(FauxleyError, match="not a usable model"):
        Synthesizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "options", [{"inversion_dim": -1}, {"inversion_layers": 0}, {"inversion_layers": 65}, {"inversion_iterations": -1}]
)
def test_impossible_sizes_are_refused_in_one_line(options):
    with pytest.raises(UsageError, match="got") as caught:
        SpecGAN(**options)
    assert "\n" not in str(caught.value)
