"""A pack of awkward files: `scan` and `prepare` give each the outcome its manifest calls sensible."""

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

ABOUT = ("manifest.csv", "specials.tar")
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
    shutil.copytree(messy, folder, dirs_exist_ok=True, ignore=lambda at, _: ABOUT if Path(at) == messy else ())
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
            frames = name.endswith((".m4a", ".aac", ".mp4", ".wma")) or "ADPCM" in row["what_it_is"].upper()
            padding = 0.1 if frames else 0.002
            assert abs(entry.duration_seconds - float(row["duration_s"])) < padding, name
            for phrase, word in _WARNINGS.items():
                if phrase in outcome:
                    assert word in scanned[name], name
                    assert word in entry.warnings, name
        elif outcome.startswith(("named", "rejected", "as above")):
            assert len(scan_skipped[name]) > 5, name
        else:
            assert name in scanned or len(scan_skipped[name]) > 5, name
    assert set(scanned) | set(scan_skipped) <= {row["file"] for row in rows}


def test_levels_of_the_odd_ones(outcomes: tuple[Path, FolderReport, Dataset, FolderReport, Dataset]) -> None:
    messy, report, dataset, *_ = outcomes
    problems = {file.file: "; ".join(file.problems) for file in report.files}
    about = {row["file"]: row for row in _rows(messy)}
    for number, entry in enumerate(dataset.entries):
        samples, row, told = np.abs(dataset.audio(number)), about[entry.file], problems[entry.file]
        if "gives silence" in row["what_it_is"] or "digital silence" in row["what_it_is"]:
            assert samples.max() == 0, entry.file
            assert "silent" in told or "antiphase" in told, entry.file
        else:
            assert samples.max() > 0.9999, entry.file
        if "normalised or clipped" in row["sensible_outcome"]:
            assert samples.mean() < 0.5, entry.file  # scaled, not clipped
        if "clipping" in row["what_it_is"]:
            assert "clipped" in told, entry.file
        if "DC offset" in row["what_it_is"]:
            assert "DC" in told, entry.file


def test_the_same_content_twice_is_told(
    outcomes: tuple[Path, FolderReport, Dataset, FolderReport, Dataset],
) -> None:
    messy, report, *_ = outcomes
    of_content: dict[bytes, set[str]] = {}
    for file in report.files:
        of_content.setdefault((messy / file.file).read_bytes(), set()).add(file.file)
    twice = {frozenset(names) for names in of_content.values() if len(names) > 1}
    assert {frozenset(names) for names in report.duplicates} == twice


def check_found(member: tarfile.TarInfo, path: Path, reason: str, found: set[tuple[int, int]]) -> None:
    """A file is found by its device and number, if not refused with the right reason."""
    if member.isfifo():
        assert "not a regular file" in reason
    elif member.issym() and not os.path.exists(path):  # noqa: PTH110 - Path.exists fails where links go round
        assert "leads nowhere" in reason
    elif member.isreg():
        assert (path.stat().st_dev, path.stat().st_ino) in found, path


def test_loops_pipes_and_strange_names(data_dir: Path, tmp_path: Path) -> None:
    specials = data_dir / "messy" / "specials.tar"
    if not specials.is_file():
        pytest.skip(f"{specials} is not there; set FAUXLEY_DATA_DIR")
    with tarfile.open(specials) as archive:
        archive.extractall(tmp_path, filter="fully_trusted")
        members = [member for member in archive.getmembers() if "/" in member.name]
    folder = tmp_path / members[0].name.split("/")[0]
    closed = [tmp_path / member.name for member in members if member.isdir() and "unreadable" in member.name]
    for one in closed:
        one.chmod(0)
    try:
        found = find_audio(folder)
        reasons = {skip.file: skip.reason for skip in found.skipped}
        same = {(path.stat().st_dev, path.stat().st_ino) for path in found.files}
        assert len(same) == len(found.files), "one file came by two names"
        for member in members:
            if member.name.endswith(".wav") and not any(one in (tmp_path / member.name).parents for one in closed):
                check_found(member, tmp_path / member.name, reasons.get(member.name.partition("/")[2], ""), same)
        dataset = pack(folder, tmp_path / "dataset", PackSettings())
        unusable = set(reasons) | {skip.file for skip in dataset.skipped()}
        assert {entry.file for entry in dataset.entries} | unusable >= {
            path.relative_to(folder).as_posix() for path in found.files
        }
        if os.geteuid() != 0:
            assert {one.name for one in closed} <= set(reasons)
            assert {skip.file for skip in dataset.skipped()} >= {
                member.name.partition("/")[2] for member in members if member.isreg() and not member.mode
            }
        if unusable:
            with pytest.raises(FauxleyError, match="cannot be used"):
                pack(folder, tmp_path / "strict", strict=True)
    finally:
        for one in closed:
            one.chmod(0o755)
