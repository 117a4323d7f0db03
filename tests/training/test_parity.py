"""Losses, gradients and whole training steps give the numbers of the authors' TensorFlow code.

Adam divides by the size of the gradients, so where a gradient is zero but for rounding, rounding becomes a step of full
size, and two correct programs part. Under Wasserstein losses that is so by analysis, not by accident: the gradient of a
bias of the critic's last layers is a sum over real clips minus the same sum over generated ones. For the output's bias
the sums are 1 and 1; for a bias before it they are equal in every channel whose units are switched alike by both
batches, and the gradient penalty does not depend on either. `Rounding` tells these elements from the others.
"""

import copy
import functools
from typing import cast

import numpy as np
import pytest
import torch

from fauxley import kernels
from fauxley.interop.variables import convert, specgan_variables, wavegan_variables
from fauxley.models.critic import Critic
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.training.objectives import LeastSquares, NonSaturating, Wasserstein, WassersteinGP
from fauxley.training.optimizers import Adam, RMSProp
from fauxley.training.state import TrainingState
from fauxley.training.step import Updater, train_step

from ..interop.bundles import to_tensorflow  # noqa: TID252 - importlib mode has no package `tests`

# The official code's name of a loss → that loss and its optimiser here.
OBJECTIVES = {
    "dcgan": (NonSaturating, Adam(learning_rate=2e-4, beta2=0.999)),
    "lsgan": (LeastSquares, RMSProp(learning_rate=1e-4)),
    "wgan": (Wasserstein, RMSProp(learning_rate=5e-5)),
    "wgan-gp": (WassersteinGP, Adam()),
}


