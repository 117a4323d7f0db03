"""Damaged files of all formats: none may stop a folder. The long run is benchmarks/fuzz_audio.py."""

import importlib.util
from pathlib import Path

import pytest

from fauxley.dataset.folder_report import scan_folder
from fauxley.dataset.packing import pack

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")  # of what encoders think of the seeds
def test_damaged_files_stop_nothing(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "fuzz_audio.py"
    spec = importlib.util.spec_from_file_location("fuzz_audio", script)
    assert spec is not None
    assert spec.loader is not None
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    fuzz.write_victims(tmp_path / "victims", 90, seed=11)
    report = scan_folder(tmp_path / "victims", n_jobs=1)
    dataset = pack(tmp_path / "victims", tmp_path / "dataset", n_jobs=1)
    used = {file.file for file in report.files}
    assert used == {entry.file for entry in dataset.entries}
    assert sum(name.startswith("good-") for name in used) == 10
    assert len(report.files) + len(report.skipped) == 100
    assert all(skip.reason and "\n" not in skip.reason for skip in report.skipped)
