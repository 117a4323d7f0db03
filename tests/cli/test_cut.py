"""`fauxley cut`, and lengths in seconds."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from fauxley.cli.main import main
from fauxley.dataset.hit_files import file_stems
from fauxley.sounds.catalogue import Sound

pytestmark = pytest.mark.slow


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    folder = tmp_path / "takes"
    (folder / "door").mkdir(parents=True)
    random = np.random.default_rng(0)
    audio = np.zeros((8 * 44100, 2))
    for second in range(1, 8):
        burst = random.standard_normal((8820, 1)) * np.exp(-np.arange(8820) / 1500)[:, None] * (0.05 * second, 0.02)
        audio[second * 44100 : second * 44100 + 8820] += burst
    soundfile.write(folder / "door" / "take.wav", audio, 44100, subtype="PCM_24")
    soundfile.write(folder / "door" / "take.flac", audio[: 3 * 44100], 44100)
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    return folder


def test_cuts_are_files_at_their_rate_channels_level_and_place(
    takes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "hits"
    assert main(["cut", str(takes), "--out", str(out), "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "9 hits of 2 files" in said
    assert "broken.wav" in said
    rows = list(csv.DictReader((out / "cuts.csv").read_text().splitlines()))
    assert len(rows) == len(list(out.rglob("*.wav"))) == 9
    takes_rows = [row for row in rows if row["source"] == "door/take.wav"]
    assert [round(float(row["start_seconds"]), 1) for row in takes_rows] == [1, 2, 3, 4, 5, 6, 7]
    whole = soundfile.read(takes / "door" / "take.wav")[0]
    for row in takes_rows:
        path = out / row["file"]
        assert path.parent.name == row["label"] == "door"
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (44100, 2, "PCM_24")
        cut, _ = soundfile.read(path)
        start = int(row["start_sample"])
        assert len(cut) == int(row["num_samples"])
        np.testing.assert_allclose(cut[200:2000], whole[start + 200 : start + 2000], atol=1e-6)
        assert abs(cut[0]).max() < 1e-6
        assert abs(cut[-1]).max() < 1e-3
    for name in ("cuts.png", "sheet.png"):
        with Image.open(out / name) as picture:
            assert np.asarray(picture).std() > 10


def test_nothing_is_ever_overwritten(takes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "taken"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    assert main(["cut", str(takes), "--out", str(out)]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert main(["cut", str(takes), "--out", str(takes / "hits")]) == 2
    assert "elsewhere" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    soundfile.write(tmp_path / "taken" / "silence.wav", np.zeros(44100), 44100)
    assert main(["cut", str(out), "--out", str(tmp_path / "none")]) == 1
    assert "no hit" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken", "takes"]


def test_names_never_meet_and_suit_every_system() -> None:
    names = ["a/x.wav", "a/x.flac", "a/X.ogg", "b:c/x?.wav", "../evil.wav", "x.wav"]
    labels = ["a", "a", "a", "snare/loud", "..", ""]
    stems = file_stems([Sound(name, label, "", 1, 0) for name, label in zip(names, labels, strict=True)])
    assert len({stem.casefold() for stem in stems}) == len(names)
    assert stems[0] == "a/x"
    assert stems[-1] == "x"
    assert not any(part in ("", ".", "..") or set(part) & set(':?*"<>|\\') for s in stems for part in s.split("/"))


def test_seconds_take_the_shortest_length_in_which_they_fit_and_say_so(
    takes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", str(takes), str(tmp_path / "ds"), "--slicing", "onsets", "--jobs", "1"]
    assert main([*command, "--seconds", "0.9"]) == 0
    assert "clips of 16384 samples, 1.02 s at 16000 Hz" in capsys.readouterr().out
    train = ["train", "wavegan-tiny", "--data", str(tmp_path / "ds"), "--run", str(tmp_path / "run"), "--dry-run"]
    assert main([*train, "--seconds", "0.5"]) == 0
    assert "clips of 8192 samples, 0.51 s" in capsys.readouterr().out
    assert main([*train, "--seconds", "1000"]) == 2
    assert "longer than the longest clip of a model" in capsys.readouterr().err
    assert main([*command, "--seconds", "nan"]) == 2


def test_training_says_when_a_dataset_was_not_cut(
    takes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(takes), str(tmp_path / "ds"), "--jobs", "1", "--quiet"]) == 0
    train = ["train", "wavegan-tiny", "--data", str(tmp_path / "ds"), "--run", str(tmp_path / "run")]
    assert main([*train, "--slicing", "onsets", "--steps", "1"]) == 2
    assert "not cut at its onsets" in capsys.readouterr().err
