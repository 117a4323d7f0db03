import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fauxley.cli.main import main
from fauxley.signal.drumkit import INSTRUMENTS
from fauxley.sounds.writing import write_audio
from fauxley.training.presets import PRESETS

from .conftest import train_arguments

pytestmark = pytest.mark.slow


def test_a_run_leaves_configuration_log_previews_and_checkpoints(run: Path) -> None:
    assert json.loads((run / "config.json").read_text())["config"]["architecture"]["dim"] == 1
    assert json.loads((run / "log.jsonl").read_text().splitlines()[-1])["step"] == 3
    assert (run / "curves.png").stat().st_size > 1000
    assert sorted(path.name for path in (run / "samples" / "step-00000003").iterdir()) == [
        "00.wav",
        "01.wav",
        "sheet.png",
    ]
    files = sorted(path.name for path in (run / "checkpoints" / "step-00000003").iterdir())
    assert files == ["config.json", "model.safetensors", "training_state.pt"]


def test_training_on_a_folder_prepares_it_into_the_cache(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))
    assert main(train_arguments(kit, tmp_path / "run", "--preview-count", "0")) == 0
    assert main(train_arguments(kit, tmp_path / "run", "--preview-count", "0", "--steps", "4")) == 0
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["--batch-size", "8"], "batch_size"),
        (["--dim", "2"], "architecture.dim"),
        (["--learning-rate", "0.1"], "optimizer.learning_rate"),
        (["--seed", "1"], "seed"),
    ],
)
def test_resuming_with_a_contradiction_names_the_field(
    dataset: Path, run: Path, change: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(train_arguments(dataset, run, *change)) == 2
    error = capsys.readouterr().err.strip()
    assert f"with {named} =" in error
    assert len(error.splitlines()) == 1


def precision_of(run: Path) -> str:
    return str(json.loads((run / "config.json").read_text())["config"]["precision"])


@pytest.mark.parametrize(("here", "there"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_run_keeps_the_precision_that_auto_chose_when_it_began(
    here: str, there: str, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {}
    for name, second in (("moved", there), ("stayed", here)):
        run = tmp_path / name
        monkeypatch.setenv("FAUXLEY_PRECISION", here)
        assert main(train_arguments(dataset, run, "--preview-count", "0")) == 0
        monkeypatch.setenv("FAUXLEY_PRECISION", second)
        assert main(train_arguments(dataset, run, "--preview-count", "0", "--steps", "5")) == 0
        assert precision_of(run) == here
        ends[name] = (run / "checkpoints" / "step-00000005" / "model.safetensors").read_bytes()
    assert ends["moved"] == ends["stayed"]


def test_a_run_in_bfloat16_goes_on_where_that_is_slow_with_a_warning(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAUXLEY_PRECISION", "bfloat16")
    assert main(train_arguments(dataset, tmp_path / "run", "--preview-count", "0")) == 0
    capsys.readouterr()
    monkeypatch.setattr("fauxley.models.precision.bfloat16_gain", lambda device: 0.1)
    assert main(train_arguments(dataset, tmp_path / "run", "--preview-count", "0", "--steps", "4")) == 0
    assert "bfloat16 takes 10 times as long as float32" in capsys.readouterr().err
    assert precision_of(tmp_path / "run") == "bfloat16"
    assert main(train_arguments(dataset, tmp_path / "run", "--steps", "5", "--precision", "float32")) == 2
    assert "begun with precision = 'bfloat16', not 'float32'" in capsys.readouterr().err


def test_the_papers_presets_compute_in_float32_wherever_they_are_trained() -> None:
    papers = [
        name for name in PRESETS if name.partition("-")[2] in ("", "dcgan", "lsgan", "wgan") and name != "wavenet"
    ]
    assert len(papers) == 8
    assert {PRESETS[name][1].precision for name in papers} == {"float32"}
    assert PRESETS["wavegan-small"][1].precision == "auto"


def test_dry_run_tells_the_configuration_and_the_cost_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(train_arguments(tmp_path / "no-data", tmp_path / "run", "--dry-run")) == 0
    printed = capsys.readouterr().out
    assert '"dim": 1' in printed
    for part in ("generator:", "critic:", "a step takes about", "memory:"):
        assert part in printed
    assert not (tmp_path / "run").exists()


def test_bad_data_and_bad_folders_are_one_line(
    dataset: Path, kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.wav").write_text("not audio")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("do not touch")
    cases = [
        (tmp_path / "missing", tmp_path / "run", []),
        (tmp_path / "empty", tmp_path / "run", []),
        (tmp_path / "broken", tmp_path / "run", []),
        (dataset, tmp_path / "full", []),
        (dataset, tmp_path / "run", ["--channels", "2"]),
        (dataset, tmp_path / "run", ["--device", "cuda"]),
        (dataset, tmp_path / "full" / "thesis.txt" / "run", []),
    ]
    for data, run, more in cases:
        assert main(train_arguments(data, run, *more)) in (1, 2)
        error = capsys.readouterr().err.strip()
        assert error.startswith("fauxley: ")
        assert len(error.splitlines()) == 1, error
    assert (tmp_path / "full" / "thesis.txt").read_text() == "do not touch"


def test_the_demo_runs_from_kit_to_sounds_and_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "fauxley", "demo", "--out", str(tmp_path / "demo"), "--minutes"]
    for minutes in ("1e-4", "2e-3"):
        finished = subprocess.run([*command, minutes], capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
    assert f"fauxley generate {tmp_path / 'demo' / 'run'}" in finished.stdout
    assert "resuming" in finished.stderr
    assert len(list((tmp_path / "demo" / "generated").glob("*.wav"))) == 8 * len(INSTRUMENTS)
    assert (tmp_path / "demo" / "sheet.png").stat().st_size > 10_000
    assert (tmp_path / "demo" / "report" / "report.html").is_file()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's own
def test_tensorboard_gets_numbers_sounds_pictures_and_levels(dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra fauxley[tensorboard] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    arguments = train_arguments(dataset, tmp_path / "run", "--log-every", "1")
    arguments[arguments.index("off")] = "on"
    assert main(arguments) == 0
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    tags = board.Tags()
    assert [event.step for event in board.Scalars("wasserstein_estimate")] == [1, 2, 3]
    for kind in ("audio", "images"):
        assert {"real/0", "real/1", "generated/0", "generated/1"} <= set(tags[kind])
    assert {"level_db/real", "level_db/generated"} <= set(tags["histograms"])


def test_balancing_without_labels_begins_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_audio(tmp_path / "sounds.wav", np.ones((1, 4096)), 16000)
    assert main(["prepare", str(tmp_path), str(tmp_path / "data"), "--quiet"]) == 0
    assert main(train_arguments(tmp_path / "data", tmp_path / "run", "--balance-labels")) == 2
    assert "sub-folders" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_too_much_for_the_memory_is_one_line(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fauxley.machine.memory_bytes", lambda device: None)  # a system that does not tell
    assert main(train_arguments(dataset, tmp_path / "run", "--kernel-length", str(10**14))) == 1
    assert "out of memory; lower the size" in capsys.readouterr().err
