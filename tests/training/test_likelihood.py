"""Training by maximum likelihood, of one network without an opponent."""

import math
from dataclasses import replace

import pytest
import torch

from fauxley.errors import UsageError
from fauxley.models.draws import Draws
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.training.config import CLASSES, TrainingConfig
from fauxley.training.objectives import Adversarial, MaximumLikelihood
from fauxley.training.optimizers import Adam
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

SMALL = WaveNet(clip_length=256, dim=8, skip_dim=8, layers=5, cycle=5, levels=64)


def new_state(architecture=SMALL, rate=1e-2):
    return TrainingState.new(architecture, Adam(rate, beta1=0.9, beta2=0.999), False, 0, torch.device("cpu"))


def draws(update):
    return Draws(1, update)


def test_a_step_moves_every_weight_and_reports_bits():
    state = new_state()
    assert set(state.networks) == {"generator"}
    before = {name: value.clone() for name, value in state.generator.named_parameters()}
    audio = torch.rand(4, 1, 256, generator=torch.manual_seed(0)) * 2 - 1
    metrics = train_step(state, MaximumLikelihood(), [audio], draws)
    assert state.step == 1
    assert set(metrics) == {"generator_loss", "bits_per_sample"}
    assert metrics["bits_per_sample"].item() == pytest.approx(6, abs=0.3)  # knows nothing of 64 levels yet
    assert metrics["generator_loss"].item() == pytest.approx(metrics["bits_per_sample"].item() * math.log(2))
    for name, value in state.generator.named_parameters():
        assert not torch.equal(value, before[name]), name


def test_a_batch_in_parts_gives_the_step_of_the_whole_batch():
    audio, results = torch.rand(4, 1, 256, generator=torch.manual_seed(0)).double() * 2 - 1, []
    for accumulate in (1, 2):
        state = new_state()
        state.generator.double()
        metrics = train_step(state, MaximumLikelihood(), [audio], draws, accumulate)
        results.append(({name: value.detach() for name, value in state.generator.named_parameters()}, metrics))
    torch.testing.assert_close(*results, rtol=1e-7, atol=1e-9)


@pytest.mark.slow
def test_a_tone_is_learnt_and_generated():
    """Bits fall from 6 to nearly none but for the phase, and what is generated is a tone of that pitch."""
    state = new_state()
    time = torch.arange(256)
    for step in range(250):
        phases = torch.rand(4, 1, 1, generator=torch.manual_seed(step))
        metrics = train_step(state, MaximumLikelihood(), [0.9 * torch.sin(2 * math.pi * (time / 16 + phases))], draws)
    assert metrics["bits_per_sample"] < 1.5
    made = state.generator(Draws(0).latents(4, 256))[:, 0, 64:]
    spectrum = torch.fft.rfft(made * torch.hann_window(192)).abs().square().mean(0)
    assert spectrum.argmax() == 192 // 16
    assert spectrum[10:15].sum() > 0.9 * spectrum[1:].sum()


OBJECTIVES = [cls() for cls in CLASSES if issubclass(cls, Adversarial)]  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("architecture", "objective"),
    [*((SMALL, objective) for objective in OBJECTIVES), (WaveGAN(), MaximumLikelihood())],
    ids=lambda value: type(value).__name__,
)
def test_objectives_refuse_models_that_they_cannot_train(architecture, objective):
    with pytest.raises(UsageError, match=f"{type(objective).__name__} cannot train a {type(architecture).__name__}"):
        replace(TrainingConfig("test"), architecture=architecture, objective=objective)
