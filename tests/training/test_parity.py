"""Losses, gradients and whole training steps give the numbers of the authors' TensorFlow code."""

import re

import numpy as np
import pytest
import torch

from fauxley.export.tensorflow import convert, specgan_variables, to_tensorflow, wavegan_variables
from fauxley.models.architecture import Critic
from fauxley.models.convolution import input_gradients
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.training.objectives import LeastSquares, NonSaturating, Wasserstein, WassersteinGP
from fauxley.training.optimizers import Adam, RMSProp
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

# The official code's name of a loss → that loss and its optimiser here.
OBJECTIVES = {
    "dcgan": (NonSaturating, Adam(learning_rate=2e-4, beta2=0.999)),
    "lsgan": (LeastSquares, RMSProp(learning_rate=1e-4)),
    "wgan": (Wasserstein, RMSProp(learning_rate=5e-5)),
    "wgan-gp": (WassersteinGP, Adam()),
}


class RecordedDraws(Draws):
    """Gives out recorded numbers instead of drawing."""

    def __init__(self, z=None, alpha=None, phases=()):
        super().__init__(0)
        self.z, self.alpha, self.phases = z, alpha, list(map(int, phases))

    def latents(self, count, size):
        assert self.z.shape == (count, size)
        return torch.from_numpy(self.z)

    def interpolation(self, count):
        return torch.from_numpy(self.alpha.reshape(count))

    def shifts(self, layers, count, radius, per_example):
        taken, self.phases = self.phases[:layers], self.phases[layers:]
        assert len(taken) == layers
        return torch.tensor(taken, dtype=torch.int64)[:, None].expand(layers, count)


class Official:
    """The two networks with the recorded variables, and where each tensor has its counterpart."""

    def __init__(self, recorded, optimizer):
        cfg, variables = recorded.cfg, recorded.variables()
        if "D/downconv_0/conv2d/kernel" in variables:
            architecture = SpecGAN(
                dim=cfg["dim"],
                kernel_length=variables["D/downconv_0/conv2d/kernel"].shape[0],
                latent_size=cfg["latent_dim"],
                batch_norm=cfg.get("use_batchnorm", False),
            )
            names_of_both = specgan_variables(architecture)
        else:
            clip_length, channels = recorded["x"].shape[-2:]
            architecture = WaveGAN(
                clip_length=clip_length,
                channels=channels,
                dim=cfg["dim"],
                kernel_length=variables["D/downconv_0/conv1d/kernel"].shape[0],
                latent_size=cfg["latent_dim"],
                batch_norm=cfg.get("use_batchnorm", False),
                phase_shuffle=cfg.get("phaseshuffle_rad", 0),
            )
            names_of_both = wavegan_variables(architecture)
        self.state = TrainingState.new(architecture, optimizer, False, 0, torch.device("cpu"))
        self.tensors = {}
        networks = self.state.networks.values()
        for network, names in zip(networks, names_of_both, strict=True):
            network.load_state_dict(convert(variables, names))
            network.train()
            named = network.state_dict(keep_vars=True)
            self.tensors |= {variable: named[name] for name, variable in names.items()}
        # A bias in front of a batch norm has no effect: its gradient is rounding noise.
        normalized = {name.rsplit("/", 2)[0] for name in variables if name.endswith("batch_normalization/gamma")}
        self.meaningless = {
            name for name in variables if name.endswith("bias") and name.rsplit("/", 2)[0] in normalized
        }

    def gradients(self, player):
        found = {name: p.grad for name, p in self.tensors.items() if name.startswith(player) and p.requires_grad}
        assert all(gradient is not None for gradient in found.values())
        return {name: to_tensorflow(gradient, name) for name, gradient in found.items()}


def features(x):
    """Official audio (B, T, C) as (B, C, T), spectrograms (B, frames, bins, 1) as (B, 1, bins, frames)."""
    return torch.from_numpy(np.ascontiguousarray(x.swapaxes(1, -1)))


def real_batch(recorded, update):
    """What a critic update looked at; spectrograms are recorded once each and referred to by number."""
    return features(recorded["X"][recorded["x_index"][update]] if "x_index" in recorded else recorded["x"][update])


def assert_gradients(recorded, prefix, ours, leave_out):
    compared = set()
    for variable, stride, expected in recorded.group(prefix):
        if variable not in leave_out:
            actual = ours[variable].reshape(-1)[::stride]
            tolerance = 5e-5 * (np.abs(expected).max() or 1e-2)
            np.testing.assert_allclose(actual, expected.reshape(-1), rtol=0, atol=tolerance, err_msg=variable)
        compared.add(variable)
    assert compared == set(ours)


