"""Labels: what is asked for is what both networks are told, by every way of computing; the rest stays as it was."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from fauxley import kernels
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.conditioning import file_word, label_mixture, label_weights, one_hot
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN

from .critics import critic_of, examples

WORDS = ("hat", "kick", "snare")
ARCHITECTURES = {
    "wavegan": WaveGAN(4096, dim=3, latent_size=5, labels=WORDS),
    "wavegan, shuffled one by one": WaveGAN(
        4096, 2, dim=2, latent_size=5, phase_shuffle_per_example=True, labels=WORDS
    ),
    "specgan": SpecGAN(4096, dim=2, latent_size=5, labels=WORDS),
}
MIXED = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.3, 0.7], [0.0, 0.0, 1.0], [0.2, 0.2, 0.6]])
each = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)


def unconditional(architecture):
    return replace(architecture, labels=())


@each
@pytest.mark.parametrize("count", [0, 2, 4])
def test_the_fast_way_scores_and_differentiates_as_the_definition_does(architecture, count):
    critic, features, labels = critic_of(architecture), examples(architecture, 4), MIXED.double()
    options = critic.shuffle_radius, critic.shuffle_per_example
    shifts = Draws(5).shifts(critic.shuffled_layers, 4, *options)
    assert critic.is_swept
    results = []
    for differentiate in (critic.differentiate, critic.differentiate_by_autograd):
        scores, gradients = differentiate(features, shifts, count, labels)
        loss = (scores * torch.tensor([1.0, -2.0, 0.5, 3.0])).sum()
        if count:
            loss = loss + (gradients.flatten(1).norm(dim=1) - 1).square().sum()
        found = [gradients] if count else []
        results.append([scores, *found, *torch.autograd.grad(loss, list(critic.parameters()))])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-8 * float(expected.detach().abs().max()))


@each
def test_a_score_is_the_unconditional_one_and_the_projections(architecture):
    """By hand: each label adds an inner product with the channels' sums over all places, and a number."""
    critic, features, labels = critic_of(architecture), examples(architecture, 4), MIXED.double()
    other = unconditional(architecture).critic(Draws(0, 1)).double()
    other.load_state_dict({name: value for name, value in critic.state_dict().items() if "projection" not in name})
    signals = []
    other.dense.register_forward_pre_hook(lambda _, inputs: signals.append(inputs[0]))
    shifts = torch.zeros(critic.shuffled_layers, 4, dtype=torch.int64)
    plain = other(features, shifts)
    weight, bias = critic.projection.weight, critic.projection.bias
    for example, signal in enumerate(signals[0]):
        sums = signal.view(-1, weight.shape[1]).sum(0)
        added = sum(labels[example, k] * (weight[k] @ sums + bias[k]) for k in range(3))
        torch.testing.assert_close(critic(features, shifts, labels)[example], plain[example] + added)


@each
def test_labels_move_the_generators_first_signal_alone(architecture):
    generator = architecture.generator(Draws(3))
    z = Draws(1).latents(2, 5)
    whole = generator(z, MIXED[:2])
    twin = unconditional(architecture).generator(Draws(3))
    for name, value in twin.state_dict().items():  # the others begin as they would without
        assert torch.equal(generator.state_dict()[name], value)
    moved = twin.dense(z) + MIXED[:2] @ generator.embed.weight.T
    twin.dense.register_forward_hook(lambda *_: moved)
    torch.testing.assert_close(twin(z), whole)
    assert not torch.allclose(whole, generator(z, MIXED[2:]))


@each
def test_weights_begin_three_times_as_large_and_projections_at_nothing(architecture):
    generator, critic = architecture.generator(Draws(0)), architecture.critic(Draws(1))
    limit = 3 * (6 / (3 + generator.dense.out_features)) ** 0.5
    assert 0.95 * limit < float(generator.embed.weight.detach().abs().max()) <= limit
    assert not critic.projection.weight.any()
    assert not critic.projection.bias.any()
    same = unconditional(architecture).critic(Draws(1)).state_dict()
    assert all(torch.equal(value, critic.state_dict()[name]) for name, value in same.items())


@each
def test_a_network_without_the_labels_that_it_knows_says_so(architecture):
    generator, critic = architecture.generator(Draws(0)), architecture.critic(Draws(0))
    features = examples(architecture, 2).float()
    for labels in (None, torch.ones(2, 2)):
        with pytest.raises(UsageError, match="3 labels"):
            generator(torch.zeros(2, 5), labels)
        for implementation in ("fast", "plain"):
            with kernels.use(implementation), pytest.raises(UsageError, match="3 labels"):
                critic.score(features, draws=Draws(0), labels=labels)
    with pytest.raises(UsageError, match="0 labels"):
        unconditional(architecture).generator(Draws(0))(torch.zeros(2, 5), MIXED[:2])


