"""The commands on what Windows would be: see `sitecustomize`. Only a machine with Windows could tell all."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import fauxley
from fauxley.dataset.dataset import Dataset
from fauxley.signal.drumkit import synthesize
from fauxley.sounds.writing import write_audio

pytestmark = pytest.mark.slow

_NAMES = ["straße – 日本語", "ударный 🥁", "dingbat ✂ (1)", "plain"]


@pytest.fixture
def run(tmp_path):
    """Runs `python -m fauxley` with these arguments, or `python` with them; returns the process when it has ended."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
        "PYTHONIOENCODING": "cp1252",
        "WINDOWS_BELOW": str(tmp_path),
        "FAUXLEY_CACHE_DIR": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
    }

    def run(*arguments, code=0):
        command = [sys.executable, *(["-m", "fauxley"] if arguments[0] != "-c" else []), *map(str, arguments)]
        process = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False)
        output = (process.stdout + process.stderr).decode("cp1252")
        assert "Traceback" not in output, output
        assert process.returncode == code, output
        return output

    return run


@pytest.fixture
def sounds(tmp_path):
    """24 sounds of two labels, with names that a console of Windows may not know."""
    folder = tmp_path / "звуки"
    for instrument, label in (("kick", "鼓 – kick"), ("snare", "straße")):
        for seed in range(12):
            path = folder / label / f"{_NAMES[seed % 4]} {seed}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, synthesize(instrument, seed, 16000, 0.256), 16000)
    return folder


def test_every_module_can_be_imported(run):
    names = {each.name for each in pkgutil.walk_packages(fauxley.__path__, "fauxley.")} - {"fauxley.__main__"}
    assert len(names) > 100
    run("-c", f"import importlib\nfor name in {sorted(names)}: importlib.import_module(name)")


def test_sounds_are_scanned_and_prepared(run, sounds, tmp_path):
    (sounds / "straße" / "no sound ✂.wav").write_bytes(b"RIFF, but no more")
    report = run("scan", sounds, "--json", tmp_path / "report.json", "--jobs", 2)
    assert "24 usable files" in report
    assert r"no sound \u2702.wav" in report
    assert "straße" in report
    run("prepare", sounds, "dataset", "--clip-length", 4096, "--jobs", 2)
    run("prepare", sounds, "dataset", "--clip-length", 4096, "--jobs", 2)
    run("prepare", sounds, "dataset", "--clip-length", 2048, "--jobs", 2, "--overwrite")
    run("prepare", sounds, "shards", "--clip-length", 4096, "--shard-size", "20kB", "--jobs", 1)
    run("prepare", sounds, "shards", "--clip-length", 4096, "--shard-size", "30kB", "--jobs", 1, "--overwrite")
    assert sorted(Dataset.open(tmp_path / "dataset").labels) == ["straße", "鼓 – kick"]
    assert {entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")} == set()


def test_a_model_is_trained_resumed_and_played(run, sounds, tmp_path):
    train = ["train", "wavegan-tiny", "--data", sounds, "--run", "läufe/ударный", "--clip-length", 4096, "--dim", 1]
    often = ["--batch-size", 2, "--checkpoint-every", 2, "--keep-checkpoints", 1, "--preview-every", 2]
    for steps in (2, 5):
        assert f"at step {steps}" in run(*train, *often, "--steps", steps)
    folder = tmp_path / "läufe" / "ударный"
    assert [entry.name for entry in (folder / "checkpoints").iterdir()] == ["step-00000005"]
    for _ in range(2):
        run("generate", folder, "--out", "новые", "--count", 3)
    run("generate", folder, "--out", "новые", "--count", 2, "--seed", 5, "--overwrite")
    assert len(list((tmp_path / "новые").glob("*.wav"))) == 5
    run("morph", folder, "--out", "morph", "--seeds", 1, 2, "--count", 3)
    assert "datasets          1" in run("cache")
    assert "emptied" in run("cache", "--clear")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_model_is_judged(run, sounds, tmp_path):
    run("prepare", sounds, "dataset", "--clip-length", 4096, "--jobs", 1)
    run("evaluate", sounds, "--data", "dataset", "--out", "report")
    assert (tmp_path / "report" / "report.html").is_file()
