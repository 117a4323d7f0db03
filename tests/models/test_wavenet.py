"""WaveNet: who depends on whom, and that generation draws from what the network predicts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fauxley.errors import UsageError
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavenet import WaveNet, draw_levels
from fauxley.signal.mu_law import compress

SMALL = WaveNet(clip_length=256, dim=4, skip_dim=6, layers=5, cycle=3, levels=32)
each_shape = pytest.mark.parametrize(
    "architecture",
    [SMALL, replace(SMALL, layers=1), replace(SMALL, layers=7, cycle=2, dim=1), replace(SMALL, levels=256, cycle=5)],
    ids=["two cycles", "one layer", "one channel", "8 bits"],
)


def new(architecture=SMALL):
    """A network whose predictions are not nearly uniform, as they are at first."""
    generator = architecture.generator(Draws(0)).double()
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            parameter.mul_(3 if name.startswith(("logits", "layers")) else 1)
            if name.endswith("bias"):
                parameter.copy_(Draws(1).uniform(parameter.shape, 0.3))
    return generator.float()


@each_shape
def test_a_sample_depends_on_its_receptive_field_and_nothing_else(architecture):
    field = architecture.receptive_field
    assert field == 1 + sum(2 ** (layer % architecture.cycle) for layer in range(architecture.layers))
    generator = new(architecture).double()
    embedded = generator.table(torch.randint(architecture.levels, (1, field + 20), generator=torch.manual_seed(0)))
    inputs = embedded.detach().requires_grad_()
    generator.table.forward = lambda levels: inputs  # to differentiate by what the levels became
    last = generator.predict(torch.zeros(1, field + 20, dtype=torch.long))[0, :, field + 9]
    (gradient,) = torch.autograd.grad(last.square().sum(), inputs)
    reached = gradient[0].abs().sum(1).nonzero()[:, 0]
    # The prediction at position t is of sample t + 1.
    assert (int(reached.min()), int(reached.max())) == (10, field + 9)
    assert len(reached) == field


def test_likelihood_of_a_sample_does_not_depend_on_what_follows():
    generator = new()
    audio = torch.rand(1, 1, 100, generator=torch.manual_seed(1)) * 2 - 1
    for cut in (1, 50, 99):
        changed = audio.clone()
        changed[:, :, cut:] *= -1
        bits = [generator.bits_per_sample(clip[:, :, :cut]) for clip in (audio, changed)]
        assert torch.equal(*bits)
        whole = generator.bits_per_sample(audio) - generator.bits_per_sample(changed)
        assert whole.abs() > 1e-4


def test_a_network_of_zeros_needs_eight_bits():
    generator = WaveNet(256, dim=3, skip_dim=3, layers=2).generator(Draws(0))
    for parameter in generator.parameters():
        torch.nn.init.zeros_(parameter)
    bits = generator.bits_per_sample(torch.rand(2, 1, 256, generator=torch.manual_seed(0)))
    torch.testing.assert_close(bits, torch.full((2,), 8.0))


def test_likelihood_is_the_product_of_the_predictions():
    """Against the chain rule, sample by sample, from a window that begins in silence."""
    generator = new().double()
    audio = torch.rand(1, 1, 40, generator=torch.manual_seed(2)).double() * 2 - 1
    levels = compress(audio[:, 0], SMALL.levels)
    past = torch.cat([torch.full((1, SMALL.receptive_field), SMALL.levels // 2), levels], 1)
    bits = 0.0
    for t in range(40):
        logits = generator.predict(past[:, t : t + SMALL.receptive_field])[0, :, -1].detach().numpy()
        bits -= np.log2(np.exp(logits[levels[0, t]]) / np.exp(logits).sum())
    assert generator.bits_per_sample(audio).item() == pytest.approx(bits / 40, rel=1e-9)


def test_likelihoods_of_all_possible_clips_add_up_to_one():
    generator = new(replace(SMALL, levels=3)).double()
    every = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0]).double()] * 4)[:, None]
    probability = 2 ** (-4 * generator.bits_per_sample(every))
    assert probability.sum().item() == pytest.approx(1)
    assert probability.std() > 1e-3


@each_shape
def test_cached_generation_is_the_naive_one(architecture):
    generator = new(architecture)
    z = Draws(2).latents(2, 3 * architecture.receptive_field + 5)
    cached = generator(z)
    assert cached.shape == (2, 1, z.shape[1])
    assert torch.equal(cached, generator.naive(z))
    assert len(cached.unique()) > architecture.levels // 4


def test_generated_sounds_have_the_likelihood_that_the_network_expects():
    """In the mean, -log p of what is drawn from p is p's entropy: another check of drawing and counting together."""
    generator = new(replace(SMALL, levels=8))
    audio = generator(Draws(3).latents(64, 256))
    surprise = generator.bits_per_sample(audio).mean()
    levels = compress(audio[:, 0], 8)
    before = torch.cat([torch.full((64, 1), 4), levels[:, :-1]], 1)
    p = torch.softmax(generator.predict(before), 1)
    entropy = -(p * p.log2()).sum(1).mean()
    assert entropy < 2.7  # not just 3 bits of noise
    assert surprise.item() == pytest.approx(entropy.item(), abs=0.03)