@pytest.mark.parity("losses")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_parity_losses_and_gradients(recorded, name):
    if f"{name}/D_loss" not in recorded.own:
        pytest.skip(f"{name} is not in {recorded.name}")
    make_objective, optimizer = OBJECTIVES[name]
    official = Official(recorded, optimizer)
    generator, critic = official.state.networks.values()
    objective, real = make_objective(1), features(recorded["x"])
    phases = recorded.get("phases", ())
    draws = RecordedDraws(recorded["z"], recorded["alpha"], phases)
    fake = generator(draws.latents(*recorded["z"].shape))

    loss = objective.critic_loss(critic, real, fake.detach(), draws)
    loss.total.backward()

    assert not draws.phases
    expected = {"D_loss": loss.total, "D_x": loss.real, "D_G_z": loss.fake, "gradient_penalty": loss.penalty}
    rounding = 1e-5 * np.abs([recorded.own[f"{name}/D_x"], recorded.own[f"{name}/D_G_z"]]).max()  # where scores cancel
    for key, ours in expected.items():
        if f"{name}/{key}" in recorded.own:
            official_value = recorded.own[f"{name}/{key}"]
            np.testing.assert_allclose(ours.detach(), official_value, rtol=1e-5, atol=rounding, err_msg=key)
    assert_gradients(recorded, f"{name}/dD", official.gradients("D/"), official.meaningless)

    # The official code differentiates the same scores of D(G(z)): the second set of shifts.
    draws = RecordedDraws(phases=phases[critic.shuffled_layers : 2 * critic.shuffled_layers])
    loss = objective.generator_loss(critic, real, fake, draws)
    loss.backward()
    np.testing.assert_allclose(loss.detach(), recorded.own[f"{name}/G_loss"], rtol=1e-5, atol=rounding)
    group = "wgan-gp" if name == "wgan" else name  # the same loss, recorded once
    assert_gradients(recorded, f"{group}/dG", official.gradients("G/"), official.meaningless)


@pytest.mark.parity("losses")
def test_parity_slopes_of_the_gradient_penalty(recorded):
    official = Official(recorded, Adam())
    critic: Critic = official.state.networks["critic"]
    real = features(recorded["x"])
    with torch.no_grad():
        fake = official.state.generator(torch.from_numpy(recorded["z"]))
    alpha = torch.from_numpy(recorded["alpha"]).view(-1, *[1] * (real.dim() - 1))
    between = torch.lerp(real, fake, alpha).requires_grad_()
    phases = recorded["phases"][-critic.shuffled_layers :] if critic.shuffled_layers else ()
    (scores,) = critic.score(between, draws=RecordedDraws(phases=phases))
    (gradient,) = input_gradients(scores, between)
    expected = recorded["wgan-gp/D_interp"]
    np.testing.assert_allclose(scores.detach(), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(
        gradient.detach().flatten(1).norm(dim=1), recorded["wgan-gp/slopes"].reshape(-1), rtol=1e-5
    )


@pytest.mark.parity("optim")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_parity_training_steps(recorded, name):
    """Whole steps of several critic updates and one of the generator: the change of every weight, and Adam's state."""
    if not any(key.startswith(f"{name}/after") for key in recorded.own):
        pytest.skip(f"{name} is not in {recorded.name}")
    make_objective, optimizer = OBJECTIVES[name]
    official = Official(recorded, optimizer)
    loops, critic_steps = recorded.cfg["nloops"], recorded.cfg["disc_nupdates"]
    z, alpha = recorded["z"], recorded["alpha"]

    for loop in range(loops):
        update = loop * critic_steps
        batches = [real_batch(recorded, update + number) for number in range(critic_steps)]

        def draws(number, loop=loop, update=update):
            latents = z[loop * (critic_steps + 1) + number]
            return RecordedDraws(latents, alpha[update + number] if number < critic_steps else None)

        train_step(official.state, make_objective(critic_steps), batches, draws)

    assert official.state.step == recorded.own.get(f"{name}/slots/global_step", loops)
    assert_changes(recorded, name, official, optimizer.learning_rate)
    assert_slots(recorded, name, official)


def assert_changes(recorded, name, official, learning_rate):
    before = recorded.variables()
    for variable, stride, after in recorded.group(f"{name}/after"):
        if variable in official.meaningless:
            continue
        start, after = before[variable].reshape(-1)[::stride], after.reshape(-1)
        if variable not in official.tensors:  # statistics of the critic, which it never uses nor updates
            np.testing.assert_array_equal(after, start)
            continue
        ours = to_tensorflow(official.tensors[variable], variable).reshape(-1)[::stride]
        if "/moving_" in variable:
            np.testing.assert_allclose(ours, after, atol=1e-5, rtol=0)
        elif variable == "D/output/dense/bias" and name == "wgan-gp":  # its gradient is exactly zero
            assert np.abs(ours - start).max() < 1e-3 * learning_rate
        else:
            # Single elements of the last bias can cancel exactly, and Adam then makes steps of rounding.
            cancels = re.search(r"D/downconv_\d+/.*(bias|beta)$", variable)
            fair = np.abs(ours - after) < (0.05 if cancels else 0.5) * learning_rate
            assert fair.mean() > (0.95 if cancels else 0.999)
            change = np.linalg.norm((after - start)[fair])
            assert np.linalg.norm((ours - after)[fair]) <= 1e-3 * change, variable


def assert_slots(recorded, name, official):
    """What the optimisers remember: means of gradients and of their squares."""
    moments = {"Adam": "exp_avg", "Adam_1": "exp_avg_sq", "RMSProp": "mean_square"}
    compared, recorded_slots = 0, 0
    for slot, stride, expected in recorded.group(f"{name}/slots"):
        variable, _, moment = slot.rpartition("/")
        recorded_slots += moment in moments
        if moment not in moments or variable in official.meaningless or variable == "D/output/dense/bias":
            continue
        player = official.state.optimizers["generator" if variable.startswith("G/") else "critic"]
        ours = to_tensorflow(player.state[official.tensors[variable]][moments[moment]], variable)
        difference = ours.reshape(-1)[::stride] - expected.reshape(-1)
        assert np.linalg.norm(difference) < 1e-3 * np.linalg.norm(expected), slot
        compared += 1
    assert compared or not recorded_slots
