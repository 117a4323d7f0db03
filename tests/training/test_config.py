"""Presets are valid and survive JSON; what makes no sense is refused by name."""

import json
from dataclasses import replace

import pytest

from fauxley.errors import UsageError
from fauxley.serialization import from_json, to_json
from fauxley.training.config import CLASSES, TrainingConfig
from fauxley.training.objectives import Relativistic
from fauxley.training.optimizers import Adam
from fauxley.training.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    text, config = PRESETS[name]
    assert config.preset == name
    assert text
    assert from_json(json.loads(json.dumps(to_json(config))), CLASSES) == config


def test_the_papers_preset_is_the_papers():
    """Table 6 and appendix D of the paper; the official code's defaults where the paper is silent."""
    _, config = PRESETS["wavegan"]
    assert type(config.objective).__name__ == "WassersteinGP"
    assert (config.objective.critic_steps, config.objective.penalty_weight) == (5, 10)
    assert (config.optimizer.learning_rate, config.optimizer.beta1, config.optimizer.beta2) == (1e-4, 0.5, 0.9)
    assert (config.batch_size, config.averaging.half_life, config.optimizer.decay) == (64, 0, "none")
    model = config.architecture
    assert (model.dim, model.kernel_length, model.latent_size, model.phase_shuffle) == (64, 25, 100, 2)
    assert (model.clip_length, model.upsampling, model.batch_norm) == (16384, "zeros", False)


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"accumulate": 3},
        {"seed": -1},
        {"log_every": 0},
        {"checkpoint_every": -5},
        {"preview_count": -1},
        {"keep_checkpoints": 0},
        {"milestone_every": -1},
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changed):
    with pytest.raises(UsageError, match=next(iter(changed))):
        replace(TrainingConfig("test", batch_size=16), **changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"beta1": 1.0},
        {"beta2": -0.1},
        {"warmup": -1},
    ],
)
def test_impossible_optimizers_are_refused_by_name(changed):
    with pytest.raises(UsageError, match=next(iter(changed))):
        Adam(**changed)


def test_learning_rate_schedules():
    constant, linear = Adam(0.1), Adam(0.1, decay="linear", warmup=10)
    assert {constant.rate(step, step / 100) for step in range(100)} == {0.1}
    rates = [linear.rate(step, step / 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[4] == pytest.approx(0.05 * 0.96)
    assert rates[50] == pytest.approx(0.05)
    assert rates[-1] == pytest.approx(0.001)
    assert max(rates) == rates[9]
    assert linear.rate(120, 1.2) == 0


def test_a_cosine_falls_to_a_tenth_and_stays_there():
    cosine = Adam(0.2, decay="cosine")
    assert cosine.rate(0, 0.0) == pytest.approx(0.2)
    assert cosine.rate(7, 0.5) == pytest.approx(0.11)
    assert cosine.rate(9, 1.0) == cosine.rate(9, 1.5) == pytest.approx(0.02)


def test_a_penalty_that_decays_takes_few_values():
    objective = Relativistic(penalty_weight=2.0, penalty_decay="cosine")
    weights = [objective.at(share / 1000).penalty_weight for share in range(1001)]
    assert weights[0] == 2.0
    assert weights[-1] == pytest.approx(0.2)
    assert weights == sorted(weights, reverse=True)
    assert len(set(weights)) <= 17
    assert Relativistic(penalty_weight=2.0).at(0.9) == Relativistic(penalty_weight=2.0)


@pytest.mark.parametrize("minutes", [-1.0, float("nan"), float("inf")])
def test_impossible_minutes_are_refused(minutes):
    with pytest.raises(UsageError, match="minutes"):
        TrainingConfig("mine", minutes=minutes)
