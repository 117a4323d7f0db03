"""Training what finds phases."""

import math

import numpy as np
import pytest
import soundfile
import torch

from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.training.inversion_training import InversionTrainer, InversionTraining, spectral_loss
from fauxley.training.optimizers import Adam


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """Twenty files of as many clicks at random: there is nothing to know but where in the frame something happens."""
    folder = tmp_path_factory.mktemp("clicks")
    random = np.random.default_rng(0)
    for number in range(20):
        audio = np.zeros(4096)
        audio[random.integers(0, 4096, 20)] = 0.5
        soundfile.write(folder / f"{number:02d}.wav", audio, 8000)
    return pack(folder, folder.parent / "packed", PackSettings(sample_rate=8000, clip_length=4096), n_jobs=1)


def representation_of(dataset, **changed):
    sizes = {"inversion_dim": 32, "inversion_layers": 2, **changed}
    architecture = SpecGAN(clip_length=4096, dim=1, window_length=128, hop_length=64, **sizes)
    representation = architecture.representation()
    representation.fit(torch.from_numpy(batch).float() / 32768 for batch in dataset.once(8))
    representation.inversion = architecture.inversion(Draws(0))
    return representation


def weights(representation):
    return {name: value.clone() for name, value in representation.state_dict().items()}


def ignore(*_):
    pass


def test_the_loss_is_nothing_for_the_same_sound_and_for_its_negative():
    audio = 0.1 * torch.randn(2, 1, 4096, generator=torch.Generator().manual_seed(0))
    assert spectral_loss(audio, audio) == 0
    assert spectral_loss(-audio, audio) < 1e-6


def test_the_loss_of_half_the_level_is_a_half_and_ln_2():
    audio = 0.1 * torch.randn(2, 1, 4096, generator=torch.Generator().manual_seed(0))
    assert float(spectral_loss(audio / 2, audio)) == pytest.approx(0.5 + math.log(2), rel=1e-3)


def test_silence_has_a_finite_loss_and_gradient():
    silence, found = torch.zeros(1, 1, 2048), (1e-3 * torch.randn(1, 1, 2048)).requires_grad_()
    loss = spectral_loss(found, silence)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(found.grad).all()
    assert spectral_loss(silence, silence) == 0


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [0, 1])
def test_held_out_clicks_are_found_better_after_training(clicks, iterations):
    representation = representation_of(clicks, inversion_iterations=iterations)
    training = InversionTraining(steps=40, batch_size=8, frames=16, optimizer=Adam(2e-3, beta1=0.8, beta2=0.99))
    trainer = InversionTrainer(representation, clicks, training)
    before = trainer.check()
    assert trainer.train(ignore) == 40
    assert trainer.check() < 0.9 * before


def test_what_is_learnt_depends_on_the_seed_alone(clicks):
    def learn(seed):
        representation = representation_of(clicks)
        InversionTrainer(representation, clicks, InversionTraining(steps=2, batch_size=4, seed=seed)).train(ignore)
        return weights(representation)

    first, again, other = learn(0), learn(0), learn(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["inversion.head.weight"], other["inversion.head.weight"])


def test_the_statistics_are_not_trained_and_the_report_says_what_happens(clicks):
    representation = representation_of(clicks)
    before, reports = weights(representation), []
    training = InversionTraining(steps=4, batch_size=2, check_every=2)
    InversionTrainer(representation, clicks, training).train(lambda *report: reports.append(report))
    after = weights(representation)
    assert torch.equal(before["mean"], after["mean"])
    assert torch.equal(before["std"], after["std"])
    assert all(not torch.equal(before[name], after[name]) for name in before if name.startswith("inversion."))
    assert [step for step, _, _ in reports] == [1, 2, 3, 4]
    assert [checked is not None for _, _, checked in reports] == [False, True, False, True]


def test_a_tenth_of_the_files_is_never_trained_on(clicks):
    trainer = InversionTrainer(representation_of(clicks), clicks, InversionTraining())
    learnt = {entry.file for entry in trainer._sounds.entries}
    assert len(learnt) == 18
    clips = {tuple(clip.flatten().tolist()) for clip in trainer._check}
    assert len(clips) == 2
    for file in range(18):
        whole = trainer._sounds.audio(file)
        assert tuple(whole.flatten().tolist()) not in clips


def test_a_single_file_and_clips_shorter_than_a_crop_will_do(clicks):
    representation = representation_of(clicks)
    training = InversionTraining(steps=1, batch_size=2, frames=1000)
    assert InversionTrainer(representation, clicks.only([3]), training).train(ignore) == 1


def test_divergence_is_one_line(clicks):
    representation = representation_of(clicks)
    training = InversionTraining(steps=20, batch_size=2, optimizer=Adam(learning_rate=1e30))
    with pytest.raises(FauxleyError, match="learning rate"):
        InversionTrainer(representation, clicks, training).train(ignore)


@pytest.mark.parametrize("options", [{"steps": 0}, {"batch_size": 0}, {"frames": 0}, {"seed": -1}, {"check_every": 0}])
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError, match="got"):
        InversionTraining(**options)
