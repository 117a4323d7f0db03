"""Work spread over a small Dask cluster gives the same bytes as without one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fauxley import parallel
from fauxley.cli.main import main
from fauxley.signal.drumkit import write_kit

pytestmark = pytest.mark.slow


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def two_workers() -> Iterator[str]:
    """The address of a Dask cluster of two processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running:
        yield running.scheduler_address.replace("tcp://", "dask://")


def test_prepare(two_workers: str, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fauxley.dataset.parts._PART_FILES", 3)
    monkeypatch.chdir(kit.parent)  # names are relative here, and the workers are elsewhere
    command = ["prepare", kit.name, "--shard-size", "300kB", "--quiet"]
    assert main([*command[:2], str(tmp_path / "local"), *command[2:], "--jobs", "1"]) == 0
    assert main([*command[:2], str(tmp_path / "spread"), *command[2:], "--cluster", two_workers]) == 0
    assert contents(tmp_path / "local") == contents(tmp_path / "spread")


def test_generate(two_workers: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    command = ["generate", run.name, "--count", "50", "--batch-size", "4", "--quiet"]
    assert main([*command, "--out", str(tmp_path / "local")]) == 0
    assert main([*command, "--out", "../spread", "--cluster", two_workers]) == 0
    assert contents(tmp_path / "local") == contents(run.parent.parent / "spread")
    for path in sorted((run.parent.parent / "spread").glob("seed-*"))[7:40]:
        path.unlink()
    assert main([*command, "--out", "../spread", "--cluster", two_workers]) == 0
    assert contents(tmp_path / "local") == contents(run.parent.parent / "spread")


def test_evaluate_and_compare(
    two_workers: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fauxley.evaluation.features.BATCH_SIZE", 12)  # several batches, and a smaller last one
    monkeypatch.chdir(tmp_path)
    write_kit(Path("kit"), per_instrument=4, duration_seconds=0.25)
    assert main(["prepare", "kit", "drums", "--clip-length", "4096", "--quiet"]) == 0
    reference = ["--test", "drums", "--count", "30", "--neighbours", "17", "--quiet"]
    folder = [*("--data", "kit", "--out", "refused"), *reference]
    assert main(["evaluate", str(run), *folder, "--cluster", two_workers]) == 2
    assert "fauxley prepare" in capsys.readouterr().err
    command = ["compare", str(run), "kit", "drums", "--data", "drums", *reference]
    assert main([*command, "--out", "local"]) == 0
    monkeypatch.setattr(
        "fauxley.evaluation.metrics.signal_measures.measure", None
    )  # so that figures can come from workers only
    assert main([*command, "--out", "spread", "--cluster", two_workers]) == 0
    assert figures("local") == figures("spread")
    command = ["evaluate", str(run), "--data", "drums", *reference, "--out", "alone"]
    assert main([*command, "--cluster", two_workers]) == 0
    assert figures("alone")["generated"] == figures("local")["generated"][:1]


def figures(report: str) -> dict[str, Any]:
    """What a report says, timings aside."""
    content: dict[str, Any] = json.loads(Path(report, "report.json").read_text())
    for one in content["real"] + content["generated"]:
        del one["seconds"]
    return content


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("dask", 2, "dask://HOST:PORT"),
        ("dask://host", 2, "dask://HOST:PORT"),
        ("dask://local:0", 2, "dask://HOST:PORT"),
        ("slurm://host:1", 2, "dask://HOST:PORT"),
        ("dask://127.0.0.1:9", 1, "no answer from dask://127.0.0.1:9"),
    ],
)
def test_what_is_no_cluster_is_one_line(
    address: str,
    code: int,
    message: str,
    kit: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if code == 1:
        pytest.importorskip("distributed")
        monkeypatch.setattr(parallel, "_TIMEOUT_SECONDS", 1)
    assert main(["prepare", str(kit), str(tmp_path / "dataset"), "--cluster", address]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
