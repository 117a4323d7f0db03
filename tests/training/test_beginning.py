"""Training that begins from a model: what is taken over, to the number, and what cannot be."""

import dataclasses

import pytest
import torch

from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.errors import UsageError
from fauxley.models.conditioning import one_hot
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Provenance, Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.training.beginning import config_from, joined_licenses, share_beyond, take_over
from fauxley.training.config import Data, Origin, TrainingConfig
from fauxley.training.loop import Trainer
from fauxley.training.objectives import Relativistic
from fauxley.training.optimizers import Adam
from fauxley.training.run import Run
from fauxley.training.state import Averaging, TrainingState

CPU = torch.device("cpu")
BANDS = SpecGAN(clip_length=1952, dim=2, latent_size=5, spectrogram="bands", window_length=128, hop_length=32)


def model(architecture, seed=3, sample_rate=8000):
    """A model whose numbers are all its own."""
    generator, representation = architecture.generator(Draws(seed)), architecture.representation()
    for number, value in enumerate(representation.state_dict().values()):
        value.copy_(0.5 + number + torch.linspace(0, 1, len(value)))
    return Synthesizer(architecture, generator, representation, sample_rate, Provenance("test", license="CC0-1.0"))


def begun(architecture, source):
    state = TrainingState.new(architecture, Adam(), True, 0, CPU)
    take_over(state, architecture, source)
    return state


def play(state, architecture, z, labels=None):
    return Synthesizer(architecture, state.best_generator, state.representation, 8000).generate(
        latents=z, labels=labels
    )


@pytest.mark.parametrize("architecture", [BANDS, WaveGAN(clip_length=4096, dim=2, latent_size=5)])
@pytest.mark.parametrize("labels", [(), ("a", "b", "c")])
def test_a_run_begins_with_the_sounds_of_its_model(architecture, labels):
    architecture = dataclasses.replace(architecture, labels=labels)
    source = model(architecture)
    z = source.latents(range(6))
    assert torch.equal(play(begun(architecture, source), architecture, z), source.generate(latents=z))


def test_labels_are_known_by_their_names_and_new_ones_begin_with_the_mean_of_all():
    source = model(dataclasses.replace(BANDS, labels=("clap", "kick", "snare")))
    architecture = dataclasses.replace(BANDS, labels=("bell", "kick", "snare", "tom"))
    state, z = begun(architecture, source), source.latents([7])
    for label in ("kick", "snare"):
        assert torch.equal(play(state, architecture, z, label), source.generate(latents=z, labels=label))
    even = source.generator(z, torch.full((1, 3), 1 / 3))
    for place in (0, 3):  # Griffin-Lim would make much of rounding, so features are compared
        mine = state.generator(z, one_hot([place], 4))
        torch.testing.assert_close(mine, even, rtol=0, atol=1e-5)


def test_a_model_without_labels_lends_its_sounds_to_all_and_one_with_labels_their_mean_to_none():
    bare, labelled = BANDS, dataclasses.replace(BANDS, labels=("a", "b"))
    source = model(bare)
    z = source.latents([1])
    for label in labelled.labels:
        assert torch.equal(play(begun(labelled, source), labelled, z, label), source.generate(latents=z))
    source = model(labelled)
    even = source.generator(z, torch.full((1, 2), 0.5))
    torch.testing.assert_close(begun(bare, source).generator(z), even, rtol=0, atol=1e-5)


@pytest.mark.parametrize("grids", [1, 2, 5])
def test_clips_of_another_length_begin_as_the_models_do(grids):
    source = model(dataclasses.replace(BANDS, clip_length=3 * 1024 - 96))
    architecture = dataclasses.replace(BANDS, clip_length=grids * 1024 - 96)
    state, z = begun(architecture, source), source.latents(range(3))
    mine, theirs = state.generator(z), source.generator(z)
    shared = min(mine.shape[3], theirs.shape[3])
    settled = shared - 24 - 31  # beyond, what comes after is within reach of the last layers' filters
    assert mine.shape == (3, 1, 32, 32 * grids)
    if settled > 0:
        torch.testing.assert_close(mine[..., :settled], theirs[..., :settled], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dim": 4}, "dim = 2, and this would have 4"),
        ({"latent_size": 6}, "latent_size = 5"),
        ({"window_length": 256}, "window_length = 128"),
        ({"channels": 2}, "channels = 1"),
    ],
)
def test_other_sizes_are_refused_by_name(changed, said):
    with pytest.raises(UsageError, match=said):
        begun(dataclasses.replace(BANDS, **changed), model(BANDS))


