"""Sounds by seed, model folders, and what a stranger's folder can and cannot do."""

import hashlib
import json
import pickle
import shutil
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from fauxley.errors import FauxleyError, UsageError
from fauxley.models import precision
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import FORMAT_VERSION, Provenance, Synthesizer, load
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.runs import model_folders


def make(seed=0, **changed):
    architecture = WaveGAN(**{"clip_length": 4096, "dim": 2, "latent_size": 5, **changed})
    generator = architecture.generator(Draws(seed))
    return Synthesizer(architecture, generator, architecture.representation(), 8000, Provenance("test", seed))


@pytest.fixture
def folder(tmp_path):
    return make().save(tmp_path / "model")


def edit(folder, change):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_seed_is_a_sound_whatever_is_made_with_it(batch_norm):
    synthesizer = make(channels=2, batch_norm=batch_norm)
    sounds = synthesizer.generate(7, seed=3)
    assert sounds.shape == (7, 2, 4096)
    assert sounds.dtype == torch.float32
    for batch_size in (1, 3, 64):
        torch.testing.assert_close(synthesizer.generate(7, 3, batch_size=batch_size), sounds, rtol=0, atol=1e-5)
    torch.testing.assert_close(synthesizer.generate(2, seed=5), sounds[2:4], rtol=0, atol=1e-5)
    torch.testing.assert_close(synthesizer.generate(seed=9), sounds[6:], rtol=0, atol=1e-5)


def test_latents_reproduce_what_seeds_made():
    synthesizer = make()
    latents = synthesizer.latents(range(3, 6))
    sounds = synthesizer.generate(3, seed=3)
    assert torch.equal(synthesizer.generate(latents=latents), sounds)
    assert torch.equal(synthesizer.generate(latents=latents.numpy().astype(np.float64)), sounds)
    torch.testing.assert_close(torch.cat([*synthesizer.stream(latents, 2)]), sounds, rtol=0, atol=1e-5)


def test_sounds_are_tensors_that_a_training_may_use():
    """Also changed in place; a tensor of inference mode could be neither."""
    synthesizer, network = make(), torch.nn.Conv1d(1, 1, 3)
    made = [synthesizer.generate(2), *synthesizer.stream(synthesizer.latents(range(3)), 2)]
    for batch in made:
        batch *= 0.5
        network(batch).square().sum().backward()
    assert network.weight.grad.abs().max() > 0


def test_a_model_goes_to_other_processes_and_sounds_the_same():
    synthesizer = make()
    sounds = synthesizer.generate(2)
    assert torch.equal(pickle.loads(pickle.dumps(synthesizer)).generate(2), sounds)


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "", "mps:7"])
def test_a_device_that_is_not_there_is_refused_in_one_line(folder, device):
    with pytest.raises(UsageError, match=r"device .* cannot be used here") as caught:
        load(folder, device)
    assert "\n" not in str(caught.value)


