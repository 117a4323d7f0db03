"""What a synthesizer plays is what its generator is at that moment, however it was edited, and sounds alike."""

import copy
import pickle

import pytest
import torch
from torch import nn

from fauxley import kernels
from fauxley.kernels import packing
from fauxley.models.draws import Draws
from fauxley.models.layers import NearestUpsampling, TransposedUpsampling
from fauxley.models.packed import PackedLayer, PackedLayers, fingerprint
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN

ARCHITECTURES = {
    "wavegan": WaveGAN(4096, dim=4),
    "wavegan, nearest": WaveGAN(4096, dim=4, upsampling="nearest", batch_norm=True),
    "specgan": SpecGAN(2048, dim=4, window_length=64, hop_length=64, griffin_lim_iterations=0),
}


@pytest.fixture(params=ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def synthesizer(request):
    return synthesizer_of(request.param)


def synthesizer_of(architecture, seed=0):
    return Synthesizer(architecture, architecture.generator(Draws(seed)), architecture.representation(), 16000)


def defined(synthesizer, latents):
    """The sounds that the generator's `forward` makes."""
    with torch.inference_mode():
        return synthesizer.representation.to_audio(synthesizer.generator(latents))


def set_to_zero(parameter):
    with torch.no_grad():
        parameter.zero_()


def load(synthesizer, assign):
    other = synthesizer_of(synthesizer.architecture, seed=1).generator.state_dict()
    synthesizer.generator.load_state_dict(other, assign=assign)


def first(synthesizer):
    return synthesizer.generator.layers[0]


def swap_two_channels(weight):
    weight.data[..., [0, 1]] = weight.data[..., [1, 0]]


def edit_by_numpy(weight):
    weight.detach().numpy()[...] *= 3


def override(module, factor):
    plain = module.forward
    module.forward = lambda x: factor * plain(x)


def another_layer(synthesizer):
    layer = copy.deepcopy(first(synthesizer))
    edit_by_numpy(layer.weight)
    synthesizer.generator.layers[0] = layer


EDITS = {
    "in place, no_grad": lambda s: set_to_zero(first(s).weight),
    "bias in place, no_grad": lambda s: nn.init.ones_(first(s).bias),
    "by its data": lambda s: first(s).weight.data.zero_(),
    "by copying into its data": lambda s: first(s).weight.data.copy_(torch.ones(())),
    "of one weight by its data": lambda s: first(s).weight.data.view(-1)[first(s).weight.numel() // 2 + 12].fill_(10),
    "of two channels' order": lambda s: swap_two_channels(first(s).weight),
    "by NumPy": lambda s: edit_by_numpy(first(s).weight),
    "by other data": lambda s: setattr(first(s).weight, "data", -first(s).weight.data),
    "by another parameter": lambda s: setattr(first(s), "weight", nn.Parameter(-first(s).weight.detach())),
    "by another layer": another_layer,
    "of all weights": lambda s: [set_to_zero(each) for each in s.generator.parameters()],
    "by loading": lambda s: load(s, assign=False),
    "by loading, assigned": lambda s: load(s, assign=True),
    "by another generator": lambda s: setattr(s, "generator", synthesizer_of(s.architecture, seed=1).generator.eval()),
    "by a hook": lambda s: first(s).register_forward_hook(lambda module, inputs, y: 2 * y),
    "by a hook of the generator": lambda s: s.generator.register_forward_hook(lambda module, inputs, y: y / 2),
    "by an override of a layer": lambda s: override(first(s), 2),
    "by an override of the generator": lambda s: override(s.generator, 0.5),
    "of what is not packed": lambda s: set_to_zero(s.generator.dense.weight),
    "by training": lambda s: train(s.generator),
}


def train(generator):
    generator.train()
    optimizer = torch.optim.SGD(generator.parameters(), lr=10)
    generator(torch.ones(2, 100)).square().sum().backward()
    optimizer.step()
    generator.eval()


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_is_heard_at_once(synthesizer, edit, monkeypatch):
    monkeypatch.setattr(packing, "_MANY_IMAGE_CHANNELS", 1)
    latents = synthesizer.latents(range(6))
    before = synthesizer.generate(latents=latents)
    edit(synthesizer)
    after = synthesizer.generate(latents=latents)
    expected = defined(synthesizer, latents)
    scale = before.abs().max()
    assert (after - before).abs().max() > 1e-3 * scale
    assert (after - expected).abs().max() < 1e-4 * scale


def test_an_edit_between_two_batches_of_a_stream_is_heard():
    synthesizer = synthesizer_of(ARCHITECTURES["wavegan"])
    stream = synthesizer.stream(synthesizer.latents([0, 0]), batch_size=1)
    before = next(stream)
    for parameter in synthesizer.generator.parameters():
        parameter.data.zero_()
    assert before.abs().max() > 0
    assert next(stream).abs().max() == 0


def test_other_types_of_weights_are_played(synthesizer):
    latents = synthesizer.latents(range(2))
    before = synthesizer.generate(latents=latents)
    synthesizer.generator.double()
    torch.testing.assert_close(
        synthesizer.generator(latents.double()).float(), synthesizer.generator.float()(latents), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(synthesizer.generate(latents=latents), before)


def test_copies_have_weights_of_their_own(synthesizer):
    latents = synthesizer.latents([0])
    before = synthesizer.generate(latents=latents)
    for twin in (copy.deepcopy(synthesizer), pickle.loads(pickle.dumps(synthesizer))):
        set_to_zero(first(twin).weight)
        assert not torch.equal(twin.generate(latents=latents), before)
        torch.testing.assert_close(synthesizer.generate(latents=latents), before)


def test_weights_that_stay_are_packed_once(monkeypatch):
    folds = []
    prepare = kernels.PackedPlan.prepare
    monkeypatch.setattr(
        kernels.PackedPlan, "prepare", lambda self, weight, *rest: folds.append(weight) or prepare(self, weight, *rest)
    )
    synthesizer = synthesizer_of(ARCHITECTURES["wavegan"])
    for _ in range(3):
        synthesizer.generate(1)
    assert len(folds) == len(set(map(id, folds))) == len(synthesizer.generator.layers)


def test_a_layer_knows_nothing_of_its_packed_copy():
    generator = ARCHITECTURES["wavegan"].generator(Draws(0))
    state, members = dict(generator.state_dict()), dict(vars(generator.layers[0]))
    packed = PackedLayers().copy(generator)
    with torch.inference_mode():
        packed(torch.zeros(1, 100))
    assert packed is not generator
    assert list(generator.state_dict()) == list(state)
    assert vars(generator.layers[0]) == members


@pytest.mark.parametrize("layer", [TransposedUpsampling, NearestUpsampling])
@pytest.mark.parametrize("batch", [1, 9])
def test_a_packed_layer_gives_what_the_layer_gives(layer, batch):
    torch.manual_seed(0)
    layer = layer(64, 32, 25, 4)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(batch, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(PackedLayer(layer)(x), layer(x), rtol=1e-4, atol=1e-4)


def test_plain_kernels_make_the_same_sounds_without_packing(synthesizer):
    expected = synthesizer.generate(2)
    with kernels.use("plain"):
        assert PackedLayers().copy(synthesizer.generator) is synthesizer.generator
        torch.testing.assert_close(synthesizer.generate(2), expected, rtol=0, atol=1e-5)


def test_without_packing_the_sounds_are_the_same(monkeypatch):
    synthesizer = synthesizer_of(WaveGAN(4096, dim=8))
    expected = synthesizer.generate(2)
    monkeypatch.setattr(packing, "has_packing", lambda dtype: False)
    torch.testing.assert_close(synthesizer.generate(2), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_sound_hardly_depends_on_its_batch(precision):
    synthesizer = synthesizer_of(WaveGAN(dim=8)).to(precision=precision)
    sounds = synthesizer.generate(20, batch_size=20)
    for batch_size in (1, 7, 16):
        error = (synthesizer.generate(20, batch_size=batch_size) - sounds).norm() / sounds.norm()
        assert error < (1e-5 if precision == "float32" else 0.02)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 10_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_fingerprint_changes_with_every_number(size, dtype):
    values = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = fingerprint(values)
    assert torch.equal(fingerprint(values.clone()), before)
    for place in range(0, size, 999):
        changed = values.clone()
        changed[place] += 0.01
        assert torch.equal(changed, values) or not torch.equal(fingerprint(changed), before)
