"""A WaveNet from the command line: everything that a WaveGAN can do."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wavenet(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wavenet") / "run"
    assert main(arguments(dataset, folder)) == 0
    return folder


def arguments(data: Path, run: Path, *more: str) -> list[str]:
    sizes = ["--clip-length", "512", "--dim", "2", "--skip-dim", "2", "--layers", "3", "--levels", "16"]
    options = ["--batch-size", "2", "--steps", "3", "--log-every", "1", "--preview-count", "2", "--device", "cpu"]
    places = ["--data", str(data), "--run", str(run), "--tensorboard", "off", "--quiet"]
    return ["train", "wavenet-small", *places, *sizes, *options, *more]


def test_a_run_logs_bits_and_draws_them(wavenet: Path) -> None:
    lines = [json.loads(line) for line in (wavenet / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(0 < line["bits_per_sample"] < 5 for line in lines)
    assert (wavenet / "curves.png").stat().st_size > 1000
    assert (wavenet / "samples" / "step-00000003" / "01.wav").is_file()


def test_stopping_and_resuming_changes_nothing(dataset: Path, wavenet: Path, tmp_path: Path) -> None:
    assert main(arguments(dataset, tmp_path / "run", "--steps", "1")) == 0
    assert main(arguments(dataset, tmp_path / "run")) == 0
    weights = [run / "checkpoints" / "step-00000003" / "model.safetensors" for run in (wavenet, tmp_path / "run")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_generating_by_seeds_latents_and_morphing(wavenet: Path, tmp_path: Path) -> None:
    first, again, between = (tmp_path / name for name in ("first", "again", "between"))
    assert main(["generate", str(wavenet), "--out", str(first), "--count", "3", "--seed", "5", "--quiet"]) == 0
    latents = str(first / "latents.npy")
    assert main(["generate", str(wavenet), "--out", str(again), "--latents", latents, "--quiet"]) == 0
    assert main(["morph", str(wavenet), "--out", str(between), "--seeds", "5", "7", "--count", "3", "--quiet"]) == 0
    sounds = {file.stem: read(file) for folder in (first, again, between) for file in folder.glob("*.wav")}
    assert {sound.shape for sound in sounds.values()} == {(512,)}
    for number in range(3):
        np.testing.assert_array_equal(sounds[f"seed-{number + 5:08d}"], sounds[f"latent-{number:05d}"])
    np.testing.assert_array_equal(sounds["seed-00000005"], sounds["morph-0000"])
    np.testing.assert_array_equal(sounds["seed-00000007"], sounds["morph-0002"])


def test_long_latents_are_kept_out_of_sidecars(wavenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for most, kept in ((512, True), (511, False)):
        monkeypatch.setattr("fauxley.rendering.batches._IN_SIDECAR", most)
        assert main(["generate", str(wavenet), "--out", str(tmp_path / str(most)), "--count", "1", "--quiet"]) == 0
        sidecar = json.loads((tmp_path / str(most) / "seed-00000000.json").read_text())
        assert ("latent" in sidecar, sidecar["seed"]) == (kept, 0)


def test_stereo_is_refused_in_one_line(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(dataset, tmp_path / "run", "--channels", "2")) == 2
    error = capsys.readouterr().err.strip()
    assert "mono" in error
    assert len(error.splitlines()) == 1


def read(file: Path) -> np.ndarray:
    audio, _ = soundfile.read(file)
    return np.asarray(audio)
