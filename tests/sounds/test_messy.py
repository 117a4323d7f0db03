"""Some sixty awkward files: `scan` and `prepare` give each the outcome its manifest calls sensible."""

import csv
import os
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.folder_report import FolderReport, scan_folder
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.errors import FauxleyError
from fauxley.sounds.finding import find_audio

pytestmark = pytest.mark.slow

# Phrase in the manifest's outcome → word that the warning must hold.
_WARNINGS = {
    "warn that the downmix is silent": "antiphase",
    "ok with what is there, warn": "truncated",
    "normalised or clipped with a warning": "over full scale",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FolderReport, Dataset, FolderReport, Dataset]:
    data = Path(os.environ.get("FAUXLEY_DATA_DIR") or Path(__file__).parents[2].parent / "shared" / "data")
    messy = data / "messy"
    if not messy.is_dir():
        pytest.skip(f"{messy} is not there; set FAUXLEY_DATA_DIR")
    # Its manifest.csv is about the files, not a list of those to use.
    folder = tmp_path_factory.mktemp("messy")
    shutil.copytree(messy / "files", folder / "files")
    report = scan_folder(folder)
    dataset = pack(folder, folder / "dataset")
    with pytest.MonkeyPatch.context() as without:
        without.setitem(sys.modules, "av", None)
        poor_report = scan_folder(folder)
        poor_dataset = pack(folder, folder / "poor", n_jobs=1)
    return messy, report, dataset, poor_report, poor_dataset


def _rows(messy: Path) -> list[dict[str, str]]:
    with (messy / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("with_av", [True, False])
def test_every_file_has_its_outcome(
    outcomes: tuple[Path, FolderReport, Dataset, FolderReport, Dataset], with_av: bool
) -> None:
    messy, report, dataset, poor_report, poor_dataset = outcomes
    if with_av:
        pytest.importorskip("av", reason="needs fauxley[ffmpeg]")
    else:
        report, dataset = poor_report, poor_dataset
    scanned = {file.file: "; ".join(file.problems) for file in report.files}
    scan_skipped = {skip.file: skip.reason for skip in report.skipped}
    prepared = {entry.file: entry for entry in dataset.entries}
    prepare_skipped = {skip.file: skip.reason for skip in dataset.skipped()}
    assert scanned.keys() == prepared.keys()
    assert scan_skipped == prepare_skipped
    rows = _rows(messy)
    assert len(rows) > 50
    for row in rows:
        name, outcome = row["file"], row["sensible_outcome"]
        if outcome.startswith(("ignored quietly", "skipped (dot file)", "documented", "skipped by extension")):
            assert name not in scanned, name
            assert name not in scan_skipped, name
        elif outcome.startswith("ok or named skip") and not with_av:
            assert 'pip install "fauxley[ffmpeg]"' in scan_skipped[name], name
        elif outcome.startswith("ok"):
            assert name in prepared, (name, prepare_skipped.get(name))
            entry = prepared[name]
            # Some codecs know only whole frames.
            padding = 0.1 if name.endswith((".m4a", ".aac", ".mp4", ".wma", "adpcm.wav")) else 0.002
            assert abs(entry.duration_seconds - float(row["duration_s"])) < padding, name
            for phrase, word in _WARNINGS.items():
                if phrase in outcome:
                    assert word in scanned[name], name
                    assert word in entry.warnings, name
        elif outcome.startswith(("named", "rejected", "as above")):
            assert len(scan_skipped[name]) > 5, name
        else:
            raise AssertionError(f"no rule for the outcome {outcome!r} of {name}")
    assert set(scanned) | set(scan_skipped) <= {row["file"] for row in rows}


def test_levels_of_the_odd_ones(outcomes: tuple[Path, FolderReport, Dataset, FolderReport, Dataset]) -> None:
    _, report, dataset, *_ = outcomes
    index = {entry.file: number for number, entry in enumerate(dataset.entries)}
    peaks = {
        name: np.abs(dataset.audio(index[f"files/{name}"])).max()
        for name in (
            "44_silence_1s.wav",
            "25_antiphase_stereo.wav",
            "43_float_over_unity.wav",
            "11_s16.wav",
        )
    }
    assert peaks["44_silence_1s.wav"] == peaks["25_antiphase_stereo.wav"] == 0
    assert peaks["43_float_over_unity.wav"] > 0.9999
    assert peaks["11_s16.wav"] > 0.9999
    assert np.abs(dataset.audio(index["files/43_float_over_unity.wav"])).mean() < 0.5  # scaled, not clipped
    problems = {file.file: file.problems for file in report.files}
    assert any("clipped" in problem for problem in problems["files/47_dc_offset_clipped.wav"])
    assert any("DC" in problem for problem in problems["files/47_dc_offset_clipped.wav"])
    assert "silent" in problems["files/44_silence_1s.wav"]
    assert {"files/01_cbr128_stereo.mp3", "files/36_mp3_named.wav"} in map(set, report.duplicates)


def test_loops_pipes_and_strange_names(data_dir: Path, tmp_path: Path) -> None:
    with tarfile.open(data_dir / "messy" / "specials.tar") as archive:
        archive.extractall(tmp_path, filter="fully_trusted")
    folder = tmp_path / "specials"
    (folder / "unreadable_dir").chmod(0)
    try:
        found = find_audio(folder)
        names = {path.name for path in found.files}
        assert {"good.wav", "new\nline.wav"} <= names
        assert any(len(name) > 190 for name in names)
        assert not names & {"hard.wav", "link_to_good.wav"}  # the same file once more
        reasons = {skip.file: skip.reason for skip in found.skipped}
        assert "not a regular file" in reasons["fifo.wav"]
        assert "leads nowhere" in reasons["dangling.wav"]
        assert "self.wav" in reasons
        dataset = pack(folder, tmp_path / "dataset", PackSettings())
        assert "new\nline.wav" in {entry.file for entry in dataset.entries}
        if os.geteuid() != 0:
            assert "unreadable_dir" in reasons
            assert "unreadable.wav" in {skip.file for skip in dataset.skipped()}
        with pytest.raises(FauxleyError, match="cannot be used"):
            pack(folder, tmp_path / "strict", strict=True)
    finally:
        (folder / "unreadable_dir").chmod(0o755)
