"""`fauxley train` without a preset: it begins, goes on, goes on for longer, says what it will do and what is wrong."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import fauxley
from fauxley.cli.main import main
from fauxley.models.draws import Draws, Purpose
from fauxley.terminal.training_line import TerminalReporter
from fauxley.training.expectations import Curve

SMALL = ["--dim", "1", "--batch-size", "2", "--device", "cpu", "--tensorboard", "off"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def begun(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has used its minutes up."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAUXLEY_CACHE_DIR", str(folder.parent / "cache"))
        assert train(kit, folder, "--minutes", "0.01", *SMALL, "--quiet") == 0
    return folder


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


def train(data: Path, run: Path, *more: str) -> int:
    return main(["train", "--data", str(data), "--run", str(run), *more])


def config_of(run: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((run / "config.json").read_text())["config"]
    return config


def steps(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_a_folder_of_labelled_sounds_becomes_a_model_of_its_rate_length_and_labels(kit: Path, begun: Path) -> None:
    config = config_of(begun)
    assert (config["preset"], config["minutes"]) == ("default", 0.01)
    assert config["architecture"]["spectrogram"] == "bands"
    assert config["data"]["balance_labels"]
    model = fauxley.load(begun)
    assert model.sample_rate == 16000
    assert model.labels == tuple(sorted(path.name for path in kit.iterdir() if path.is_dir()))
    sounds = model.generate(2, labels="kick")
    lengths = [soundfile.info(path).frames for path in kit.rglob("*.wav")]
    assert 0.9 * np.percentile(lengths, 90) <= sounds.shape[2] <= np.percentile(lengths, 90) + 32 * 128
    assert sounds.abs().max() <= 1
    previews = sorted(path.name for path in (begun / "samples").iterdir())
    assert previews[-1] == steps(begun)[-1]


def test_previews_are_the_sounds_that_the_model_makes_of_their_latents_and_labels(kit: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(kit, run, "--minutes", "0.01", *SMALL, "--quiet", "--precision", "bfloat16") == 0
    previews = sorted((run / "samples" / steps(run)[-1]).glob("*.wav"), key=lambda path: path.stem.rpartition("-")[2])
    model = fauxley.load(run)
    latents = Draws(Purpose.PREVIEW, int(config_of(run)["seed"])).latents(len(previews), model.architecture.latent_size)
    np.save(tmp_path / "latents.npy", latents.numpy())
    labels = [path.stem.rpartition("-")[0] for path in previews]
    assert set(labels) == set(model.labels)
    made = tmp_path / "made"
    arguments = ["generate", str(run), "--out", str(made), "--latents", str(tmp_path / "latents.npy"), "--quiet"]
    assert main([*arguments, "--batch-size", "16", "--label", *labels]) == 0
    again = sorted(made.glob("*.wav"), key=lambda path: path.stem.rpartition("-")[2])
    for preview, sound in zip(previews, again, strict=True):
        np.testing.assert_array_equal(soundfile.read(preview)[0], soundfile.read(sound)[0])


@pytest.mark.slow
def test_minutes_that_are_used_up_are_said_to_be_and_more_of_them_go_on(
    kit: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, model = config_of(run), steps(run)[-1]
    assert train(kit, run) == 0
    printed = capsys.readouterr().out
    assert "the 0.01 minutes are used up already" in printed
    assert "the same command with --minutes 0.02" in printed
    assert steps(run)[-1] == model
    assert config_of(run) == before
    assert train(kit, run, "--minutes", "0.03") == 0
    captured = capsys.readouterr()
    assert re.search(r"resuming .* at minute 0\.0 of 0\.03, step [1-9]", captured.err)
    assert "the 0.03 minutes are over" in captured.out
    assert steps(run)[-1] > model
    assert config_of(run) == before | {"minutes": 0.03}
    assert train(kit, run, "--minutes", "0.02") == 2
    assert "can be raised, but not lowered to 0.02" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["--dim", "2"], "with architecture.dim = 1, not 2"),
        (["--batch-size", "4"], "with batch_size = 2, not 4"),
        (["--seed", "7"], "with seed = 0, not 7"),
        (["--channels", "2"], "channels"),
        (["--seconds", "0.2"], "with architecture.clip_length"),
        (["--sample-rate", "8000"], "with data.sample_rate = 16000, not 8000"),
        (["--no-labels"], "begun with labels"),
        (["--pitch", "0"], "with data.pitch = 0.5, not 0.0"),
        (["--precision", "bfloat16"], "with precision = 'float32', not 'bfloat16'"),
    ],
)
def test_a_begun_run_keeps_its_own_configuration(
    change: list[str], named: str, kit: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(kit, run, "--minutes", "0.02", "--quiet", *change) == 2
    error = capsys.readouterr().err.strip()
    assert named in error
    assert len(error.splitlines()) == 1


def test_a_run_of_a_preset_is_not_taken_over(dataset: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((run / "config.json").read_text())
    config["config"]["preset"] = "specgan-small"
    (run / "config.json").write_text(json.dumps(config))
    assert train(dataset, run) == 2
    assert f"resume it with: fauxley train specgan-small --data {dataset} --run {run}" in capsys.readouterr().err


def test_a_dry_run_says_what_will_happen_and_makes_nothing(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(kit, tmp_path / "run", "--dry-run", "--minutes", "5", *SMALL) == 0
    printed = capsys.readouterr().out
    for part in (
        "16, at 16000 Hz, mono",
        "the beginning of each sound",
        "each sound also up to 0.5 semitones lower and higher",
        "about 16 clips is very little",
        "learns 8 labels",
        "kick 2",
        "d = 1:",
        "computing in float32",
        "as tried here",
        "5 minutes: about",
        "clips seen, each about",
    ):
        assert part in printed
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(
        "fauxley.training.expectations.expectations.__defaults__",
        ((Curve("drums", "distance", ((1e-6, 3.0), (1e9, 3.0))),),),
    )
    assert train(kit, tmp_path / "run", "--dry-run", "--minutes", "5", *SMALL) == 0
    assert "drums: distance 3" in capsys.readouterr().out


def test_a_dataset_is_learnt_as_it_was_prepared(dataset: Path, tmp_path: Path) -> None:
    assert train(dataset, tmp_path / "run", "--minutes", "0.01", "--no-labels", "--quiet", *SMALL) == 0
    assert fauxley.load(tmp_path / "run").labels == ()
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_stereo_at_another_rate_of_a_length_that_is_asked_for(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (24000, 2))
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", noise * (number + 1) / 3, 48000)
    out = tmp_path / "run"
    assert train(tmp_path, out, "--minutes", "0.01", "--seconds", "0.3", "--sample-rate", "24k", "--quiet", *SMALL) == 0
    model = fauxley.load(out)
    assert model.sample_rate == 24000
    assert model.generate(1).shape == (1, 2, 64 * 128 - 384)


@pytest.mark.slow
def test_hits_of_a_long_recording_are_cut(tmp_path: Path, kit: Path) -> None:
    hits = [soundfile.read(path)[0][:6000] for path in sorted(kit.rglob("kick*.wav")) + sorted(kit.rglob("snare*.wav"))]
    take = np.concatenate([np.pad(hit * np.exp(-np.arange(len(hit)) / 800), (0, 8000)) for hit in hits * 3])
    (tmp_path / "takes").mkdir()
    soundfile.write(tmp_path / "takes" / "take.wav", take, 16000)
    assert train(tmp_path / "takes", tmp_path / "run", "--minutes", "0.01", "--quiet", *SMALL) == 0
    assert config_of(tmp_path / "run")["data"]["slicing"] == "onsets"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "", "--run", "r"], "--data is empty"),
        (["--data", "nowhere", "--run", "r"], "nowhere does not exist"),
        (["--data", "{kit}", "--run", "r", "--minutes", "0"], "--minutes must be"),
        (["--data", "{kit}", "--run", "r", "--minutes", "-1"], "--minutes must be"),
        (["--data", "{kit}", "--run", "r", "--seconds", "0"], "--seconds must be"),
        (["--data", "{kit}", "--run", "r", "--sample-rate", "1"], "--sample-rate must be"),
        (["--data", "{kit}", "--run", "r", "--channels", "0"], "--channels must be"),
        (["--data", "{kit}", "--run", "r", "--dim", "0"], "--dim must be"),
        (["--data", "{kit}", "--run", "r", "--pitch", "-1"], "--pitch must be"),
        (["--data", "{kit}", "--run", "r", "--batch-size", "0"], "--batch-size must be"),
        (["{kit}", "--run", "r"], "give sounds with --data"),
        (["wavegan-smal", "--data", "{kit}", "--run", "r"], "did you mean 'wavegan-small'"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    message: str,
    kit: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *(each.format(kit=kit) for each in arguments)]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_silence_alone_is_not_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "silent").mkdir()
    for name in ("one", "two"):
        soundfile.write(tmp_path / "silent" / f"{name}.wav", np.zeros(4000), 16000)
    assert main(["train", "--data", str(tmp_path / "silent"), "--run", str(tmp_path / "r")]) == 1
    assert "are silent; there is nothing to learn" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_the_help_of_training_explains_the_default_and_lists_the_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "--minutes" in printed
    assert "specgan-small" in printed
    assert printed.index("--data my-sounds") < printed.index("specgan-small")


def test_by_the_clock_the_line_counts_minutes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fauxley.terminal.training_line.SPEAK_EVERY", -1.0)
    with TerminalReporter(quiet=False, minutes=60) as reporter:
        reporter.begin(100, 400)
        reporter.step(101, 404)
    assert re.search(r"minute 15\.0 of 60, .*, 45\.0 min left", capsys.readouterr().err)