def test_no_sounds_are_an_empty_batch():
    assert make(channels=2).generate(0).shape == (0, 2, 4096)
    assert make().generate(latents=np.zeros((0, 5), np.float32)).shape == (0, 1, 4096)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"count": -1}, "count must be at least 0; got -1"),
        ({"count": 1, "seed": -2}, "seeds must be 0 or more; got -2"),
        ({"count": 1, "batch_size": 0}, "batch_size must be at least 1"),
        ({"count": 1, "latents": torch.zeros(1, 5)}, "not both"),
        ({"latents": torch.zeros(2, 4)}, r"shape \(N, 5\)"),
        ({"latents": torch.zeros(5)}, r"shape \(N, 5\)"),
        ({"latents": torch.full((1, 5), torch.nan)}, "finite"),
    ],
)
def test_requests_that_make_no_sense_are_refused_in_one_line(arguments, said):
    with pytest.raises(UsageError, match=said) as caught:
        make().generate(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changed", [{}, {"batch_norm": True, "channels": 2, "post_filter_length": 9}])
def test_a_saved_model_comes_back_bit_for_bit(tmp_path, changed):
    synthesizer = make(**changed)
    synthesizer.generator(Draws(0).latents(3, 5))  # moving statistics are no longer what they start as
    loaded = Synthesizer.from_pretrained(synthesizer.save(tmp_path / "model"))
    assert loaded.architecture == synthesizer.architecture
    assert loaded.provenance == synthesizer.provenance
    assert loaded.sample_rate == 8000
    assert torch.equal(loaded.generate(3, 1), synthesizer.generate(3, 1))
    saved, state = load_file(tmp_path / "model" / "model.safetensors"), synthesizer.generator.state_dict()
    assert {name.removeprefix("generator.") for name in saved} == set(state)


def test_saving_never_replaces_what_is_there(folder):
    before = (folder / "config.json").read_bytes()
    with pytest.raises(FileExistsError):
        make(seed=1).save(folder)
    assert (folder / "config.json").read_bytes() == before


def test_a_run_means_its_newest_complete_checkpoint(tmp_path):
    checkpoints = tmp_path / "checkpoints"
    for step in (5, 10, 200):
        make(seed=step).save(checkpoints / f"step-{step:08d}")
    shutil.copytree(checkpoints / "step-00000005", checkpoints / ".partial-123-step-00000300")
    (checkpoints / "step-00000400").mkdir()
    assert model_folders(tmp_path)[0] == checkpoints / "step-00000200"
    assert Synthesizer.from_pretrained(tmp_path).provenance.step == 200


def test_a_synthesizer_of_weights_that_have_changed_since_the_last_one_plays_the_new_ones():
    one = make(seed=1)
    before = one.generate(2)
    with torch.no_grad():
        for parameter in one.generator.parameters():
            parameter.data.mul_(1.1)  # unseen by version counters, as fused optimisers are
    again = Synthesizer(one.architecture, one.generator, one.representation, one.sample_rate)
    assert not torch.allclose(again.generate(2), before)
    fresh = one.architecture.generator()
    fresh.load_state_dict(one.generator.state_dict())
    expected = Synthesizer(one.architecture, fresh, one.representation, one.sample_rate).generate(2)
    assert torch.equal(again.generate(2), expected)


@pytest.mark.parametrize("assign", [False, True])
def test_weights_loaded_between_sounds_are_played(assign):
    one, other = make(seed=1), make(seed=2)
    one.generate(2)
    one.generator.load_state_dict(other.generator.state_dict(), assign=assign)
    assert torch.equal(one.generate(2), other.generate(2))


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(tmp_path):
    for step in (5, 10):
        make(seed=step).save(tmp_path / "checkpoints" / f"step-{step:08d}")
    flip(tmp_path / "checkpoints" / "step-00000010" / "model.safetensors")
    with pytest.warns(UserWarning, match="step-00000010 is not a usable model"):
        assert Synthesizer.from_pretrained(tmp_path).provenance.step == 5
    flip(tmp_path / "checkpoints" / "step-00000005" / "model.safetensors")
    with pytest.warns(UserWarning, match="step-00000010"), pytest.raises(FauxleyError, match="step-00000005"):
        Synthesizer.from_pretrained(tmp_path)


def test_sizes_that_the_weights_do_not_have_are_never_allocated(folder):
    config = json.loads((folder / "config.json").read_text())
    config["architecture"]["dim"] = 10**7  # petabytes
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(FauxleyError, match="not a usable model"):
        Synthesizer.from_pretrained(folder)


@pytest.mark.parametrize("make_folder", [lambda path: None, lambda path: path.mkdir()])
def test_what_is_not_there_is_said_to_be_missing(tmp_path, make_folder):
    make_folder(tmp_path / "nothing")
    with pytest.raises(FauxleyError, match=r"nothing (does not exist|holds no model)"):
        Synthesizer.from_pretrained(tmp_path / "nothing")


def flip(path):
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def rewrite(change, **said):
    """What replaces the weights by what `change` makes of them, with a checksum that is right."""

    def damage(folder):
        tensors = load_file(folder / "model.safetensors")
        content = save({name: value.contiguous() for name, value in change(tensors).items()})
        put(folder, content)
        edit(folder, lambda c: c.update(said))

    return damage


def put(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    edit(folder, lambda c: c.update(weights_sha256=hashlib.sha256(content).hexdigest()))


def header(change):
    """What replaces the header of the weights."""

    def damage(folder):
        content = (folder / "model.safetensors").read_bytes()
        length = int.from_bytes(content[:8], "little")
        new = change(content[8 : 8 + length])
        put(folder, len(new).to_bytes(8, "little") + new + content[8 + length :])

    return damage


def one(tensors, change):
    name = "generator.dense.weight"
    return tensors | {name: change(tensors[name].clone())}


def sparse(folder):
    with (folder / "model.safetensors").open("ab") as file:
        file.truncate(1 << 40)


DAMAGE = {
    "weights that are not numbers": rewrite(lambda t: one(t, lambda w: w.fill_(torch.nan))),
    "weights without end": rewrite(lambda t: one(t, lambda w: w.fill_(-torch.inf))),
    "weights of double precision": rewrite(lambda t: one(t, Tensor.double)),
    "weights of half precision that nobody speaks of": rewrite(lambda t: {n: w.half() for n, w in t.items()}),
    "half precision that the weights have not": rewrite(lambda t: t, weights="float16"),
    "some weights of half precision": rewrite(lambda t: one(t, Tensor.half), weights="float16"),
    "weights of eight bits": rewrite(lambda t: one(t, lambda w: w.to(torch.float8_e4m3fn))),
    "a precision that nobody knows": rewrite(lambda t: {n: w.bfloat16() for n, w in t.items()}, weights="bfloat16"),
    "a precision that is a list": rewrite(lambda t: t, weights=["float32"]),
    "weights in another shape": rewrite(lambda t: one(t, lambda w: w.flatten())),
    "a weight too few": rewrite(lambda t: one(t, lambda w: w) and dict(list(t.items())[1:])),
    "a weight too many": rewrite(lambda t: t | {"more": torch.zeros(1)}),
    "100,000 empty tensors": rewrite(lambda t: t | {f"e{number}": torch.zeros(0) for number in range(100_000)}),
    "a header that is nested": header(lambda h: b"[" * len(h)),
    "a header that is none": header(lambda h: b"{}"),
    "a header that is a list": header(lambda h: b"[]"),
    "a header of numbers": header(lambda h: b'{"generator.dense.weight": 1}'),
    "overlapping weights": header(lambda h: h.replace(b'"data_offsets":[0,', b'"data_offsets":[4,', 1)),
    "a header that does not end": lambda folder: put(folder, b"\xff" * 7 + b"\x7f" + b"{}"),
    "a hole in the disk": sparse,
    "weights in a folder": lambda folder: (
        (folder / "model.safetensors").unlink(),
        (folder / "model.safetensors").mkdir(),
    ),
    "a sample rate beyond any device": lambda folder: edit(folder, lambda c: c.update(sample_rate=10**200)),
    "a sample rate of one": lambda folder: edit(folder, lambda c: c.update(sample_rate=1)),
    "half a sample rate": lambda folder: edit(folder, lambda c: c.update(sample_rate=8000.5)),
    "a sample rate that is true": lambda folder: edit(folder, lambda c: c.update(sample_rate=True)),
    "a size beyond floats": lambda folder: edit(folder, lambda c: c["architecture"].update(latent_size=10**305)),
    "an infinite rate": lambda folder: edit(folder, lambda c: c.update(sample_rate=float("inf"))),
    "a name twice": lambda folder: (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace('"sample_rate"', '"sample_rate": 16000, "sample_rate"')
    ),
    "a config without end": lambda folder: (folder / "config.json").write_bytes(b" " * (2 << 20)),
    "a provenance of numbers": lambda folder: edit(folder, lambda c: c["provenance"].update(step=1e300)),
    "a bit of the weights flipped": lambda folder: flip(folder / "model.safetensors"),
    "weights cut short": lambda folder: (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:-100]
    ),
    "weights empty": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "config not JSON": lambda folder: (folder / "config.json").write_text("{"),
    "config empty": lambda folder: (folder / "config.json").write_text(""),
    "config of another kind": lambda folder: (folder / "config.json").write_text("[1, 2]"),
    "config not text": lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"),
    "config nested without end": lambda folder: (folder / "config.json").write_text("[" * 100_000),
    "another version": lambda folder: edit(folder, lambda c: c.update(format_version=FORMAT_VERSION + 1)),
    "no version": lambda folder: edit(folder, lambda c: c.pop("format_version")),
    "no checksum": lambda folder: edit(folder, lambda c: c.pop("weights_sha256")),
    "an unknown class": lambda folder: edit(folder, lambda c: c["architecture"].update(type="Popen")),
    "a class out of place": lambda folder: edit(folder, lambda c: c.update(architecture=c["provenance"])),
    "an unknown field": lambda folder: edit(folder, lambda c: c["architecture"].update(dims=3)),
    "a size that cannot be": lambda folder: edit(folder, lambda c: c["architecture"].update(clip_length=5)),
    "another size": lambda folder: edit(folder, lambda c: c["architecture"].update(dim=3)),
    "a size without end": lambda folder: edit(folder, lambda c: c["architecture"].update(dim=10**12)),
    "a word for a number": lambda folder: edit(folder, lambda c: c["architecture"].update(dim="2")),
    "a sample rate of words": lambda folder: edit(folder, lambda c: c.update(sample_rate="fast")),
    "a sample rate below zero": lambda folder: edit(folder, lambda c: c.update(sample_rate=-1)),
    "no architecture": lambda folder: edit(folder, lambda c: c.update(architecture=None)),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_and_hostile_folders_are_refused_in_one_line(folder, damage):
    damage(folder)
    with pytest.raises(FauxleyError, match="model") as caught:
        Synthesizer.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_nothing_of_what_is_refused_is_read_into_memory(folder):
    sparse(folder)
    tracemalloc.start()
    with pytest.raises(FauxleyError, match="size is not that"):
        Synthesizer.from_pretrained(folder)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [WaveGAN(4096, dim=2, batch_norm=True), SpecGAN(dim=2, batch_norm=True), WaveNet(256)]
)
def test_weights_that_are_not_finite_are_refused_in_every_part_of_every_model(tmp_path, model):
    good = Synthesizer(model, model.generator(Draws(0)), model.representation(), 16000).save(tmp_path / "good")
    names = [name for name, value in load_file(good / "model.safetensors").items() if value.is_floating_point()]
    assert names
    for number, name in enumerate(names):
        folder = shutil.copytree(good, tmp_path / str(number))
        rewrite(lambda t, name=name: t | {name: torch.full_like(t[name], torch.nan)})(folder)
        with pytest.raises(FauxleyError, match="not finite"):
            Synthesizer.from_pretrained(folder)
        shutil.rmtree(folder)


@pytest.mark.parametrize("model", [WaveGAN(4096, dim=4), SpecGAN(4096, dim=4, batch_norm=True)])
def test_weights_stored_in_half_precision_sound_nearly_the_same_and_take_half_the_room(tmp_path, model):
    exact = Synthesizer(model, model.generator(Draws(0)), model.representation(), 16000)
    whole, half = exact.save(tmp_path / "whole"), exact.save(tmp_path / "half", stored="float16")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (whole, half)]
    assert 0.49 < sizes[1] / sizes[0] < 0.55
    loaded = load(half)
    assert {value.dtype for value in loaded.generator.state_dict().values()} <= {torch.float32, torch.int64}
    difference = (loaded.generator(torch.ones(2, 100)) - exact.generator(torch.ones(2, 100))).abs().max()
    assert 0 < difference < 1e-3
    assert torch.equal(load(loaded.save(tmp_path / "again", stored="float16")).generate(2), loaded.generate(2))


