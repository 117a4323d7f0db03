"""Small inputs that once went wrong: what `scan` makes of them now, with FFmpeg and without."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from fauxley.cli.main import main
from fauxley.dataset.folder_report import FileReport, FolderReport, scan_folder
from fauxley.dataset.packing import pack
from fauxley.sounds.catalogue import list_sounds

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

pytestmark = pytest.mark.slow


def _folder(cases: Path, name: str) -> Path:
    folder = cases / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set FAUXLEY_CASES_DIR")
    return folder


def _scan(cases: Path, name: str) -> FolderReport:
    return scan_folder(_folder(cases, name), n_jobs=1)


def _decodable(folder: Path) -> set[str]:
    """Names of what libsndfile decodes by itself."""
    found = set()
    for path in folder.iterdir():
        try:
            soundfile.read(path)
        except soundfile.LibsndfileError:
            continue
        found.add(path.name)
    return found


def _seconds(path: Path) -> float:
    """How much FFmpeg finds in a file whatever its header says; of libsndfile, where there is no FFmpeg."""
    if av is None:
        samples, rate = soundfile.read(path)
        return len(samples) / rate
    with av.open(path) as container:
        (stream,) = container.streams.audio
        frames = [(frame.samples, frame.sample_rate) for frame in container.decode(stream)]
    return sum(samples / rate for samples, rate in frames)


def test_a_file_without_a_decoder_is_named_and_the_others_are_used(cases: Path, with_ffmpeg: bool) -> None:
    folder, report = _folder(cases, "no_decoder"), _scan(cases, "no_decoder")
    good = _decodable(folder)
    assert {file.file for file in report.files} == good
    reasons = {skip.file: skip.reason for skip in report.skipped}
    assert set(reasons) == {path.name for path in folder.iterdir()} - good
    for name, reason in reasons.items():
        assert "no decoder for its codec" in reason or (not with_ffmpeg and "fauxley[ffmpeg]" in reason), name


def test_a_codec_that_no_decoder_knows_is_named(cases: Path, with_ffmpeg: bool) -> None:
    report = _scan(cases, "audio_ffmpeg_none")
    assert report.skipped
    assert not report.files
    assert all("no decoder for its codec" in skip.reason for skip in report.skipped)


def test_prepare_passes_over_what_scan_does(cases: Path, tmp_path: Path, with_ffmpeg: bool) -> None:
    folder = _folder(cases, "no_decoder")
    dataset, report = pack(folder, tmp_path / "dataset", n_jobs=1), _scan(cases, "no_decoder")
    assert [entry.file for entry in dataset.entries] == [file.file for file in report.files]
    assert [skip.file for skip in dataset.skipped()] == [skip.file for skip in report.skipped]


def test_what_changes_inside_is_whole_and_at_the_right_speed(cases: Path) -> None:
    pytest.importorskip("av", reason="needs fauxley[ffmpeg]")
    report = _scan(cases, "format_changes")
    assert report.files or report.skipped
    for file in report.files:
        expected = _seconds(cases / "format_changes" / file.file)
        assert file.duration_seconds == pytest.approx(expected, rel=0.02), file.file
        assert any("changes rate or channels" in problem for problem in file.problems), file.file


def test_a_header_that_decoders_go_round_in_is_named_at_once(cases: Path) -> None:
    folder = _folder(cases, "info_hang")
    command = [sys.executable, "-m", "fauxley", "scan", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert any(path.name in done.stderr for path in folder.iterdir())
    assert done.stderr.count("\n") == 1


def test_totals_that_are_not_known_are_found_out(cases: Path, with_ffmpeg: bool) -> None:
    report = _scan(cases, "unknown_length_flac")
    assert report.files
    assert not report.skipped
    for file in report.files:
        expected = _seconds(cases / "unknown_length_flac" / file.file)
        assert file.duration_seconds == pytest.approx(expected, abs=1e-3), file.file
        assert file.problems == ()


def test_sizes_that_were_never_filled_in(cases: Path, with_ffmpeg: bool) -> None:
    report = _scan(cases, "size_zero_wav")
    assert report.files
    assert not report.skipped
    for file in report.files:
        _, _, bits = file.format.partition("PCM_")
        bytes_a_second = file.channels * file.sample_rate * int(bits) / 8
        size = (cases / "size_zero_wav" / file.file).stat().st_size
        headers = size - file.duration_seconds * bytes_a_second  # all else is sound
        assert 28 <= headers <= 200, file.file
        assert any("never filled in" in problem for problem in file.problems), file.file


def test_nothing_is_lost_in_silence(cases: Path, with_ffmpeg: bool) -> None:
    if av is None:
        pytest.skip("needs fauxley[ffmpeg] to know how much there is")
    for file in _scan(cases, "silent_loss").files:
        seconds = _seconds(cases / "silent_loss" / file.file)
        if file.duration_seconds < seconds - 0.1:  # an encoder's delay, at a seam, is no loss
            assert not with_ffmpeg, file.file
            assert any("less was read than is there" in problem for problem in file.problems), file.file
        else:
            assert file.duration_seconds < seconds + 0.1, file.file
            assert not any("truncated" in problem for problem in file.problems), file.file


def test_the_reason_is_about_the_file(cases: Path, with_ffmpeg: bool) -> None:
    report = _scan(cases, "misleading_reason")
    assert report.skipped
    assert all("not recognised as audio" in skip.reason for skip in report.skipped)


def _rows(folder: Path) -> list[tuple[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return [(row["file"], row["label"]) for row in csv.DictReader(file)]


def test_a_manifest_may_be_written_with_backslashes(cases: Path) -> None:
    folder = _folder(cases, "manifest/backslash")
    wanted = {name.replace("\\", "/"): label for name, label in _rows(folder)}
    assert {sound.file: sound.label for sound in list_sounds(folder).sounds} == wanted


def test_every_row_of_a_manifest_is_used_or_reported(cases: Path) -> None:
    folder = _folder(cases, "manifest/listed_not_audio_name")
    found = list_sounds(folder)
    used, reasons = {sound.file for sound in found.sounds}, {skip.file: skip.reason for skip in found.skipped}
    for name, _ in _rows(folder):
        if ".." in Path(name).parts:
            assert "out of the folder" in reasons[name]
        elif Path(name).name.startswith("."):
            assert "hidden" in reasons[name]
        elif name.endswith((".wav", ".flac", ".ogg", ".mp3")):
            assert name in used
        else:
            assert "ending" in reasons[name]


def test_a_file_with_two_labels_is_told(cases: Path) -> None:
    folder = _folder(cases, "manifest/two_labels")
    rows, told = _rows(folder), set()
    for file in scan_folder(folder, n_jobs=1).files:
        told |= {file.file} if any("listed twice" in problem for problem in file.problems) else set()
    assert told == {name for name, _ in rows if len({label for other, label in rows if other == name}) > 1}


def test_a_manifest_may_name_files_by_their_whole_path(cases: Path, tmp_path: Path) -> None:
    sound = next(_folder(cases, "manifest/absolute").glob("*.wav"))
    shutil.copy(sound, tmp_path)
    (tmp_path / "manifest.csv").write_text(f"file,label\n{tmp_path / sound.name},k\n")
    assert [(found.file, found.label) for found in list_sounds(tmp_path).sounds] == [(sound.name, "k")]


def test_names_are_whole_where_there_is_no_terminal(cases: Path, tmp_path: Path) -> None:
    sound = next(_folder(cases, "no_decoder_free").glob("*.wav"))
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
