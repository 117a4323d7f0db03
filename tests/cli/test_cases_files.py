"""Models, checkpoints and logs that went wrong: one line, soon, in little memory. See the README of the cases."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fauxley.cli.main import main

pytestmark = pytest.mark.slow

# On Linux: only there is the memory of a process easily known.
_MEASURED = """
import sys
from pathlib import Path
from fauxley.cli.main import main
code = main(sys.argv[1:])
# Not by getrusage, whose peak a process inherits from the one that began it.
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) >> 10)
sys.exit(code)
"""
_TRAIN = ["--dim", "1", "--clip-length", "4096", "--latent-size", "4", "--batch-size", "4", "--quiet"]


def _there(cases: Path, name: str) -> Path:
    if not (cases / name).exists():
        pytest.skip(f"{cases / name} is not there; set FAUXLEY_CASES_DIR")
    return cases / name


def run_apart(*arguments: str | Path) -> tuple[int, list[str], int]:
    """Exit code, lines of complaint and peak memory in MiB of the command line in a process of its own."""
    command = [sys.executable, "-c", _MEASURED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    return done.returncode, done.stderr.strip().splitlines(), int(done.stdout.split()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in kilobytes on Linux")
def test_hostile_models_are_refused_at_once_and_in_little_memory(cases: Path, tmp_path: Path) -> None:
    models = sorted(folder for folder in _there(cases, "models").iterdir() if folder.is_dir())
    assert models
    for model in models:
        code, lines, megabytes = run_apart("generate", model, "--out", tmp_path / model.name, "--count", "1")
        assert code == 1, model
        assert len(lines) == 1, lines
        assert "model" in lines[0]
        assert "Traceback" not in lines[0]
        assert megabytes < 500, model
        assert not (tmp_path / model.name).exists()


@pytest.fixture(scope="module")
def begun(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps, with one checkpoint besides the first."""
    run = tmp_path_factory.mktemp("begun") / "run"
    assert train(kit, run, 4) == 0
    return run


def train(kit: Path, run: Path, steps: int, *more: str) -> int:
    arguments = ["train", "wavegan-tiny", "--data", kit, "--run", run, "--steps", steps, "--checkpoint-every", 4]
    return main([*map(str, arguments), "--sample-rate", "8000", "--preview-every", "4", *_TRAIN, *more])


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


def steps(run: Path) -> list[int]:
    return [int(folder.name[-8:]) for folder in sorted((run / "checkpoints").glob("step-*"))]


def test_a_state_that_does_not_fit_is_a_damaged_checkpoint_and_the_one_before_is_taken(
    cases: Path, kit: Path, run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    newest = run / "checkpoints" / "step-00000004"
    shutil.copy(_there(cases, "state_segv/training_state.pt"), newest)
    assert train(kit, run, 6) == 0
    error = capfd.readouterr().err
    assert "damaged checkpoint" in error
    assert "Traceback" not in error
    assert steps(run) == [0, 4, 6]


def test_where_no_state_fits_nothing_is_trained(
    cases: Path, kit: Path, run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "checkpoints" / "step-00000000")
    for name in ("training_state.pt", "config.json"):
        shutil.copy(_there(cases, f"state_segv/{name}"), run / "checkpoints" / "step-00000004")
    assert train(kit, run, 6) == 1
    error = capfd.readouterr().err
    assert "damaged checkpoint" in error
    assert "no checkpoint can be read" in error
    assert "Traceback" not in error


@pytest.mark.filterwarnings("default")
def test_a_log_with_lines_of_another_kind_is_gone_on_with(
    cases: Path, kit: Path, run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs = sorted(os.fspath(file) for file in _there(cases, "run_log").iterdir() if file.is_file())
    assert logs
    for number, log in enumerate(logs):
        shutil.copy(log, run / "log.jsonl")
        assert train(kit, run, 6 + number, "--log-every", "1") == 0
        error = capfd.readouterr().err
        assert "log.jsonl" in error
        assert "passed over" in error
        assert [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()][-1] == 6 + number


@pytest.mark.filterwarnings("default")
def test_a_record_of_the_best_that_makes_no_sense_is_passed_over(
    cases: Path, kit: Path, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(_there(cases, "run_best/best.json"), run)
    assert main(["generate", str(run), "--out", str(tmp_path / "out"), "--count", "1", "--quiet"]) == 0
    assert "passing over" in capfd.readouterr().err
    assert train(kit, run, 6) == 0
    assert "passing over" in capfd.readouterr().err
    assert steps(run)[-1] == 6
