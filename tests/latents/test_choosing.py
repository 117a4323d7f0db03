"""Of many sounds those are chosen that were wished for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.latents.choice import PICKS, Choice
from fauxley.latents.choosing import choose, second_hit_db
from fauxley.latents.descriptions import describe
from fauxley.models.synthesizer import Synthesizer

from .conftest import DECAY, GAIN, LENGTH, RATE


@pytest.mark.parametrize("pick", list(PICKS))
def test_what_is_picked_is_the_most_extreme_in_order(tones, pick):
    latents = tones.latents(range(30))
    chosen = choose(tones, latents, 4, Choice(pick=pick, pool=30))
    name, sign = PICKS[pick]
    values = [getattr(describe(clip, RATE), name) for clip in tones.generate(latents=latents).numpy()]
    assert chosen.indices == sorted(range(30), key=lambda n: -sign * values[n])[:4]
    for index in chosen.indices:
        assert chosen.facts[index][name] == pytest.approx(values[index], rel=1e-3)
        assert (chosen.facts[index]["pick"], chosen.facts[index]["from"]) == (pick, 30)


def test_a_second_hit_is_heard_and_a_decay_is_none():
    t = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 500 * t)
    decay = np.exp(-t / 0.05) * tone
    late = np.where(t > 0.5, np.exp(-(t - 0.5) / 0.05), 0) * tone
    steady, pause = tone, np.where((t > 0.4) & (t < 0.5), 0.1, 1) * tone
    clips = np.stack([decay, decay + late, decay + 0.1 * late, steady, pause])
    found = second_hit_db(clips, RATE)
    np.testing.assert_allclose(found, [0, 40, 20, 0, 20], atol=1.5)
    np.testing.assert_allclose(second_hit_db(0.001 * clips, RATE), found, atol=1e-6)
    assert second_hit_db(np.zeros((2, 100)), RATE).tolist() == [0, 0]


class Faulty(nn.Module):
    """Tones, to which the last number of the latent adds buzz above 0.5 and a second hit below -0.5."""

    def __init__(self, tones):
        super().__init__()
        self.tones = tones

    def forward(self, z):
        sound = self.tones(torch.cat([z[:, :DECAY], z[:, DECAY:]], 1).clamp(-1, 1))
        t = torch.arange(LENGTH)
        buzz = sum(torch.cos(2 * torch.pi * k * t / 64) for k in range(1, 32)) / 100
        last = z[:, 5, None, None]
        hit = torch.zeros_like(sound)
        hit[:, :, LENGTH // 2 :] = sound[:, :, : LENGTH // 2]
        return sound + (last > 0.5) * buzz + (last < -0.5) * hit


def test_the_surest_have_no_buzz_and_one_hit(tones):
    faulty = Synthesizer(tones.architecture, Faulty(tones.generator), tones.representation, RATE)
    latents = faulty.latents(range(60))
    good = set(torch.nonzero(latents[:, 5].abs() < 0.5).flatten().tolist())
    chosen = choose(faulty, latents, 12, Choice(keep=0.2))
    assert len(set(chosen.indices)) == 12
    assert set(chosen.indices) <= good
    assert len(good) < 30
    assert chosen.criteria == ("little buzz", "one hit")
    assert all(chosen.facts[index]["kept_by"] == chosen.criteria for index in chosen.indices)


def test_a_classifier_keeps_what_it_hears_the_label_in(tones, monkeypatch):
    class Judge:
        labels = ("loud", "soft")
        settings = type("Settings", (), {"sample_rate": RATE})

        def judge(self, audio):
            loud = audio.abs().amax(1) / 0.6
            return audio, torch.stack([loud, 1 - loud], 1)

    monkeypatch.setattr(Classifier, "load", lambda folder: Judge())
    latents = tones.latents(range(40))
    choice = Choice(keep=0.25, classifier=Path("somewhere"))
    soft = choose(tones, latents, 10, choice, asked=["soft"] * 40)
    loud = choose(tones, latents, 10, choice, asked=["loud"] * 40)
    assert latents[soft.indices, GAIN].mean() < -0.3
    assert latents[loud.indices, GAIN].mean() > 0.3
    assert "label_probability" in loud.facts[loud.indices[0]]
    with pytest.raises(UsageError, match="it knows loud, soft"):
        choose(tones, latents, 10, choice, asked=["green"] * 40)


def test_the_surest_are_kept_of_each_label_and_the_most_extreme_picked_of_all(labelled):
    latents, weights = labelled.latents(range(24)), labelled.label_weights(None, 24)
    kept = choose(labelled, latents, 12, Choice(keep=0.5), labels=weights)
    assert sum(index % 2 for index in kept.indices) == 6
    few = choose(labelled, latents, 4, Choice(keep=0.5, pool=24), labels=weights)
    assert sum(index % 2 for index in few.indices) == 2
    brightest = choose(labelled, latents, 4, Choice(pick="brightest", pool=24), labels=weights)
    assert all(index % 2 for index in brightest.indices)


def test_silence_is_never_chosen(tones):
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.tones = tones.generator

        def forward(self, z):
            return (z[:, 5, None, None] > 0) * self.tones(z)

    gated = Synthesizer(tones.architecture, Gated(), tones.representation, RATE)
    latents = gated.latents(range(20))
    heard = torch.nonzero(latents[:, 5] > 0).flatten().tolist()
    assert set(choose(gated, latents, 5, Choice(pick="quietest")).indices) <= set(heard)
    with pytest.raises(FauxleyError, match=f"only {len(heard)} of 20"):
        choose(gated, latents, 19, Choice(pick="quietest", pool=20))


def test_wishes_say_how_many_to_choose_from():
    assert Choice(pick="brightest").candidates(5) == 50
    assert Choice(pick="brightest", pool=200).candidates(5) == 200
    assert Choice(keep=0.3).candidates(10) == 34
    assert Choice(keep=0.5, pick="longest", pool=100).candidates(10) == 100
    with pytest.raises(UsageError):
        Choice(keep=0.5, pool=10).candidates(10)
    for endless in (Choice(keep=1e-7), Choice(keep=1e-300), Choice(pick="longest", pool=10**12)):
        with pytest.raises(UsageError, match="at most"):
            endless.candidates(3)
    for wrong in ({"keep": 0}, {"keep": 1.5}, {"keep": float("nan")}, {"pool": 5}, {"classifier": "x"}):
        with pytest.raises(UsageError):
            Choice(**wrong)
