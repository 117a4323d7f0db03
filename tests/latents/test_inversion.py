"""Real sounds find the latents that make them, and strangers are told to be strangers."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from fauxley.errors import UsageError
from fauxley.latents import inversion
from fauxley.latents.inversion import Yardstick, invert
from fauxley.latents.likeness import Likeness
from fauxley.latents.work import CalledOffError
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavenet import WaveNet

from .conftest import DECAY, LENGTH, NOISE, PITCH, RATE

pytestmark = pytest.mark.slow
LATENT = torch.tensor([0.3, -0.5, 0.4, -0.2, 0.1, 0.9])


def sound_of(synthesizer, latent=LATENT):
    return synthesizer.generate(latents=latent[None])[0].numpy()


def test_the_latent_of_a_sound_that_the_model_made_comes_back(tones):
    found = invert(tones, sound_of(tones))
    assert found.distance < 0.3
    assert found.verdict == "same"
    for number in (DECAY, PITCH, NOISE):
        assert found.latent[number] == pytest.approx(float(LATENT[number]), abs=0.1)
    assert found.latent.abs().max() <= 1
    torch.testing.assert_close(found.audio, tones.generate(latents=found.latent[None])[0])
    np.testing.assert_array_equal(found.target, sound_of(tones))


def test_level_and_what_comes_before_the_onset_do_not_count(tones):
    sound = 0.05 * np.pad(sound_of(tones), ((0, 0), (12_345, 2000)))
    found = invert(tones, sound)
    assert found.verdict in ("same", "near")
    for number in (DECAY, PITCH):
        assert found.latent[number] == pytest.approx(float(LATENT[number]), abs=0.1)
    assert found.target.shape == (1, LENGTH)


def test_words_grow_with_the_distance(tones):
    noise = np.random.default_rng(0).standard_normal((1, LENGTH))
    t = np.arange(LENGTH) / RATE
    chord = np.exp(-t / 0.05) * (np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 1234 * t))[None]
    stranger, relative, own = (invert(tones, sound) for sound in (noise, chord, sound_of(tones)))
    assert own.distance < relative.distance < stranger.distance
    assert stranger.verdict == "unlike"
    assert f"{stranger.distance:.1f} dB" in stranger.words
    assert own.yardstick == stranger.yardstick
    assert own.yardstick.reach < own.yardstick.neighbour < own.yardstick.typical


def test_a_yardstick_has_a_word_for_every_distance_in_order():
    order = ["same", "near", "alike", "unlike"]
    for yardstick in (Yardstick(1, 4, 10), Yardstick(2, 2.1, 2.2), Yardstick(0, 0, 0)):
        words = [yardstick.verdict(distance) for distance in np.linspace(0, 20, 200)]
        assert words[0] == "same"
        assert words[-1] == "unlike"
        assert words == sorted(words, key=order.index)


@pytest.mark.parametrize("spectrogram", ["bins", "bands"])
def test_a_model_of_spectrograms_is_sought_through_without_finding_phases(spectrogram, monkeypatch):
    settings = {"griffin_lim_momentum": 0.99, "compensate_windows": True, "spectrogram": spectrogram}
    architecture = SpecGAN(32 * 64, dim=2, window_length=128, hop_length=64, latent_size=4, **settings)
    generator = architecture.generator(Draws(0))
    with torch.no_grad():
        for layer in generator.layers:
            layer.get_parameter("weight").mul_(3)  # as untrained networks come, all sounds are nearly the same
    synthesizer = Synthesizer(architecture, generator, architecture.representation(), RATE)
    representation = synthesizer.representation
    representation.mean.fill_(-2)
    representation.std.fill_(2)
    rendered = []
    original = representation.to_audio
    monkeypatch.setattr(
        representation, "to_audio", lambda features: rendered.append(len(features)) or original(features)
    )
    (latent,) = synthesizer.latents([12_345])
    target = sound_of(synthesizer, latent)
    rendered.clear()
    found = invert(synthesizer, target)
    assert sum(rendered) < 10  # some to compare with, and the one that was found
    assert found.distance < 2 * found.yardstick.reach
    assert (found.latent - latent).abs().max() < 0.3


def test_what_was_found_out_about_a_model_is_kept_and_damage_to_it_does_no_harm(tones, cache):
    stages = []

    def note(what, done, total):
        assert 0 <= done <= total
        if done == 0:
            stages.append(what)
        if done == total:
            stages.append("done")

    first = invert(tones, sound_of(tones), progress=note)
    assert len(stages) == 6
    files = list((cache / "latents").iterdir())
    assert len(files) == 2
    stages.clear()
    second = invert(tones, sound_of(tones), progress=note)
    assert stages == ["looking for the nearest sound", "done"]
    assert torch.equal(first.latent, second.latent)
    for file in files:
        file.write_bytes(b"damaged")
    assert torch.equal(invert(tones, sound_of(tones)).latent, first.latent)
    with torch.no_grad():
        tones.generator.noise.mul_(0.5)  # another model now
    stages.clear()
    invert(tones, sound_of(tones), progress=note)
    assert len(stages) == 6


def test_it_can_be_called_off(tones):
    asked = []
    with pytest.raises(CalledOffError):
        invert(tones, sound_of(tones), cancelled=lambda: asked.append(0) or len(asked) > 40)
    assert len(asked) == 41


@pytest.mark.parametrize("wrong", [np.zeros((1, 500)), np.full((1, 9), np.nan), np.ones((2, 500)), np.zeros((1, 0))])
def test_what_is_no_sound_for_this_model_is_refused(tones, wrong):
    with pytest.raises(UsageError):
        invert(tones, wrong)


@pytest.mark.parametrize("label", ["low", "high"])
def test_labels_are_found_with_the_latent_or_kept_to(labelled, label):
    sound = labelled.generate(latents=LATENT[None], labels=label)[0].numpy()
    found = invert(labelled, sound)
    assert found.verdict in ("same", "near")
    assert found.labels.get(label, 0) > 0.8
    assert found.weights.sum() == pytest.approx(1, abs=1e-4)
    kept = invert(labelled, sound, labels=label)
    assert kept.labels == {label: 1}
    assert kept.verdict in ("same", "near")
    other = invert(labelled, sound, labels="high" if label == "low" else "low")
    assert other.labels == {"high" if label == "low" else "low": 1}
    assert other.distance > 3 * max(found.distance, kept.distance)
    with pytest.raises(UsageError, match="low, high"):
        invert(labelled, sound, labels="middle")


def test_labels_of_a_model_without_are_refused(tones):
    with pytest.raises(UsageError):
        invert(tones, sound_of(tones), labels="snare")


def test_models_of_one_sample_after_another_are_refused():
    architecture = WaveNet(512, dim=2, skip_dim=2, layers=2, levels=16)
    synthesizer = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), RATE)
    with pytest.raises(UsageError, match="noise"):
        invert(synthesizer, np.ones((1, 512)))


def test_distance_is_a_distance_and_deaf_to_level(tones):
    likeness = Likeness(tones.representation, RATE, LENGTH)
    sounds = tones.generate(6)
    points = likeness.of_audio(sounds)
    distances = torch.cdist(points, points)
    assert (distances + torch.eye(6) > 0).all()
    torch.testing.assert_close(likeness.of_audio(0.01 * sounds), points, atol=1e-3, rtol=0)
    torch.testing.assert_close(likeness.of_features(sounds), points)
    later = sounds.roll(LENGTH // 4, 2)
    assert ((likeness.of_audio(later) - points).norm(dim=1) > 3).all()


@pytest.mark.parametrize("weights", [[0.2, 0.5, 0.9], [-1.0, 0.1, 0.3], [5.0, 1.0, 1.0], [0.2, 0.3, 0.5]])
def test_weights_of_labels_go_to_the_nearest_that_are_some(weights):
    projected = inversion._onto_simplex(torch.tensor([weights]))[0].numpy()
    best = minimize(
        lambda w: np.square(w - weights).sum(),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )
    np.testing.assert_allclose(projected, best.x, atol=1e-3)
