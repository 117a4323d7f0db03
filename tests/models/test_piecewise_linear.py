"""The four sweeps against automatic differentiation of the critics' definition, in float64."""

import pytest
import torch

from fauxley.models.architecture import Critic
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN

ARCHITECTURES = {
    "wavegan": WaveGAN(4096, dim=3, phase_shuffle=0),
    "wavegan, shuffled": WaveGAN(4096, dim=3, phase_shuffle=2),
    "wavegan, shuffled one by one, stereo": WaveGAN(4096, 2, dim=3, phase_shuffle=2, phase_shuffle_per_example=True),
    "wavegan, by transforms": WaveGAN(4096, dim=32, phase_shuffle=1),
    "specgan": SpecGAN(4096, dim=2),
    "specgan, shuffled": SpecGAN(4096, dim=2, phase_shuffle=1),
    "specgan, by windows, of one column": SpecGAN(4096, dim=7),
}


@pytest.fixture(params=ARCHITECTURES.values(), ids=ARCHITECTURES)
def critic(request):
    critic = request.param.critic(Draws(0, 1)).double()
    for parameter in critic.parameters():  # biases are zero at first
        torch.nn.init.normal_(parameter, std=0.2)
    return critic


def examples(critic, count, seed):
    torch.manual_seed(seed)
    shape = (critic.layers[0].weight.shape[1], 4096) if critic.layers[0].weight.dim() == 3 else (1, 128, 32)
    return torch.randn(count, *shape, dtype=torch.float64)


def by_definition(critic):
    """The same critic, differentiated automatically."""

    def differentiate(features, shifts, sloped):
        return Critic.differentiate(critic, features, shifts, sloped)

    return differentiate


@pytest.mark.parametrize(("plain", "sloped"), [(2, 0), (0, 2), (3, 2)])
def test_sweeps_equal_automatic_differentiation(critic, plain, sloped, monkeypatch):
    features = examples(critic, plain + sloped, 1)
    weights = torch.randn(plain + sloped, dtype=torch.float64)
    results = []
    for definition in (False, True):
        with monkeypatch.context() as patch:
            if definition:
                patch.setattr(critic, "differentiate", by_definition(critic))
            batches, at = torch.split(features, [plain, sloped])
            scores, gradients = critic.score_with_gradients(
                *([batches] if plain else []), at=(at,) if sloped else (), draws=Draws(5)
            )
        # Not through what saturates: with derivatives by the scores near zero, half of the sweeps would go untested.
        loss = (torch.cat(scores) * weights).sum()
        if sloped:
            loss = loss + (gradients[0].flatten(1).norm(dim=1) - 1).square().sum()
        results.append((*scores, *gradients, *torch.autograd.grad(loss, list(critic.parameters()))))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9 * float(expected.detach().abs().max()))


def test_scores_can_be_differentiated_by_the_examples_alone(critic):
    critic.requires_grad_(False)
    features = examples(critic, 2, 2).requires_grad_()
    draws = [Draws(6), Draws(6)]
    (ours,) = torch.autograd.grad(critic.score(features, draws=draws[0])[0].square().sum(), features)
    shifts = draws[1].shifts(critic.shuffled_layers, 2, critic.shuffle_radius, critic.shuffle_per_example)
    (expected,) = torch.autograd.grad(critic(features, shifts).square().sum(), features)
    torch.testing.assert_close(ours, expected)


def test_differentiating_twice_is_refused(critic):
    (scores,), (gradient,) = critic.score_with_gradients(at=(examples(critic, 1, 3),), draws=Draws(7))
    loss = scores.sum() + gradient.square().sum()
    loss.backward()
    with pytest.raises(RuntimeError):
        loss.backward()
