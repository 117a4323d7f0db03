"""The command that gives a SpecGAN a network for phases, from end to end."""

import json
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import fauxley
from fauxley.cli.main import main
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Provenance, Synthesizer
from fauxley.training.inversion_training import InversionTrainer

pytestmark = pytest.mark.slow

SMALL = ["--dim", "8", "--layers", "1", "--batch-size", "2", "--frames", "8"]


def save(folder: Path, sample_rate: int = 16000, **sizes: int) -> Path:
    architecture = SpecGAN(**{"clip_length": 4096, "dim": 1, "latent_size": 5, **sizes})
    representation = architecture.representation()
    representation.mean.fill_(-3)
    generator = architecture.generator(Draws(0))
    provenance = Provenance("test", 7, "abc", "CC-BY-4.0")
    return Synthesizer(architecture, generator, representation, sample_rate, provenance).save(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("specgan") / "model")


@pytest.fixture(scope="module")
def trained(model: Path, dataset: Path) -> Path:
    out = model.parent / "trained"
    assert train(model, out, "--data", str(dataset), "--steps", "3", "--iterations", "1", *SMALL) == 0
    return out


def train(model: Path, out: Path, *options: str) -> int:
    return main(["train-inversion", str(model), "--out", str(out), "--device", "cpu", "--quiet", *options])


def test_the_new_model_sounds_through_its_network_and_the_old_is_untouched(
    model: Path, trained: Path, tmp_path: Path
) -> None:
    old, new = fauxley.load(model), fauxley.load(trained)
    assert isinstance(new.architecture, SpecGAN)
    assert (new.architecture.inversion_dim, new.architecture.inversion_iterations) == (8, 1)
    assert not torch.equal(new.generate(1), old.generate(1))
    assert main(["generate", str(trained), "--out", str(tmp_path / "plain"), "--count", "1", "--quiet"]) == 0
    options = ["--inversion", "griffin-lim", "--count", "1", "--quiet"]
    for path, name in ((trained, "new"), (model, "old")):
        assert main(["generate", str(path), "--out", str(tmp_path / name), *options]) == 0
    sounds = {name: (tmp_path / name / "seed-00000000.wav").read_bytes() for name in ("plain", "new", "old")}
    # Without what the sidecar says, which names the model, the sounds of Griffin-Lim are the same.
    assert sounds["new"][:4096] == sounds["old"][:4096]
    assert sounds["plain"][:4096] != sounds["new"][:4096]


def test_it_keeps_where_it_comes_from_and_adds_the_licences_of_what_it_learnt_from(trained: Path) -> None:
    provenance = fauxley.load(trained).provenance
    assert (provenance.preset, provenance.step, provenance.dataset) == ("test", 7, "abc")
    assert provenance.license == "CC-BY-4.0; CC0-1.0"


def test_a_network_is_taken_over_as_it_is_or_trained_on(
    model: Path, trained: Path, dataset: Path, tmp_path: Path
) -> None:
    assert train(model, tmp_path / "same", "--from", str(trained), "--iterations", "2") == 0
    assert train(model, tmp_path / "on", "--from", str(trained), "--data", str(dataset), "--steps", "1") == 0
    first, same, on = (
        load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "same", tmp_path / "on")
    )
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["representation.inversion.head.weight"], on["representation.inversion.head.weight"])
    assert json.loads((tmp_path / "same" / "config.json").read_text())["architecture"]["inversion_iterations"] == 2
    assert fauxley.load(tmp_path / "same").generate(1).isfinite().all()


def test_a_network_suits_models_of_other_sizes_and_channels(trained: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other", clip_length=8192, channels=2)
    assert train(other, tmp_path / "out", "--from", str(trained)) == 0
    assert fauxley.load(tmp_path / "out").generate(2).shape == (2, 2, 8192)


def test_bad_input_is_one_line(
    model: Path, trained: Path, dataset: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(dataset)]
    narrow = save(tmp_path / "narrow", window_length=128, hop_length=64)
    slow = save(tmp_path / "slow", sample_rate=8000)
    (tmp_path / "empty").mkdir()
    cases = [
        (run, data, 2, "makes samples"),
        (model, [], 2, "--from"),
        (model, ["--from", str(model)], 2, "no network"),
        (model, ["--from", str(run)], 2, "makes samples"),
        (model, ["--from", str(trained), "--dim", "8"], 2, "keeps its sizes"),
        (narrow, ["--from", str(trained)], 2, "window_length is 256"),
        (slow, ["--from", str(trained)], 2, "sample_rate is 16000"),
        (slow, data, 2, "16000 Hz and the model 8000"),
        (model, [*data, "--dim", "0"], 2, "at least 1"),
        (model, [*data, "--layers", "65"], 2, "at most 64"),
        (model, [*data, "--steps", "0"], 2, "at least 1"),
        (model, [*data, *SMALL, "--steps", "9", "--learning-rate", "1e30"], 1, "lower learning rate"),
        (model, ["--data", str(tmp_path / "nowhere")], 2, "nowhere"),
        (model, ["--data", str(tmp_path / "empty")], 1, "empty"),
        (tmp_path / "missing", data, 2, "does not exist"),
    ]
    for path, options, code, hint in cases:
        assert train(path, tmp_path / "out", *options) == code, options
        said = capsys.readouterr().err.strip()
        assert hint in said, (options, said)
        assert len(said.splitlines()) == 1, said
        assert not (tmp_path / "out").exists()
    assert train(model, trained, *data) == 2
    assert "exists already" in capsys.readouterr().err


def test_griffin_lim_for_a_model_of_samples_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(run), "--out", str(tmp_path / "out"), "--inversion", "griffin-lim"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_interrupt_keeps_what_was_learnt(
    model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check, calls = InversionTrainer.check, []

    def interrupted(trainer: InversionTrainer) -> float:
        calls.append(trainer)
        if len(calls) == 3:  # the first is before training
            signal.raise_signal(signal.SIGINT)
        return check(trainer)

    monkeypatch.setattr(InversionTrainer, "check", interrupted)
    options = ["--data", str(dataset), "--steps", "1000", "--check-every", "1", "--device", "cpu", *SMALL]
    assert main(["train-inversion", str(model), "--out", str(tmp_path / "out"), *options]) == 0
    assert "stopped, saved at step 2:" in capsys.readouterr().out
    assert fauxley.load(tmp_path / "out").generate(1).isfinite().all()