def test_other_kinds_are_refused():
    wavegan = WaveGAN(clip_length=4096, dim=2, latent_size=5)
    with pytest.raises(UsageError, match="is a SpecGAN, and this would be a WaveGAN"):
        begun(wavegan, model(BANDS))
    with pytest.raises(UsageError, match="clip_length = 4096, and this would have 8192"):
        config_from(config(), model(wavegan), "mine", 8192)
    wavenet = WaveNet(clip_length=256, dim=2, skip_dim=2, layers=2)
    playing = Synthesizer(wavenet, wavenet.generator(Draws(0)), wavenet.representation(), 8000)
    with pytest.raises(UsageError, match="mine is a WaveNet; no training can begin"):
        config_from(config(), playing, "mine")


def test_licences_are_passed_on_once_each():
    assert joined_licenses("MIT; CC0-1.0", "", "CC-BY-4.0; MIT") == "MIT; CC0-1.0; CC-BY-4.0"


def test_what_a_model_cannot_express_is_seen():
    representation = BANDS.representation()
    quiet = torch.rand(4, 1, 1952, generator=torch.Generator().manual_seed(0)) * 0.02
    representation.fit([quiet])
    assert share_beyond(representation, quiet) < 0.005
    assert share_beyond(representation, 40 * quiet) > 0.5


@pytest.fixture(scope="module")
def data(make_kit, tmp_path_factory):
    kit = make_kit(sample_rate=8000, duration_seconds=0.3)
    return pack(kit, tmp_path_factory.mktemp("packed") / "data", PackSettings(8000, clip_length=1952), n_jobs=1)


def config(**changed):
    settings = {"averaging": Averaging(20), "batch_size": 4, "steps": 40, "preview_count": 0, "log_every": 1}
    given = settings | {"checkpoint_every": 1000} | changed
    return TrainingConfig("default", BANDS, Relativistic(), Adam(1e-3), data=Data(8000), precision="float32", **given)


class Silent:
    """A reporter that tells nobody."""

    def __getattr__(self, name):
        return lambda *told: None


def trainer(path, config, data, source=None):
    run = Run(path)
    run.begin(config, "")
    return Trainer(run, config, data, CPU, Silent(), source=source)


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_generator_waits_for_the_critic_and_what_it_began_from_is_passed_on(data, tmp_path):
    source = model(BANDS)
    planned = config_from(config(steps=1000), source, "mine")
    waiting = trainer(tmp_path / "a", planned, data, source)
    before = weights(waiting.state.generator), weights(waiting.state.networks["critic"])
    for _ in range(3):
        waiting._step()
    assert same(before[0], weights(waiting.state.generator))
    assert same(before[0], weights(waiting.state.average))
    assert not same(before[1], weights(waiting.state.networks["critic"]))
    assert waiting.provenance.begun_from == "mine"
    assert "CC0-1.0" in waiting.provenance.license.split("; ")
    origin = dataclasses.replace(planned.origin, critic_first=0)
    going = trainer(tmp_path / "b", dataclasses.replace(planned, origin=origin), data, source)
    going._step()
    assert not same(before[0], weights(going.state.generator))


@pytest.mark.slow
def test_a_run_that_began_from_a_model_goes_on_without_it_to_the_same_end(data, tmp_path):
    source = model(BANDS)
    planned = dataclasses.replace(config_from(config(), source, "mine"), steps=4)
    planned = dataclasses.replace(planned, origin=dataclasses.replace(planned.origin, critic_first=1))
    whole = trainer(tmp_path / "whole", planned, data, source)
    whole.train()
    first = trainer(tmp_path / "parts", dataclasses.replace(planned, steps=2), data, source)
    first.train()
    # The share of the training that is done decides nothing here but how long the generator waits.
    second = trainer(tmp_path / "parts", planned, data)
    second.train()
    assert second.provenance == whole.provenance
    assert same(weights(whole.state.generator), weights(second.state.generator))
    with pytest.raises(UsageError, match=r"begun with origin\.model = 'mine', not 'other'"):
        Run(tmp_path / "parts").begin(dataclasses.replace(planned, origin=Origin("other", planned.origin.sha256)), "")


def test_a_new_run_asks_for_the_model_and_refuses_another_rate(data, tmp_path):
    source = model(BANDS)
    planned = config_from(config(), source, "mine")
    with pytest.raises(UsageError, match="give the model that it begins from again"):
        trainer(tmp_path / "a", planned, data)
    source.sample_rate = 16000
    with pytest.raises(UsageError, match="16000 Hz, and the data has 8000 Hz"):
        trainer(tmp_path / "b", planned, data, source)
