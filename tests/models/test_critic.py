"""What someone adds to a critic is what trains: no shortcut goes round an override, a hook or another layer."""

import pytest
import torch
from torch import nn

from fauxley import kernels
from fauxley.models.critic import ConvolutionalCritic
from fauxley.models.draws import Draws
from fauxley.models.layers import ConvolutionLayer, Downsampling, Downsampling2d
from fauxley.models.network import initialize
from fauxley.models.specgan import SpecGAN, SpecGANCritic
from fauxley.models.wavegan import WaveGAN, WaveGANCritic
from fauxley.training.objectives import Hinge, Relativistic, WassersteinGP
from fauxley.training.optimizers import Adam
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

from .critics import critic_of, examples

ARCHITECTURES = {
    "wavegan": WaveGAN(4096, dim=2, phase_shuffle=0),
    "specgan": SpecGAN(2048, dim=2, window_length=64, hop_length=64),
}


def overridden(cls, what):
    """A sub-class whose `forward` gives `what` of the outcome."""

    class Overridden(cls):  # type: ignore[valid-type]
        def forward(self, *inputs):
            return what(super().forward(*inputs))

    return Overridden


def becomes(module, cls):
    module.__class__ = cls


def through(module, what):
    """Have what a module gives go through `what`, by an attribute of the one object."""
    forward = module.forward
    module.forward = lambda *inputs: what(forward(*inputs))


def double(x):
    return 2 * x


WAYS = {
    "critic's forward": lambda critic: becomes(critic, overridden(type(critic), double)),
    "critic's forward, of the object": lambda critic: through(critic, double),
    "critic's hook": lambda critic: critic.register_forward_hook(lambda _, inputs, y: 2 * y),
    "critic's hook before": lambda critic: critic.register_forward_pre_hook(
        lambda _, inputs: (2 * inputs[0], inputs[1])
    ),
    "layer's forward": lambda critic: becomes(critic.layers[1], overridden(type(critic.layers[1]), double)),
    "layer's forward, of the object": lambda critic: through(critic.layers[0], double),
    "layer's hook": lambda critic: critic.layers[2].register_forward_hook(lambda _, inputs, y: 2 * y),
    "layer's hook before": lambda critic: critic.layers[2].register_forward_pre_hook(lambda _, inputs: 2 * inputs[0]),
    "a layer followed by another": lambda critic: critic.layers.__setitem__(
        0, nn.Sequential(critic.layers[0], nn.Hardtanh(-0.1, 0.1))
    ),
    "a norm": lambda critic: critic.norms.__setitem__(1, nn.Hardtanh(-0.1, 0.1)),
    "a norm's hook": lambda critic: critic.norms[1].register_forward_hook(lambda _, inputs, y: 2 * y),
    "the dense layer's hook": lambda critic: critic.dense.register_forward_hook(lambda _, inputs, y: 2 * y),
    "another dense layer": lambda critic: setattr(
        critic,
        "dense",
        nn.Sequential(nn.Linear(critic.dense.in_features, 3), nn.Tanh(), nn.Linear(3, 1), nn.Flatten(0)),
    ),
    "weights that are a function of others": lambda critic: nn.utils.parametrize.register_parametrization(
        critic.layers[1], "weight", nn.Tanh()
    ),
    "weight normalisation by a hook": lambda critic: nn.init.ones_(nn.utils.weight_norm(critic.layers[1]).weight_g),
}


