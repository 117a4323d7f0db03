"""Models in ONNX and TorchScript: they make the same sounds as here, and say what they are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fauxley import kernels
from fauxley.cli.main import main
from fauxley.export.onnx_model import to_onnx, write_onnx
from fauxley.export.portable import Inputs, PortableModel, agreement_of, allowed_difference
from fauxley.export.torchscript import FACTS, write_torchscript
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet

from .conftest import small

onnx = pytest.importorskip("onnx", reason="no onnx: pip install 'fauxley[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="no onnxruntime: pip install 'fauxley[onnx]'")
pytest.importorskip("onnxscript", reason="no onnxscript: pip install 'fauxley[onnx]'")

ARCHITECTURES = {
    "wavegan": WaveGAN(4096, dim=2),
    "wavegan-options": WaveGAN(8192, 2, 2, upsampling="nearest", batch_norm=True, post_filter_length=8),
    "wavegan-labels": WaveGAN(4096, dim=2, labels=("a", "b", "c")),
    "specgan": SpecGAN(4096, dim=1),
    "specgan-labels": SpecGAN(4096, dim=1, labels=("a", "b")),
    "specgan-options": SpecGAN(
        4096,
        channels=2,
        dim=1,
        upsampling="cubic",
        griffin_lim_iterations=5,
        griffin_lim_momentum=0.99,
        compensate_windows=True,
    ),
    "specgan-other-window": SpecGAN(6144, dim=1, window_length=192, hop_length=64, griffin_lim_iterations=3),
    "specgan-bands": SpecGAN(
        5000, dim=1, spectrogram="bands", hop_length=64, griffin_lim_iterations=8, griffin_lim_momentum=0.99
    ),
    "specgan-inversion": SpecGAN(4096, dim=1, inversion_dim=8, inversion_layers=1, inversion_iterations=2),
}


def specgan_heard(architecture) -> Synthesizer:
    """A model whose spectrograms are of sounds, not of what overflows."""
    synthesizer = small(architecture)
    if isinstance(architecture, SpecGAN):
        synthesizer.representation.mean.fill_(-2)
        synthesizer.representation.std.fill_(0.7)
        if synthesizer.representation.inversion is not None:
            setattr(synthesizer.representation, "inversion", architecture.inversion(Draws(4, 0)))  # noqa: B010
    return synthesizer


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_portable_model_computes_what_the_model_does(name):
    synthesizer = specgan_heard(ARCHITECTURES[name])
    inputs = Inputs.of_seeds(synthesizer, range(1, 4))
    with kernels.use("plain"), torch.no_grad():
        audio = PortableModel(synthesizer)(*inputs.named.values()).numpy()
    reference = synthesizer.generate(3, seed=1).numpy()
    assert audio.shape == reference.shape
    assert np.abs(reference).max() > 1e-3
    assert agreement_of(audio, reference).largest_difference < allowed_difference(synthesizer, inputs)
    assert allowed_difference(synthesizer, inputs) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["wavegan-options", "wavegan-labels", "specgan-options", "specgan-labels", "specgan-bands"]
)
def test_a_graph_makes_the_same_sounds_in_any_batch_and_says_what_it_is(name, tmp_path):
    synthesizer = specgan_heard(ARCHITECTURES[name])
    write_onnx(synthesizer, tmp_path / "m.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "m.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for seeds in (range(1), range(3, 8)):
        inputs = Inputs.of_seeds(synthesizer, seeds)
        (audio,) = session.run(None, {name: value.numpy() for name, value in inputs.named.items()})
        agreement = agreement_of(audio, synthesizer.generate(len(seeds), seed=seeds.start).numpy())
        assert agreement.largest_difference < allowed_difference(synthesizer, inputs)
    mixture = np.full((1, len(synthesizer.labels)), 1 / max(len(synthesizer.labels), 1), np.float32)
    if synthesizer.labels:
        latents = synthesizer.latents([9]).numpy()
        (audio,) = session.run(None, {"latents": latents, "labels": mixture})
        agreement = agreement_of(audio, synthesizer.generate(latents=latents, labels=mixture).numpy())
        assert agreement.signal_to_error_db > 20
    told = session.get_modelmeta().custom_metadata_map
    beside = json.loads((tmp_path / "m.json").read_text())
    assert told["sample_rate"] == "16000"
    assert told["license_of_training_data"] == beside["license_of_training_data"] == "CC0"
    assert beside["latent_size"] == 100
    assert beside["labels"] == json.loads(told["labels"]) == list(synthesizer.labels)
    assert beside["agreement_with_pytorch"]["signal_to_error_db"] > 20
    assert str(Path.cwd()).encode() not in (tmp_path / "m.onnx").read_bytes()  # the exporter notes where code lies


@pytest.mark.slow
def test_smaller_weights_are_smaller_and_sound_nearly_the_same():
    synthesizer = small(WaveGAN(4096, dim=8))
    sizes, errors = [], []
    for weights in ("float32", "float16", "int8"):
        model = to_onnx(synthesizer, weights)
        onnx.checker.check_model(onnx.load_from_string(model.content), full_check=True)
        sizes.append(len(model.content))
        errors.append(model.agreement.signal_to_error_db)
    assert sizes[1] < 0.55 * sizes[0]
    assert sizes[2] < 0.32 * sizes[0]
    assert errors[0] > 100
    assert errors[1] > 50
    assert errors[2] > 25


@pytest.mark.slow
def test_float16_rounds_the_networks_weights_alone():
    synthesizer = small(SpecGAN(7936, dim=4, spectrogram="bands"))
    model = to_onnx(synthesizer, "float16")
    stored = {tensor.name for tensor in onnx.load_from_string(model.content).graph.initializer}
    rounded = {name.removesuffix(".stored") for name in stored if name.endswith(".stored")}
    assert rounded
    assert all(name.startswith("generator") for name in rounded)
    assert "to_audio.phases" in stored


@pytest.mark.slow
def test_weights_too_large_for_float16_are_refused():
    synthesizer = small(WaveGAN(4096, dim=2))
    with torch.no_grad():
        synthesizer.generator.dense.weight[0, 0] = 1e6
    with pytest.raises(Exception, match="too large for float16"):
        to_onnx(synthesizer, "float16")


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["wavegan", "wavegan-labels", "specgan"])
def test_torchscript_makes_the_same_sounds_without_fauxley(name, tmp_path):
    synthesizer = specgan_heard(ARCHITECTURES[name])
    write_torchscript(synthesizer, tmp_path / "m.ts")
    facts = {FACTS: ""}
    loaded = torch.jit.load(tmp_path / "m.ts", _extra_files=facts)
    audio = loaded(*Inputs.of_seeds(synthesizer, range(5)).named.values()).numpy()
    assert agreement_of(audio, synthesizer.generate(5).numpy()).largest_difference < 1e-3
    assert json.loads(facts[FACTS])["sample_rate"] == 16000


@pytest.mark.slow
def test_the_commands_write_files_and_replace_none(model, tmp_path, capsys):
    for to, name in (("onnx", "m.onnx"), ("torchscript", "n.ts")):
        command = ["export", str(model), "--to", to, "--out", str(tmp_path / name)]
        assert main(command) == 0
        assert name in capsys.readouterr().out
        before = (tmp_path / name).read_bytes()
        assert main(command) == 2
        assert "exists already" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "m.onnx", "n.ts"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "onnx", "--out", "m.txt"], ".onnx"),
        (["--to", "torchscript", "--out", "m.onnx"], ".ts"),
        (["--to", "onnx", "--out", "no/m.onnx"], "does not exist"),
        (["--to", "onnx", "--out", "m.onnx", "--count", "3"], "--count is for kits"),
        (["--to", "onnx", "--out", "m.onnx", "--takes", "5"], "for kits"),
        (["--to", "torchscript", "--out", "m.ts", "--weights", "int8"], "--weights is for onnx"),
        (["--to", "sfz", "--out", "kit", "--weights", "int8"], "--weights is for onnx"),
    ],
)
def test_wrong_use_is_one_line(model, tmp_path, monkeypatch, arguments, said, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(model), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_what_is_no_graph_of_fixed_size_is_refused():
    with pytest.raises(ValueError, match="one sample after another"):
        PortableModel(small(WaveNet(1024, dim=2, skip_dim=2, layers=2)))
    with pytest.raises(ValueError, match="10000 iterations"):
        PortableModel(small(SpecGAN(4096, dim=1, griffin_lim_iterations=10_000)))