def test_weights_too_large_for_half_precision_are_not_saved_in_it(tmp_path):
    synthesizer = make()
    with torch.no_grad():
        synthesizer.generator.dense.weight[0, 0] = 1e5
    with pytest.raises(FauxleyError, match="too large for float16"):
        synthesizer.save(tmp_path / "half", stored="float16")
    assert not any(tmp_path.iterdir())


def test_another_version_says_what_to_do(folder):
    DAMAGE["another version"](folder)
    with pytest.raises(FauxleyError, match="install the newest fauxley"):
        Synthesizer.from_pretrained(folder)


class Bomb:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["training_state.pt", "model.pt", "model.safetensors"])
def test_loading_a_model_unpickles_nothing(folder, tmp_path, name):
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    if name == "model.safetensors":
        with pytest.raises(FauxleyError):
            Synthesizer.from_pretrained(folder)
    else:
        assert Synthesizer.from_pretrained(folder).generate(1).shape == (1, 1, 4096)
    assert not (tmp_path / "boom").exists()


def test_bfloat16_makes_nearly_the_same_sounds_and_changes_nothing_that_is_saved(folder, tmp_path):
    exact, narrow = load(folder), load(folder, precision="bfloat16")
    difference = (exact.generate(8) - narrow.generate(8)).norm() / exact.generate(8).norm()
    assert 1e-5 < difference < 0.03
    again = load(narrow.save(tmp_path / "again"))
    assert torch.equal(again.generate(8), exact.generate(8))
    assert torch.equal(narrow.to(precision="float32").generate(8), exact.generate(8))