@pytest.fixture(params=ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def architecture(request):
    return request.param


def losses(critic, features):
    """Scores, their gradients, and derivatives of both by the weights; by training's way and by the definition."""
    shifts = torch.zeros(critic.shuffled_layers, len(features), dtype=torch.int64)
    for differentiate in (critic.differentiate, critic.differentiate_by_autograd):
        scores, gradients = differentiate(features, shifts, 2)
        loss = scores.sum() + (gradients.flatten(1).norm(dim=1) - 1).square().sum()
        yield [scores, gradients, *torch.autograd.grad(loss, list(critic.parameters()), allow_unused=True)]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("way", WAYS)
def test_what_is_added_to_a_critic_is_what_is_scored_and_differentiated(architecture, way):
    critic, features = critic_of(architecture), examples(architecture)
    before, _ = losses(critic, features)
    WAYS[way](critic)
    ours, expected = losses(critic.double(), features)
    assert not torch.allclose(ours[0], before[0])
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_an_override_of_a_whole_class_is_seen(architecture, monkeypatch):
    critic, features = critic_of(architecture), examples(architecture)
    for cls in (ConvolutionalCritic, ConvolutionLayer):
        plain = cls.forward
        with monkeypatch.context() as patch:
            patch.setattr(cls, "forward", lambda self, *inputs, plain=plain: 2 * plain(self, *inputs))
            ours, expected = losses(critic, features)
        torch.testing.assert_close(ours, expected)
        assert not torch.allclose(ours[0], next(losses(critic, features))[0])


def test_hooks_of_all_modules_are_called(architecture):
    critic, features = critic_of(architecture), examples(architecture)
    seen = set()
    hook = nn.modules.module.register_module_forward_hook(lambda module, inputs, y: seen.add(module))
    try:
        critic.score(features, draws=Draws(0))
    finally:
        hook.remove()
    assert set(critic.layers) <= seen


def test_a_critic_as_it_was_defined_takes_the_sweeps(architecture):
    critic = critic_of(architecture)
    assert critic.is_swept
    hook = critic.layers[0].register_forward_hook(lambda _, inputs, y: None)
    assert not critic.is_swept
    hook.remove()
    assert critic.is_swept
    for cls in (WaveGANCritic, SpecGANCritic):  # a sub-class that leaves `forward` alone
        if isinstance(critic, cls):
            becomes(critic, type("Renamed", (cls,), {}))
    with kernels.use("plain"):
        assert not critic.is_swept
    becomes(critic.layers[0], type("Renamed", (type(critic.layers[0]),), {}))
    assert isinstance(critic.layers[0], (Downsampling, Downsampling2d))
    assert critic.is_swept


@pytest.mark.parametrize("objective", [WassersteinGP(critic_steps=1), Relativistic(), Hinge(penalty_every=1)])
def test_plain_and_fast_kernels_take_the_same_step(architecture, objective):
    torch.manual_seed(0)
    audio = torch.rand(4, architecture.channels, architecture.clip_length, dtype=torch.float64) - 0.5
    features = architecture.representation().double().to_features(audio)
    gradients = []
    for implementation in ("plain", "fast"):
        state = TrainingState.new(architecture, Adam(), False, 0, torch.device("cpu"))
        for network in state.networks.values():
            network.double()
        with kernels.use(implementation):
            train_step(state, objective, [features], lambda update: Draws(1, update))
        gradients.append([weight.grad for network in state.networks.values() for weight in network.parameters()])
    for ours, expected in zip(*reversed(gradients), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


class Gated(WaveGANCritic):
    """A researcher's critic: one more layer before the scores."""

    def __init__(self, architecture):
        super().__init__(architecture)
        self.gain = nn.Linear(1, 1)

    def forward(self, features, shifts):
        return self.gain(super().forward(features, shifts)[:, None]).squeeze(1)


@pytest.mark.parametrize("objective", [WassersteinGP(critic_steps=1), Relativistic(), Hinge(penalty_every=1)])
def test_a_layer_added_by_a_sub_class_is_trained(objective, monkeypatch):
    monkeypatch.setattr(WaveGAN, "critic", lambda self, draws=None: initialize(Gated(self), draws))
    architecture = ARCHITECTURES["wavegan"]
    torch.manual_seed(0)
    state = TrainingState.new(architecture, Adam(learning_rate=1e-2), False, 0, torch.device("cpu"))
    before = state.networks["critic"].gain.weight.detach().clone()
    train_step(state, objective, [torch.rand(2, 1, 4096) - 0.5], lambda update: Draws(1, update))
    assert not torch.equal(state.networks["critic"].gain.weight, before)
