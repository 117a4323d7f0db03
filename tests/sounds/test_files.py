"""Finding files, and writing them so that other programs agree about what is in them."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.errors import FauxleyError, UsageError
from fauxley.sounds.catalogue import list_sounds
from fauxley.sounds.finding import find_audio
from fauxley.sounds.reading import read_audio
from fauxley.sounds.writing import quantise, write_audio


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_audio(folder).files]


def test_finds_audio_by_ending_recursively_in_order(tmp_path: Path) -> None:
    _touch(tmp_path, "b.WAV", "a/z.flac", "a/b/c.Mp3", "x.wav/inside.ogg", "notes.txt", "no_ending", "picture.jpg")
    _touch(tmp_path, ".hidden.wav", ".git/y.wav", "a/._z.flac")
    assert _names(tmp_path) == ["a/b/c.Mp3", "a/z.flac", "b.WAV", "x.wav/inside.ogg"]


def test_links_are_followed_once_and_never_upwards(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "sounds", tmp_path / "elsewhere"
    _touch(folder, "a.wav", "sub/b.wav")
    _touch(elsewhere, "c.wav")
    (folder / "up").symlink_to(tmp_path)
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "0-linked").symlink_to(folder / "sub")
    (folder / "more").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)
    (folder / "0.wav").symlink_to("a.wav")
    (folder / "hard.wav").hardlink_to(folder / "a.wav")
    assert _names(folder) == ["a.wav", "again/c.wav", "sub/b.wav"]


def test_labels_come_from_folders_or_from_a_manifest_that_then_decides(tmp_path: Path) -> None:
    _touch(tmp_path, "kick/1.wav", "kick/deep/2.wav", "3.wav")
    assert [sound.label for sound in list_sounds(tmp_path).sounds] == ["", "kick", "kick"]
    with (tmp_path / "manifest.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "license", "split"])
        writer.writerows(
            [["kick/1.wav", "boom", "CC0", "train"], ["3.wav", "tick", "", "test"], ["4.wav", "", "", "test"]]
        )
    catalogue = list_sounds(tmp_path)
    assert [(s.file, s.label, s.license) for s in catalogue.sounds] == [
        ("3.wav", "tick", ""),
        ("kick/1.wav", "boom", "CC0"),
    ]
    assert [skip.file for skip in catalogue.skipped] == ["4.wav"]
    assert [skip.file for skip in catalogue.unlisted] == ["kick/deep/2.wav"]
    assert [sound.file for sound in list_sounds(tmp_path, ["split=train"]).sounds] == ["kick/1.wav"]
    for condition, message in (
        ("split=tain", "values of 'split'"),
        ("color=red", "no column"),
        ("split", "column=value"),
    ):
        with pytest.raises(UsageError, match=message):
            list_sounds(tmp_path, [condition])


@pytest.mark.parametrize("content", [b"file;label\n1.wav;kick\n", "file,label\n1.wav,kick\n".encode("utf-16")])
def test_a_table_that_cannot_be_understood_is_not_passed_over(tmp_path: Path, content: bytes) -> None:
    _touch(tmp_path, "1.wav")
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(FauxleyError, match=r"no column .file.|cannot be read"):
        list_sounds(tmp_path)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        list_sounds(tmp_path / "nothing")
    _touch(tmp_path, "a.txt")
    with pytest.raises(UsageError, match="not a folder"):
        list_sounds(tmp_path / "a.txt")
    with pytest.raises(FauxleyError, match="no audio in"):
        list_sounds(tmp_path)


_WRITABLE = [
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "FLOAT"),
    ("flac", "PCM_16"),
    ("flac", "PCM_24"),
    ("ogg", "VORBIS"),
]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("suffix", "subtype"), _WRITABLE)
def test_what_is_written_is_what_others_read(tmp_path: Path, suffix: str, subtype: str, channels: int) -> None:
    path = tmp_path / f"tone.{suffix}"
    audio = 0.7 * np.sin(np.arange(channels * 5000).reshape(channels, 5000) / 20)
    write_audio(path, audio, 44100, subtype)
    info = soundfile.info(path)
    assert (info.subtype, info.samplerate, info.channels, info.frames) == (subtype, 44100, channels, 5000)
    error = np.abs(read_audio(path) - audio).max()
    assert error <= {"PCM_16": 0.5001 / 2**15, "PCM_24": 1.5 / 2**24, "FLOAT": 1e-7, "VORBIS": 0.1}[subtype]
    if suffix == "wav":
        riff, size, wave = np.frombuffer(path.read_bytes()[:12], "<u4")
        assert (riff, wave) == (0x46464952, 0x45564157)
        assert size + 8 == path.stat().st_size
    if shutil.which("soxi"):
        facts = [subprocess.check_output(["soxi", flag, path], text=True).strip() for flag in ("-r", "-c", "-s")]
        assert facts == ["44100", str(channels), "5000"]
    if shutil.which("ffprobe"):
        command = ["ffprobe", "-v", "warning", "-show_streams", "-of", "json", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        stream = json.loads(done.stdout)["streams"][0]
        assert done.stderr == ""
        assert (stream["sample_rate"], stream["channels"]) == ("44100", channels)
        assert abs(float(stream["duration"]) - 5000 / 44100) < 1e-4


def test_16_bit_round_trip_changes_nothing_and_clips_instead_of_wrapping(tmp_path: Path) -> None:
    every_value = np.arange(-32768, 32768)
    write_audio(tmp_path / "all.wav", every_value[None] / 32768, 16000)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "all.wav", dtype="int16")[0], every_value)
    assert quantise(np.array([1.0, 7.5, -1.0, -9.0])).tolist() == [32767, 32767, -32768, -32768]
    assert quantise(np.array([2.0, -2.0]), 24).tolist() == [2**23 - 1, -(2**23)]


def test_dither_is_triangular_and_turns_distortion_into_noise(tmp_path: Path) -> None:
    faint = np.full((1, 50000), 0.25 / 32768)
    write_audio(tmp_path / "plain.wav", faint, 16000)
    write_audio(tmp_path / "dithered.wav", faint, 16000, dither=np.random.default_rng(0))
    assert not soundfile.read(tmp_path / "plain.wav")[0].any()
    dithered = soundfile.read(tmp_path / "dithered.wav")[0] * 32768
    assert abs(dithered.mean() - 0.25) < 0.02  # on average what was there
    assert abs(dithered.var() - 0.25) < 0.01  # the noise has 1/6, rounding adds 1/12, whatever the signal


def test_the_same_sound_gives_the_same_bytes(tmp_path: Path) -> None:
    audio = 0.1 * np.random.default_rng(0).standard_normal((1, 1000))
    for suffix, subtype in _WRITABLE[:-1]:  # an Ogg stream has a random serial number
        write_audio(tmp_path / f"1.{suffix}", audio, 16000, subtype)
        content = (tmp_path / f"1.{suffix}").read_bytes()
        assert subtype != "FLOAT" or content[content.index(b"PEAK") + 12 :][:4] == bytes(4)  # no time of writing
        write_audio(tmp_path / f"2.{suffix}", audio, 16000, subtype)
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes()


def test_the_sidecar_carries_seed_latent_and_licence(tmp_path: Path) -> None:
    metadata = {"model": "runs/kicks", "seed": np.int64(7), "latent": np.array([0.5, -1.0]), "license": "CC0-1.0"}
    write_audio(tmp_path / "kick.wav", np.zeros((1, 10)), 16000, metadata=metadata)
    read = json.loads((tmp_path / "kick.json").read_text())
    assert read == {"model": "runs/kicks", "seed": 7, "latent": [0.5, -1.0], "license": "CC0-1.0"}


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    for name, subtype, audio, message in (
        ("a.mp3", None, np.zeros((1, 4)), "must end in"),
        ("a.flac", "FLOAT", np.zeros((1, 4)), "takes PCM_16"),
        ("a.wav", None, np.zeros(4), "channels, samples"),
        ("a.wav", None, np.array([[0, np.nan]]), "NaN"),
    ):
        with pytest.raises(FauxleyError, match=message):
            write_audio(tmp_path / name, audio, 16000, subtype)
    assert list(tmp_path.iterdir()) == []


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    for name, channels, rate in (
        ("a.ogg", 1, 384_000),
        ("a.flac", 1, 700_000),
        ("a.wav", 1, 10**12),
        ("a.flac", 9, 8000),
    ):
        with pytest.raises(UsageError, match=Path(name).suffix):
            write_audio(tmp_path / name, np.zeros((channels, 100)), rate)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.flac"
    write_audio(path, np.zeros((1, 100)), 16000, metadata={"model": str(path)})
    assert len(path.read_bytes()) > 0
    assert json.loads(path.with_suffix(".json").read_text())["model"] == str(path)