def test_levels_are_drawn_as_often_as_the_softmax_says():
    logits = torch.tensor([[0.0, 2.0, -1.0, -math.inf, 1.0]])
    z = (torch.arange(100_000) + 0.5) / 50_000 - 1
    drawn = draw_levels(logits.expand(len(z), -1), z)
    shares = torch.bincount(drawn, minlength=5) / len(z)
    torch.testing.assert_close(shares, torch.softmax(logits[0], 0), atol=2e-5, rtol=0)
    assert (drawn.diff() >= 0).all()
    assert draw_levels(logits.expand(4, -1), torch.tensor([-1.0, -9.0, 1.0, 9.0])).tolist() == [0, 0, 4, 4]


def test_a_seed_is_one_sound_in_any_batch_and_after_saving(tmp_path):
    synthesizer = Synthesizer(SMALL, new(), SMALL.representation(), 8000)
    sounds = synthesizer.generate(5, seed=3)
    assert sounds.shape == (5, 1, 256)
    assert torch.equal(sounds, synthesizer.generate(5, seed=3, batch_size=2))
    assert torch.equal(sounds[4:], synthesizer.generate(1, seed=7))
    assert not torch.equal(sounds[0], sounds[1])
    assert torch.equal(sounds, Synthesizer.from_pretrained(synthesizer.save(tmp_path / "m")).generate(5, seed=3))
    assert synthesizer.latents([3]).shape == (1, 256)


def test_gradients_are_those_of_finite_differences():
    generator = new().double()
    audio = torch.rand(2, 1, 30, generator=torch.manual_seed(0)).double() * 2 - 1
    generator.bits_per_sample(audio).sum().backward()
    for name, parameter in generator.named_parameters():
        direction = torch.randn(parameter.shape, generator=torch.manual_seed(1)).double()
        ends = []
        with torch.no_grad():
            for step in (1e-5, -2e-5):
                parameter.add_(direction, alpha=step)
                ends.append(generator.bits_per_sample(audio).sum().item())
            parameter.add_(direction, alpha=1e-5)
        expected = (ends[0] - ends[1]) / 2e-5
        assert (parameter.grad * direction).sum().item() == pytest.approx(expected, rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize(
    "changed",
    [
        *({"channels": 2}, {"dim": 0}, {"layers": 0}, {"levels": 1}, {"cycle": 99}, {"clip_length": 8}),
        *({"layers": 10**9}, {"levels": 10**9}, {"clip_length": 10**9}, {"cycle": 0}, {"skip_dim": 0}),
    ],
)
def test_sizes_that_make_no_sense_are_refused_by_name(changed):
    with pytest.raises(UsageError, match=next(iter(changed))):
        replace(SMALL, **changed)