@pytest.mark.parametrize("model", [WaveGAN, SpecGAN])
@pytest.mark.parametrize(
    "labels",
    [
        *[("kick", "kick"), ("",), ("a/b",), ("a\\b",), ("a\nb",), ("a\u2028b",), ("x" * 101,), ("\x1b[31m",)],
        tuple(map(str, range(1001))),
    ],
)
def test_labels_that_no_model_may_have_are_refused_in_one_line(model, labels):
    with pytest.raises(UsageError) as caught:
        model(labels=labels)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_what_can_be_asked_for():
    hat, kick, snare = torch.eye(3)
    assert torch.equal(label_weights("kick", WORDS, 2), torch.stack([kick, kick]))
    assert torch.equal(label_weights(["kick", "hat"], WORDS, 2), torch.stack([kick, hat]))
    for in_turn in (None, "all"):
        assert torch.equal(label_weights(in_turn, WORDS, 4, first=4), torch.stack([kick, snare, hat, kick]))
    assert torch.equal(label_weights("all", ("all", "hat"), 1), torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(label_weights({"kick": 3, "hat": 1}, WORDS, 1), torch.tensor([[0.25, 0.75, 0.0]]))
    assert torch.equal(label_weights(MIXED.numpy(), WORDS, 4), MIXED)
    assert label_weights(None, (), 3).shape == (3, 0)
    assert torch.equal(one_hot([2, -1], 4), torch.tensor([[0.0, 0, 1, 0], [0.25, 0.25, 0.25, 0.25]]))


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("snar", "did you mean 'snare'.*hat, kick, snare"),
        ("Kick", "did you mean 'kick'"),
        ("xyz", "no label 'xyz'; there are"),
        (["kick"], "1 labels for 2 sounds"),
        ({"kick": 0.0}, "positive"),
        ({"kick": float("nan")}, "positive"),
        ({}, "one label or more"),
        (np.eye(3)[:1], r"\(2, 3\)"),
        (np.full((2, 3), 0.5), "sum to 1"),
        (np.full((2, 3), np.nan), "finite"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_one_line(labels, says):
    with pytest.raises(UsageError, match=says):
        label_weights(labels, WORDS, 2)


def test_a_model_without_labels_refuses_them():
    for labels in ("kick", "all", ["kick"], {"kick": 1.0}, np.eye(2)):
        with pytest.raises(UsageError, match="no labels"):
            label_weights(labels, (), 2)


def synthesizer_of(architecture):
    return Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000)


@each
def test_a_conditional_model_is_saved_with_its_labels_and_plays_the_same(architecture, tmp_path):
    one = synthesizer_of(architecture)
    loaded = Synthesizer.from_pretrained(one.save(tmp_path / "model"))
    assert loaded.labels == WORDS
    assert loaded.architecture == architecture
    for labels in (None, "kick", {"kick": 1, "snare": 3}, ["kick", "hat", "kick"], MIXED[:3].numpy()):
        sounds = one.generate(3, 5, labels=labels)
        assert torch.equal(sounds, loaded.generate(3, 5, labels=labels))
        weights = one.label_weights(labels, 3, 5)
        with torch.no_grad(), kernels.use("plain"):
            expected = one.representation.to_audio(one.generator(one.latents(range(5, 8)), weights))
        torch.testing.assert_close(sounds, expected, rtol=0, atol=2e-3)  # finding phases enlarges rounding


def test_a_seed_and_its_label_are_the_same_sound_however_many_are_asked_for():
    one = synthesizer_of(ARCHITECTURES["wavegan"])
    whole = one.generate(7, seed=2)
    torch.testing.assert_close(one.generate(2, seed=5), whole[3:5], rtol=0, atol=1e-5)
    torch.testing.assert_close(one.generate(1, seed=5, labels="snare"), whole[3:4], rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.cat([*one.stream(one.latents([0, 1]), 1)]), one.generate(2), rtol=0, atol=1e-5)
    assert one.generate(labels=["kick", "hat"]).shape[0] == 2
    assert one.generate(0).shape == (0, 1, 4096)


@pytest.mark.parametrize(
    "labels", [["kick", "kick"], ["a/b"], ["", "a"], "kick", [1], {"a": 1}, ["x" * 101], ["k"] * 2000]
)
def test_a_strangers_labels_are_checked_before_anything_is_made(labels, tmp_path):
    folder = synthesizer_of(ARCHITECTURES["wavegan"]).save(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["architecture"]["labels"] = labels
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(FauxleyError) as caught:
        Synthesizer.from_pretrained(folder)
    assert len(str(caught.value).splitlines()) == 1


def test_a_strangers_weights_must_be_those_of_the_labels(tmp_path):
    folder = synthesizer_of(ARCHITECTURES["wavegan"]).save(tmp_path / "model")
    text = (folder / "config.json").read_text()
    for labels in ([], ["kick", "snare"], [str(number) for number in range(1000)]):
        config = json.loads(text)
        config["architecture"]["labels"] = labels
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(FauxleyError, match="embed"):
            Synthesizer.from_pretrained(folder)


def test_names_of_files_are_those_of_any_system():
    assert file_word("kick") == "kick"
    assert file_word('a:b*c?"<>|') == "a_b_c_____"
    assert file_word("..") == "_"
    assert file_word("grün") == "grün"
    assert len(file_word("\u65e5" * 100).encode()) <= 100


@pytest.mark.parametrize("scale", [1.0, 1e-60, 1e-310, 5e307])
def test_only_the_proportions_of_a_mixture_matter(scale):
    weights = label_mixture({"kick": 3 * scale, "snare": scale}, ("kick", "snare"))
    torch.testing.assert_close(weights, torch.tensor([0.75, 0.25]))