@pytest.fixture(autouse=True, params=["plain", "fast"])
def implementation(request):
    """Both implementations of the kernels give the official numbers."""
    with kernels.use(request.param):
        yield


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
            architecture: SpecGAN | WaveGAN = SpecGAN(
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
    generator_loss = objective.generator_loss(critic, real, fake, draws)
    generator_loss.backward()
    np.testing.assert_allclose(generator_loss.detach(), recorded.own[f"{name}/G_loss"], rtol=1e-5, atol=rounding)
    group = "wgan-gp" if name == "wgan" else name  # the same loss, recorded once
    assert_gradients(recorded, f"{group}/dG", official.gradients("G/"), official.meaningless)


@pytest.mark.parity("losses")
def test_parity_slopes_of_the_gradient_penalty(recorded):
    official = Official(recorded, Adam())
    critic = cast(Critic, official.state.networks["critic"])
    real = features(recorded["x"])
    with torch.no_grad():
        fake = official.state.generator(torch.from_numpy(recorded["z"]))
    alpha = torch.from_numpy(recorded["alpha"]).view(-1, *[1] * (real.dim() - 1))
    between = torch.lerp(real, fake, alpha).requires_grad_()
    phases = recorded["phases"][-critic.shuffled_layers :] if critic.shuffled_layers else ()
    (scores,) = critic.score(between, draws=RecordedDraws(phases=phases))
    (gradient,) = torch.autograd.grad(scores.sum(), between)
    expected = recorded["wgan-gp/D_interp"]
    np.testing.assert_allclose(scores.detach(), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(
        gradient.detach().flatten(1).norm(dim=1), recorded["wgan-gp/slopes"].reshape(-1), rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parity("optim")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_parity_training_steps(recorded, name):
    """Whole steps of several critic updates and one of the generator: the change of every weight, and Adam's state."""
    if not any(key.startswith(f"{name}/after") for key in recorded.own):
        pytest.skip(f"{name} is not in {recorded.name}")
    make_objective, optimizer = OBJECTIVES[name]
    official, rounding = Official(recorded, optimizer), Rounding()
    loops, critic_steps = recorded.cfg["nloops"], recorded.cfg["disc_nupdates"]
    z, alpha = recorded["z"], recorded["alpha"]

    for loop in range(loops):
        update = loop * critic_steps
        batches = [real_batch(recorded, update + number) for number in range(critic_steps)]

        def draws(number, loop=loop, update=update):
            latents = z[loop * (critic_steps + 1) + number]
            return RecordedDraws(latents, alpha[update + number] if number < critic_steps else None)

        train_step(official.state, make_objective(critic_steps), batches, draws, updater=rounding)

    assert official.state.step == recorded.own.get(f"{name}/slots/global_step", loops)
    assert_changes(recorded, name, official, rounding, optimizer.learning_rate)
    assert_slots(recorded, name, official, rounding)


def assert_changes(recorded, name, official, rounding, learning_rate):
    before = recorded.variables()
    for variable, stride, after in recorded.group(f"{name}/after"):
        if variable in official.meaningless:
            continue
        start, after = before[variable].reshape(-1)[::stride], after.reshape(-1)
        if variable not in official.tensors:  # statistics of the critic, which it never uses nor updates
            np.testing.assert_array_equal(after, start)
            continue
        tensor = official.tensors[variable]
        ours = to_tensorflow(tensor, variable).reshape(-1)[::stride]
        if "/moving_" in variable:
            np.testing.assert_allclose(ours, after, atol=1e-5, rtol=0)
            continue
        told = to_tensorflow(rounding.told[tensor], variable).reshape(-1)[::stride] > 0
        assert_same_change(ours, after, start, told, rounding.updates[tensor], learning_rate, variable)


def assert_same_change(ours, theirs, start, told, updates, learning_rate, name):
    """Weights (N,) changed alike where their gradients tell how (`told`), elsewhere by no more than Adam can."""
    assert np.linalg.norm((ours - theirs)[told]) <= 1e-3 * np.linalg.norm((theirs - start)[told]), name
    most = 1.6 * updates * learning_rate  # of one; (1 - β1) / √(1 - β2) is 1.58
    assert (np.abs(ours - theirs)[~told] <= 2 * most).all(), name


def assert_slots(recorded, name, official, rounding):
    """What the optimisers remember: means of gradients and of their squares."""
    moments = {"Adam": "exp_avg", "Adam_1": "exp_avg_sq", "RMSProp": "mean_square"}
    compared, recorded_slots = 0, 0
    for slot, stride, expected in recorded.group(f"{name}/slots"):
        variable, _, moment = slot.rpartition("/")
        recorded_slots += moment in moments
        if moment not in moments or variable in official.meaningless:
            continue
        player = official.state.optimizers["generator" if variable.startswith("G/") else "critic"]
        tensor = official.tensors[variable]
        ours = to_tensorflow(player.state[tensor][moments[moment]], variable)
        difference = ours.reshape(-1)[::stride] - expected.reshape(-1)
        noise = _ROUNDING * rounding.size[tensor] * np.sqrt(expected.size)
        noise = noise if moment == "Adam" else noise * _ROUNDING * rounding.size[tensor]
        assert np.linalg.norm(difference) < 1e-3 * np.linalg.norm(expected) + noise, slot
        compared += 1
    assert compared or not recorded_slots


# Of the terms that a gradient is the sum of: a few times the rounding of float32, 6e-8.
_ROUNDING = 2**-22
# A step is lr · m / √v, so an error e of the gradient moves the weight by lr · e / √v: where that is more than this
# part of lr, the gradient does not tell where the weight goes.
_UNTOLD = 0.01
# Nor where computing it in double precision moves the weight by more than this part: then the input of some leaky ReLU
# is zero but for rounding, and its slope, either of two, decides.
_UNDECIDED = 0.005


class Rounding(Updater):
    """Carries out updates and notes which elements' gradients are above rounding.

    The terms of a critic's gradient are those of the real and of the generated clips' scores; they may cancel. Rounding
    is as large as the terms are, not as their sum.

    Attributes:
        told: 1 for each element of a weight whose steps were all told by its gradients, else 0.
        size: largest element of the terms of a weight's gradient, in any update.
        updates: how often a weight was updated.
    """

    def __init__(self):
        self.told, self.size, self.updates = {}, {}, {}

    def update(self, state, update, real, draws, accumulate, ranks):
        terms = [
            _gradients(state, update, real, draws(), lambda loss: loss.values.get("score_real", loss.total).mean()),
            _gradients(state, update, real, draws(), lambda loss: loss.values.get("score_fake", loss.total).mean()),
        ]
        single, double = (_gradients(state, update, real, draws(), lambda loss: loss.total, kind) for kind in _KINDS)
        found = super().update(state, update, real, draws, accumulate, ranks)
        weights, optimizer = state.networks[update.network].parameters(), state.optimizers[update.network]
        for number, weight in enumerate(weights):
            largest = max(float(term[number].abs().max()) for term in terms)
            self.size[weight] = max(self.size.get(weight, 0.0), largest)
            kept = optimizer.state[weight]
            root = (kept["exp_avg_sq"] if "exp_avg_sq" in kept else kept["mean_square"]).sqrt()
            error = (single[number] - double[number]).abs()
            told = ((_ROUNDING * largest <= _UNTOLD * root) & (error <= _UNDECIDED * root)).to(weight.dtype)
            self.told[weight] = self.told.get(weight, 1) * told
            self.updates[weight] = self.updates.get(weight, 0) + 1
        return found


_KINDS = torch.float32, torch.float64


class InPrecision:
    """The same random numbers in another precision."""

    def __init__(self, draws, kind):
        self._draws, self._kind = draws, kind

    def __getattr__(self, name):
        def draw(*args, **options):
            values = getattr(self._draws, name)(*args, **options)
            return values.to(self._kind) if isinstance(values, torch.Tensor) and values.is_floating_point() else values

        return draw


def _gradients(state, update, real, draws, term, kind=torch.float32):
    """Gradients of a part of an update's loss in the weights, found apart: passes move the statistics of batch norm."""
    networks = {name: copy.deepcopy(network).to(kind) for name, network in state.networks.items()}
    part = term(update.loss(networks, real.to(kind), InPrecision(draws, kind)))
    return torch.autograd.grad(part, list(networks[update.network].parameters()))


class TwoHalves(Draws):
    """Random numbers for a batch, or for the same clips in the opposite order."""

    def __init__(self, seed, update, opposite):
        super().__init__(seed, update)
        self.opposite = opposite

    def latents(self, count, size):
        return self._ordered(super().latents(count, size))

    def interpolation(self, count):
        return self._ordered(super().interpolation(count))

    def _ordered(self, values):
        return values.flip(0) if self.opposite else values


@pytest.mark.slow
@pytest.mark.parametrize("objective", [Wasserstein(2), WassersteinGP(2)])
@pytest.mark.parametrize("seed", range(6))
def test_where_gradients_are_above_rounding_the_order_of_a_batch_does_not_matter(objective, seed):
    """Two correct programs that round otherwise: the rule by which official numbers are compared holds for them."""
    architecture = WaveGAN(clip_length=4096, dim=2, latent_size=4, phase_shuffle=0)
    real = 0.3 * torch.from_numpy(np.random.default_rng(seed).standard_normal((4, 1, 4096), np.float32))
    optimizer, rounding, networks = Adam(), Rounding(), []
    start = architecture.networks(seed)["critic"].state_dict()
    for opposite in (True, False):
        state = TrainingState.new(architecture, optimizer, False, seed, torch.device("cpu"))
        for step in range(2):
            batches = [real.flip(0) if opposite else real] * 2
            draws = functools.partial(_draws, seed, step, opposite)
            train_step(state, objective, batches, draws, updater=None if opposite else rounding)
        networks.append(state.networks["critic"].state_dict(keep_vars=True))
    kept = []
    for name, ours in networks[1].items():
        told = rounding.told[ours].numpy() > 0
        arrays = (ours.detach().numpy(), networks[0][name].detach().numpy(), start[name].numpy())
        assert_same_change(*arrays, told, rounding.updates[ours], optimizer.learning_rate, name)
        kept.append(told.ravel())
        if name.endswith("weight"):
            assert told.mean() > 0.98, name
    assert np.concatenate(kept).mean() > 0.98


def _draws(seed, step, opposite, number):
    return TwoHalves(seed, 10 * step + number, opposite)


def test_gradients_that_cancel_are_told_from_those_that_do_not():
    """A channel whose units are all switched on by any clip, and the bias behind: sums over real minus over fake."""
    state = TrainingState.new(WaveGAN(4096, dim=2, latent_size=4), Adam(), False, 0, torch.device("cpu"))
    critic = state.networks["critic"]
    last = [parameter for name, parameter in critic.named_parameters() if name.endswith("bias")][-2:]
    with torch.no_grad():
        last[0][0] = 100.0
    rounding, real = Rounding(), 0.3 * torch.randn(4, 1, 4096, generator=torch.manual_seed(0))
    for objective, cancels in ((WassersteinGP(1), True), (NonSaturating(1), False)):
        rounding.told.clear()
        train_step(state, objective, [real], lambda number: Draws(number), updater=rounding)
        assert (rounding.told[last[1]] == 0).all() == cancels  # the output's bias
        assert (rounding.told[last[0]][0] == 0) == cancels
        assert rounding.told[last[0]].mean() > 0.5