def test_by_itself_no_precision_is_taken_that_turns_rounding_into_other_phases(monkeypatch, tmp_path):
    monkeypatch.delenv("FAUXLEY_PRECISION")
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "bfloat16_gain", lambda device: 2.0)
    bands = SpecGAN(1952, dim=2, spectrogram="bands", window_length=128, hop_length=32, griffin_lim_momentum=0.99)
    searching, making = (
        Synthesizer(each, each.generator(Draws(0)), each.representation(), 8000)
        for each in (bands, WaveGAN(4096, dim=2))
    )
    assert searching.to(precision="auto").precision == "float32"
    assert making.to(precision="auto").precision == "bfloat16"
    assert searching.to(precision="bfloat16").precision == "bfloat16"  # who asks for it gets it
    searching.to(precision="auto")
    alone, among = searching.generate(1, seed=3), searching.generate(8)[3:4]
    torch.testing.assert_close(alone, among, rtol=0, atol=1e-3 * float(among.abs().max()))


def test_a_precision_that_cannot_be_is_refused(folder):
    with pytest.raises(UsageError, match="auto, float32 or bfloat16; got 'int8'"):
        load(folder, precision="int8")
    architecture = WaveNet(8192, layers=6, cycle=6, skip_dim=4)
    wavenet = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000)
    with pytest.raises(UsageError, match="float32 only"):
        wavenet.to(precision="bfloat16")
    assert wavenet.to(precision="float32") is wavenet
