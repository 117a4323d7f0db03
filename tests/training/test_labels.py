"""Which labels are learnt: those that make sense; and that the losses see each clip with its own."""

from dataclasses import replace

import pytest
import torch

from fauxley import kernels
from fauxley.errors import UsageError
from fauxley.models.conditioning import one_hot
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.training.config import CLASSES, Data
from fauxley.training.labels import choose_labels, with_labels
from fauxley.training.objectives import Adversarial
from fauxley.training.optimizers import Adam
from fauxley.training.presets import PRESETS
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

OBJECTIVES = [cls() for cls in CLASSES if issubclass(cls, Adversarial)]  # type: ignore[call-arg]
WORDS = ("hat", "kick", "snare")
WAVE = WaveGAN(4096, dim=2, latent_size=5, labels=WORDS)
SPECTRAL = SpecGAN(2048, dim=2, latent_size=5, window_length=64, hop_length=64, labels=WORDS)
LABELS = one_hot([0, 1, 2, 0], 3)


def step(architecture, objective, labels=LABELS, accumulate=1, implementation="fast", double=True):
    """The gradients that a step found, and its numbers."""
    torch.manual_seed(0)
    state = TrainingState.new(architecture, Adam(), False, 0, torch.device("cpu"))
    representation = architecture.representation()
    audio = torch.rand(4, architecture.channels, architecture.clip_length) - 0.5
    if double:
        for network in state.networks.values():
            network.double()
        audio, representation, labels = audio.double(), representation.double(), labels.double()
    torch.nn.init.normal_(state.networks["critic"].projection.weight, std=0.3)
    features = [representation.to_features(audio)] * objective.num_batches
    with kernels.use(implementation):
        numbers = train_step(
            state,
            objective,
            features,
            lambda update: Draws(1, update),
            accumulate,
            labels=[labels] * objective.num_batches,
        )
    return [weight.grad for network in state.networks.values() for weight in network.parameters()], numbers


@pytest.mark.parametrize("architecture", [WAVE, SPECTRAL, replace(WAVE, batch_norm=True)])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: type(each).__name__)
def test_a_conditional_step_is_the_same_by_fast_and_plain_kernels(architecture, objective):
    objective = replace(objective, critic_steps=1)
    ours, _ = step(architecture, objective)
    expected, _ = step(architecture, objective, implementation="plain")
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()) + 1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: type(each).__name__)
def test_labels_matter_to_both_players(objective):
    objective = replace(objective, critic_steps=1)
    (first, _), (second, _) = (step(WAVE, objective, labels) for labels in (LABELS, LABELS.flip(0)))
    assert sum(not torch.allclose(one, other) for one, other in zip(first, second, strict=True)) > len(first) / 2


def test_a_label_that_is_in_no_batch_is_left_as_it_is():
    (gradients, _) = step(WAVE, replace(OBJECTIVES[0], critic_steps=1), one_hot([0, 1, 0, 1], 3))
    generator = WAVE.generator(Draws(0))
    names = [name for name, _ in generator.named_parameters()]
    of_embedding = gradients[names.index("embed.weight")]
    assert not of_embedding[:, 2].any()
    assert of_embedding[:, :2].any(0).all()


COUNTS = {"kick": 10, "snare": 3, "hat": 2}


def test_labels_of_the_data_are_learnt_in_order_and_equally_often():
    labels, words = choose_labels(COUNTS)
    assert labels == ("hat", "kick", "snare")
    assert "3 labels" in words
    assert "kick 10" in words
    assert "2 without a label" in choose_labels({**COUNTS, "": 2}).words
    config, _ = with_labels(PRESETS["wavegan-small"][1], COUNTS)
    assert config.architecture.labels == labels
    assert config.data.balance_labels


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"kick": 10}, "same one, 'kick'"),
        ({"kick": 10, "": 2}, "only one"),
        ({f"file {n}": 1 for n in range(300)}, "fewer"),
        ({"kick": 10, "snare": 1}, "snare has fewer; add some, or leave it out"),
        ({"kick": 10, "snare": 5, "": 16}, "16 of 31 clips have none"),
        ({"kick": 10, "a/b": 5}, "must not hold"),
        ({str(n): 5 for n in range(1001)}, "1001"),
    ],
)
def test_what_makes_no_sense_as_labels_is_left_with_one_line(counts, reason):
    labels, words = choose_labels(counts)
    assert labels == ()
    assert reason in words
    assert words.isprintable()
    assert len(words) < 500
    config = PRESETS["specgan-small"][1]
    assert with_labels(config, counts) == (config, words)


def test_nothing_is_said_of_labels_that_are_not_there():
    config = PRESETS["specgan-small"][1]
    assert with_labels(config, {"": 20}) == (config, "")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_papers_presets_learn_no_labels_unless_they_are_told_to(preset):
    config = PRESETS[preset][1]
    if not preset.endswith("-small"):
        assert with_labels(config, COUNTS)[0] == config
    config, words = with_labels(replace(config, data=Data(labels=True)), COUNTS)
    assert config.architecture.known_labels == (() if preset.startswith("wavenet") else ("hat", "kick", "snare"))
    assert "labels" in words


def test_a_run_keeps_its_labels_or_its_lack_of_them():
    config = PRESETS["wavegan-small"][1]
    begun = ("hat", "kick", "snare")
    assert with_labels(config, COUNTS, begun)[0] == with_labels(config, COUNTS)[0]
    assert with_labels(config, COUNTS, ())[0] == config
    with pytest.raises(UsageError, match="go on without"):
        with_labels(replace(config, data=Data(labels=False)), COUNTS, begun)
    with pytest.raises(UsageError, match="the data has hat, kick;"):
        with_labels(config, {"hat": 5, "kick": 5}, begun)
