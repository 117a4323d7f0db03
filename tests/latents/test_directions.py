"""Knobs of a model whose latents are known turn what they say."""

import numpy as np
import pytest
import torch

from fauxley.errors import FauxleyError, UsageError
from fauxley.latents import directions
from fauxley.latents.descriptions import describe
from fauxley.latents.directions import NAMES, WORDS, Directions
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN

from .conftest import ATTACK, DECAY, GAIN, NOISE, PITCH, RATE


@pytest.fixture
def found(tones):
    return Directions.fit(tones)


@pytest.mark.parametrize(
    ("word", "number", "sign"),
    [("louder", GAIN, 1), ("longer", DECAY, 1), ("brighter", PITCH, 1), ("noisier", NOISE, 1)],
)
def test_a_knob_is_the_number_of_the_latent_that_does_it(found, word, number, sign):
    direction = found.knobs[word].direction
    assert direction.norm() == pytest.approx(1, abs=1e-5)
    assert sign * direction[number] == direction.abs().max()
    assert sign * direction[number] > 0.7


def test_a_harder_attack_rises_faster_and_falls_sooner(found):
    direction = found.knobs["harder"].direction  # of what rises and falls at once, the peak comes sooner by both
    assert direction[ATTACK] < -0.5
    assert direction[DECAY] < -0.5
    assert direction[[GAIN, PITCH]].abs().max() < 0.3


@pytest.mark.slow
def test_knobs_of_a_model_with_labels_turn_within_labels(labelled):
    for label in (None, "high", {"low": 0.5, "high": 0.5}):
        knobs = Directions.fit(labelled, label).knobs
        assert int(knobs["brighter"].direction.abs().argmax()) == PITCH
        assert int(knobs["longer"].direction.abs().argmax()) == DECAY
    low, high = (Directions.fit(labelled, label).knobs["brighter"].middle for label in ("low", "high"))
    assert low < high / 4


def test_a_knob_reaches_what_it_says(tones, found):
    latents = tones.latents(range(50, 80))
    for word in ("louder", "longer", "brighter", "noisier"):
        knob = found.knobs[word]
        assert knob.low < knob.middle < knob.high
        assert knob.works == 1
        values = [
            np.median([getattr(describe(clip, RATE), knob.changes) for clip in tones.generate(latents=moved).numpy()])
            for moved in (found.move(latents, {word: -1}), latents, found.move(latents, {word: 1}))
        ]
        assert values[0] < values[1] < values[2]
        assert values[2] / values[0] == pytest.approx(knob.high / knob.low, rel=0.5)


def test_moves_stay_among_latents_and_go_one_after_another(found):
    latents = Draws(1).latents(4, 6)
    moved = found.move(latents, {"louder": 1, "longer": -0.5})
    assert moved.abs().max() <= 1
    torch.testing.assert_close(found.move(latents[0], {"louder": 1, "longer": -0.5}), moved[0])
    torch.testing.assert_close(found.move(latents, {"louder": 0}), latents)
    torch.testing.assert_close(found.move(latents, {}), latents)
    centre = torch.zeros(6)
    step = found.move(centre, {"brighter": 0.5})
    torch.testing.assert_close(step, 3**0.5 / 2 * found.knobs["brighter"].direction)


@pytest.mark.parametrize(
    ("positions", "hint"),
    [({"brightr": 0.1}, "brighter"), ({"xyz": 1}, "louder"), ({"longer": 2}, "-1 to 1")],
)
def test_knobs_that_there_are_not_are_refused(found, positions, hint):
    with pytest.raises(UsageError, match=hint):
        found.move(torch.zeros(6), positions)


def test_the_knobs_that_there_are_are_known_before_any_search(found):
    assert tuple(found.knobs) == NAMES


def test_they_are_found_once(tones, found):
    stages = []
    again = Directions.fit(tones, progress=lambda *stage: stages.append(stage))
    assert stages == []
    assert list(again.knobs) == list(found.knobs)
    assert all(torch.equal(again.knobs[name].direction, found.knobs[name].direction) for name in found.knobs)


def test_principal_directions_are_those_of_the_first_convolution():
    architecture = WaveGAN(4096, dim=1, latent_size=5)
    generator = architecture.generator(Draws(0))
    with torch.no_grad():  # the third number moves early activations most, the first next, the others hardly at all
        generator.dense.weight *= torch.tensor([3.0, 0.01, 20.0, 0.01, 0.01])
    synthesizer = Synthesizer(architecture, generator, architecture.representation(), 16000)
    knobs = Directions.fit(synthesizer).knobs
    principal = [knob for name, knob in knobs.items() if name.startswith("principal")]
    assert len(principal) >= 2
    assert int(principal[0].direction.abs().argmax()) == 2
    shares = [knob.variance for knob in principal]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1 + 1e-6


def test_a_model_of_silence_has_no_knobs(tones):
    with torch.no_grad():
        tones.generator.noise.fill_(0)
    silent = Synthesizer(tones.architecture, _Silent(tones.generator), tones.representation, RATE)
    with pytest.raises(FauxleyError, match="silent"):
        Directions.fit(silent)


class _Silent(torch.nn.Module):
    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, z):
        return 0 * self.generator(z)


def test_regression_leaves_one_out():
    random = np.random.default_rng(0)
    z = random.standard_normal((30, 4))
    z -= z.mean(0)
    values = z @ np.array([[1.0], [0.5], [0.0], [-2.0]]) + 0.5 * random.standard_normal((30, 1))
    values -= values.mean(0)
    weights, penalty = directions._ridge(z, values)
    np.testing.assert_allclose(weights, np.linalg.solve(z.T @ z + penalty * np.eye(4), z.T @ values), atol=1e-9)
    errors = {}
    for each in directions._PENALTIES:
        out = []
        for n in range(30):
            rest = np.arange(30) != n
            w = np.linalg.solve(z[rest].T @ z[rest] + each * np.eye(4), z[rest].T @ values[rest])
            out.append(values[n] - z[n] @ w)
        errors[float(each)] = np.square(out).sum()
    assert penalty == min(errors, key=errors.get)


def test_every_word_has_a_property():
    assert {name for name, _ in WORDS.values()} == {
        "brightness",
        "lowness",
        "length",
        "noisiness",
        "attack",
        "loudness",
    }
