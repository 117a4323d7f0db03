"""The four sweeps against automatic differentiation of the critics' definition, in float64."""

import pytest
import torch

from fauxley import kernels
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


@pytest.fixture(params=ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def critic(request):
    critic = request.param.critic(Draws(0, 1)).double()
    for parameter in critic.parameters():  # biases are zero at first
        torch.nn.init.normal_(parameter, std=0.2)
    return critic


def examples(critic, count, seed):
    torch.manual_seed(seed)
    shape = (critic.layers[0].weight.shape[1], 4096) if critic.layers[0].weight.dim() == 3 else (1, 128, 32)
    return torch.randn(count, *shape, dtype=torch.float64)


@pytest.mark.parametrize(("plain", "differentiated"), [(2, 0), (0, 2), (3, 2)])
def test_sweeps_equal_automatic_differentiation(critic, plain, differentiated, monkeypatch):
    features = examples(critic, plain + differentiated, 1)
    weights = torch.randn(plain + differentiated, dtype=torch.float64)
    results = []
    for definition in (False, True):
        with monkeypatch.context() as patch:
            if definition:
                patch.setattr(critic, "differentiate", critic.differentiate_by_autograd)
            batches, at = torch.split(features, [plain, differentiated])
            scores, gradients = critic.score_with_gradients(
                *([batches] if plain else []), penalized=(at,) if differentiated else (), draws=Draws(5)
            )
        # Not through what saturates: with derivatives by the scores near zero, half of the sweeps would go untested.
        loss = (torch.cat(scores) * weights).sum()
        if differentiated:
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
    (scores,), (gradient,) = critic.score_with_gradients(penalized=(examples(critic, 1, 3),), draws=Draws(7))
    loss = scores.sum() + gradient.square().sum()
    loss.backward()
    with pytest.raises(RuntimeError):
        loss.backward()


@pytest.mark.parametrize("time_dim", [1, 3])
@pytest.mark.parametrize(("scored", "differentiated"), [(3, 0), (0, 3), (2, 2)])
def test_each_example_may_have_a_readout_and_an_offset_of_its_own(time_dim, scored, differentiated):
    torch.manual_seed(0)
    batch = scored + differentiated
    if time_dim == 1:
        x, weights = torch.randn(batch, 64, 2), [torch.randn(5, 2, 3), torch.randn(5, 3, 4)]
        function, stride, size = kernels.convolve_down, 4, 4 * 4
    else:
        x, weights = torch.randn(batch, 2, 8, 12), [torch.randn(3, 2, 5, 5), torch.randn(4, 3, 5, 5)]
        function, stride, size = kernels.convolve_images, 2, 4 * 2 * 3
    x = x.double()
    weights = [weight.double().requires_grad_() for weight in weights]
    biases = [torch.randn(channels, dtype=torch.float64, requires_grad=True) for channels in (3, 4)]
    readout = torch.randn(batch, size, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(batch, dtype=torch.float64, requires_grad=True)
    shifts = torch.randint(-2, 3, (batch,))
    by_score = torch.randn(batch, dtype=torch.float64)

    def by_sweeps():
        stages = [
            kernels.Stage(function, weight, bias, stride, shuffle, 2, time_dim)
            for weight, bias, shuffle in zip(weights, biases, (shifts, None), strict=True)
        ]
        return kernels.sweep(x, stages, readout, offset, differentiated)

    def by_autograd():
        examples = x.clone().requires_grad_()
        with kernels.use("plain"):
            h = kernels.leaky_relu(function(examples, weights[0], biases[0], stride))
            h = kernels.phase_shuffle(h, shifts, 2, time_dim)
            h = kernels.leaky_relu(function(h, weights[1], biases[1], stride))
        scores = (h.transpose(1, time_dim).flatten(1) * readout).sum(1) + offset
        (gradients,) = torch.autograd.grad(scores.sum(), examples, create_graph=True)
        return scores, gradients[scored:]

    results = []
    for compute in (by_sweeps, by_autograd):
        scores, gradients = compute()
        loss = (scores * by_score).sum() + (gradients.flatten(1).norm(dim=1) - 1).square().sum()
        wanted = [*weights, *biases, readout, offset]
        results.append([scores, gradients, *torch.autograd.grad(loss, wanted)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)
