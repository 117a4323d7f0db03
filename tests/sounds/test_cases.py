"""Small inputs that once went wrong: what `scan` makes of them now, with FFmpeg and without."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fauxley.cli.main import main
from fauxley.dataset.folder_report import FileReport, FolderReport, scan_folder
from fauxley.dataset.packing import pack
from fauxley.sounds.catalogue import list_sounds

pytestmark = pytest.mark.slow


def _scan(cases: Path, name: str) -> FolderReport:
    folder = cases / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return scan_folder(folder, n_jobs=1)


def test_a_file_without_a_decoder_is_named_and_the_others_are_used(cases: Path, with_ffmpeg: bool) -> None:
    report = _scan(cases, "no_decoder")
    assert [file.file for file in report.files] == ["good.wav"]
    reasons = {skip.file: skip.reason for skip in report.skipped}
    assert len(reasons) == len([path for path in (cases / "no_decoder").iterdir() if path.name != "good.wav"])
    for name, reason in reasons.items():
        assert "no decoder for its codec" in reason or (not with_ffmpeg and "fauxley[ffmpeg]" in reason), name
    lonely = _scan(cases, "audio_ffmpeg_none")
    assert not lonely.files
    assert all("no decoder for its codec" in skip.reason for skip in lonely.skipped)


def test_prepare_passes_over_what_scan_does(cases: Path, tmp_path: Path, with_ffmpeg: bool) -> None:
    if not (cases / "no_decoder").is_dir():
        pytest.skip("no_decoder is not there")
    dataset = pack(cases / "no_decoder", tmp_path / "dataset", n_jobs=1)
    assert [entry.file for entry in dataset.entries] == ["good.wav"]
    assert len(dataset.skipped()) == len(_scan(cases, "no_decoder").skipped)


def test_what_changes_inside_is_whole_and_at_the_right_speed(cases: Path) -> None:
    pytest.importorskip("av", reason="needs fauxley[ffmpeg]")
    report = _scan(cases, "format_changes")
    assert report.files or report.skipped
    for file in report.files:
        # AC-3 has 1536 samples a frame, here of either rate; both halves are as long.
        assert 0.6 < file.duration_seconds < 0.7, file.file
        assert any("changes rate or channels" in problem for problem in file.problems), file.file


def test_a_header_that_decoders_go_round_in_is_named_at_once(cases: Path) -> None:
    folder = cases / "info_hang"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    command = [sys.executable, "-m", "fauxley", "scan", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "bad.wav" in done.stderr
    assert done.stderr.count("\n") == 1


def test_totals_that_are_not_known_are_found_out(cases: Path, with_ffmpeg: bool) -> None:
    (file,) = _scan(cases, "unknown_length_flac").files
    assert file.duration_seconds == pytest.approx(1.0, abs=1e-3)
    assert file.problems == ()


def test_sizes_that_were_never_filled_in(cases: Path, with_ffmpeg: bool) -> None:
    report = _scan(cases, "size_zero_wav")
    assert report.files
    assert not report.skipped
    for file in report.files:
        assert file.duration_seconds == pytest.approx(0.2, abs=1e-3), file.file
        assert any("never filled in" in problem for problem in file.problems), file.file


def test_nothing_is_lost_in_silence(cases: Path, with_ffmpeg: bool) -> None:
    for file in _scan(cases, "silent_loss").files:
        seconds = float(file.file.split("_")[1].split("s")[0])
        if file.duration_seconds < 0.98 * seconds:
            assert not with_ffmpeg, file.file
            assert any("less was read than is there" in problem for problem in file.problems), file.file
        else:
            assert abs(file.duration_seconds - seconds) < 0.05, file.file
            assert not any("truncated" in problem for problem in file.problems), file.file


def test_the_reason_is_about_the_file(cases: Path, with_ffmpeg: bool) -> None:
    report = _scan(cases, "misleading_reason")
    assert report.skipped
    assert all("not recognised as audio" in skip.reason for skip in report.skipped)


def test_every_row_of_a_manifest_is_used_or_reported(cases: Path, tmp_path: Path) -> None:
    folder = cases / "manifest"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    sounds = list_sounds(folder / "backslash").sounds
    assert {sound.file: sound.label for sound in sounds} == {"d/a.wav": "k", "b.wav": "s"}
    listed = list_sounds(folder / "listed_not_audio_name")
    assert [sound.file for sound in listed.sounds] == ["a.wav"]
    reasons = {skip.file: skip.reason for skip in listed.skipped}
    for name, word in (("b.raw", "ending"), (".c.wav", "hidden"), ("../listed.wav", "out of the folder")):
        assert word in reasons[name]
    two = scan_folder(folder / "two_labels", n_jobs=1)
    (contradicted,) = [file for file in two.files if any("listed twice" in problem for problem in file.problems)]
    assert contradicted.file == "a.wav"
    shutil.copy(folder / "absolute" / "a.wav", tmp_path)
    (tmp_path / "manifest.csv").write_text(f"file,label\n{tmp_path / 'a.wav'},k\n")
    assert [(sound.file, sound.label) for sound in list_sounds(tmp_path).sounds] == [("a.wav", "k")]


def test_names_are_whole_where_there_is_no_terminal(cases: Path, tmp_path: Path) -> None:
    if not (cases / "no_decoder_free").is_dir():
        pytest.skip("no_decoder_free is not there")
    (sound,) = (cases / "no_decoder_free").glob("*.wav")
    deep = tmp_path / "usr/share/sounds/a library of drum kits/with a long name/Acoustic Kit"
    deep.mkdir(parents=True)
    for name in ("kick.wav", "snare.wav"):
        shutil.copy(sound, deep / name)
    command = [sys.executable, "-m", "fauxley", "scan", str(tmp_path), "--jobs", "1"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (deep / "snare.wav").relative_to(tmp_path).as_posix() in text


def test_scan_of_all_cases_ends(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(cases), "--jobs", "1", "--quiet"]) == 0
    report = scan_folder(cases, n_jobs=1)
    assert all(isinstance(file, FileReport) for file in report.files)
    capsys.readouterr()
