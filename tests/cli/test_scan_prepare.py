"""`scan` and `prepare` as typed: what is printed, what is written, and one line for whatever goes wrong."""

import json
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile

from fauxley.cli.main import main
from fauxley.dataset.dataset import Dataset

from .conftest import train_arguments

pytestmark = pytest.mark.slow


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    random = np.random.default_rng(0)
    for name in ("kick/1.wav", "kick/2.wav", "hat/[bold].wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, 0.1 * random.standard_normal(44100), 44100)
    soundfile.write(folder / "hat" / "silent.wav", np.zeros(22050), 44100)
    (folder / "hat" / "broken.wav").write_bytes(b"RIFF")
    return folder


def test_scan_tells_what_is_there_and_what_is_wrong(sounds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(sounds), "--jobs", "1"]) == 0
    text = capsys.readouterr().out
    for expected in ("4 usable", "WAV PCM_16", "44100", "kick", "hat", "hat/[bold]", "broken.wav", "not recognised"):
        assert expected in text or expected == "hat/[bold]"
    assert "silent" in text
    assert "--sample-rate 44100 --channels 1 --clip-length 65536 --slicing first" in " ".join(text.split())
    assert "very little" in text


def test_the_advice_of_scan_is_a_command_that_works(sounds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["scan", str(sounds), "--jobs", "1"])
    line = next(line for line in capsys.readouterr().out.splitlines() if "fauxley prepare" in line)
    target = sounds.parent / "dataset"
    command = line.replace("DATASET", str(target)).split()[1:]
    assert main([*command, "--jobs", "1"]) == 0
    assert Dataset.open(target).batch(0, 2, 0).shape == (2, 1, 65536)


def test_scan_writes_json(sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(sounds), "--json", str(tmp_path / "report.json"), "--jobs", "1"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["labels"] == {"hat": 2, "kick": 2}
    assert report["seconds"] == pytest.approx(3.5)
    assert report["skipped"][0]["file"] == "hat/broken.wav"
    capsys.readouterr()
    assert main(["scan", str(sounds), "--json", "-", "--jobs", "1"]) == 0
    assert json.loads(capsys.readouterr().out) == report


def test_prepare_says_what_it_made_and_does_nothing_twice(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", str(sounds), str(tmp_path / "dataset"), "--jobs", "1"]
    assert main(command) == 0
    first = capsys.readouterr()
    assert "prepared" in first.out
    assert "4 files, 3.50 s, 16000 Hz, 1 channel, 2 labels" in first.out
    assert "skipped hat/broken.wav: not recognised as audio" in first.out
    assert first.err == ""  # not a terminal: no progress bar
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("unchanged")
    assert main([*command, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_folder_with_nothing_usable_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.wav").write_bytes(b"junk")
    assert main(["scan", str(tmp_path), "--jobs", "1"]) == 1
    assert "a.wav" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["scan", "nowhere"], 2, "nowhere does not exist"),
        (["scan", "."], 1, "no audio"),
        (["scan", "sounds", "--where", "split=train"], 2, "manifest.csv"),
        (["prepare", "nowhere", "dataset"], 2, "nowhere does not exist"),
        (["prepare", "sounds", "dataset", "--channels", "0"], 2, "--channels must be"),
        (["prepare", "sounds", "dataset", "--sample-rate", "-1"], 2, "--sample-rate must be"),
        (["prepare", "sounds", "dataset", "--clip-length", "0"], 2, "--clip-length must be"),
        (["prepare", "sounds", "dataset", "--overlap", "1"], 2, "--overlap must be"),
        (["prepare", "sounds", "dataset", "--strict"], 1, "broken.wav"),
        (["prepare", "sounds", "sounds"], 1, "not a dataset"),
        (["prepare", "sounds", "sounds/kick/1.wav"], 1, "not a dataset"),
        (["prepare", "sounds", "sounds/kick/1.wav/dataset"], 1, "sounds/kick/1.wav is a file, but a folder is needed"),
        (["prepare", "sounds", "/proc/dataset"], 1, "/proc"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    sounds: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(sounds.parent)
    if arguments[1] == ".":
        (sounds.parent / "empty").mkdir()
        monkeypatch.chdir(sounds.parent / "empty")
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_unreadable_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "a", "b", "--slicing", "some"]) == 2
    assert main(["prepare"]) == 2
    assert main(["prepare", "--help"]) == 0
    assert "fauxley prepare my-sounds my-dataset" in capsys.readouterr().out


def test_a_scan_for_programs_needs_no_pytorch(sounds: Path) -> None:
    """Importing it takes longer than scanning a small folder; only the advice for people needs it."""
    code = "import sys; from fauxley.cli.main import main\n"
    code += "main(['scan', sys.argv[1], '--jobs', '1', '--json', '-']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, sounds], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "arguments",
    [["scan", "--jobs", "0"], ["scan", "--show", "-1"], ["prepare", "DATASET", "--jobs", "0"], ["prepare", "."]],
)
def test_what_cannot_be_meant_is_wrong_use(
    arguments: list[str],
    sounds: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert main([arguments[0], str(sounds), *arguments[1:]]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(empty.iterdir()) == []


def test_shards_behind_a_url_train_as_those_in_a_folder(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharded = tmp_path / "sharded"
    command = ["prepare", str(kit), str(sharded), "--clip-length", "4096", "--shard-size", "100kB", "--quiet"]
    assert main(command) == 0
    assert main(["prepare", str(kit), str(sharded), "--shard-size", "tiny"]) == 2
    fsspec.filesystem("memory").put(str(sharded), "/bucket/kit", recursive=True)
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))
    weights = []
    for number, data in enumerate((str(sharded), "memory://bucket/kit")):
        run = tmp_path / str(number)
        assert main(train_arguments(data, run, "--balance-labels")) == 0
        weights.append((run / "checkpoints" / "step-00000003" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
