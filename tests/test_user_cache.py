"""What is kept for a user: where, for which users, and what emptying it leaves alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fauxley.cli.main import main
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import open_or_prepare
from fauxley.errors import FauxleyError
from fauxley.storage import hold_folder
from fauxley.user_cache import CACHE_KINDS, cache_folder, writable_folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAUXLEY_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in cache_folder().parents
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / ".cache" / "fauxley"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache_folder() == tmp_path / "xdg" / "fauxley"
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "ours"))
    assert cache_folder() == tmp_path / "ours"


def test_it_is_listed_and_emptied(kit: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    assert "datasets          0" in capsys.readouterr().out
    dataset = open_or_prepare(kit, n_jobs=1)
    assert main(["cache"]) == 0
    assert "datasets          1" in capsys.readouterr().out
    assert main(["cache", "--clear", "--only", "shards", "classifiers"]) == 0
    assert Dataset.open(dataset.folder)
    assert main(["cache", "--clear"]) == 0
    assert list(cache.iterdir()) == []
    assert main(["cache", "--clear"]) == 0


def test_a_dataset_in_use_can_be_read_on(kit: Path, cache: Path) -> None:
    dataset = open_or_prepare(kit, n_jobs=1)
    before = dataset.batch(0, 4, 1024)
    assert main(["cache", "--clear"]) == 0
    assert (dataset.batch(0, 4, 1024) == before).all()


def test_what_is_not_ours_or_being_made_stays(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = [cache / "datasets" / "my drums" / "a.wav", cache / "shards" / "notes.txt", cache / "letters" / "a.txt"]
    work = cache / "datasets" / ".partial-0123456789abcdef-kit-0123456789abcdef"
    fetched = cache / "shards" / f".partial-1-{'0' * 64}"
    for file in (*mine, work / "part", fetched, cache / "datasets" / "kit-0123456789abcdef" / "dataset.json"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    with hold_folder(work):
        assert main(["cache", "--clear"]) == 1
    assert "2 in use" in capsys.readouterr().err
    assert all(file.exists() for file in (*mine, work / "part", fetched))
    assert not (cache / "datasets" / "kit-0123456789abcdef").exists()
    os.utime(fetched, (0, 0))
    assert main(["cache", "--clear"]) == 0
    assert all(file.exists() for file in mine)
    assert not work.exists()
    assert not fetched.exists()


def test_a_folder_that_cannot_be_is_one_line(cache: Path, kit: Path) -> None:
    cache.write_text("")
    with pytest.raises(FauxleyError, match="set FAUXLEY_CACHE_DIR"):
        writable_folder(CACHE_KINDS[0].name)
    with pytest.raises(FauxleyError, match="set FAUXLEY_CACHE_DIR"):
        open_or_prepare(kit, n_jobs=1)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="nothing is read-only for root, or on Windows")
def test_a_read_only_folder_still_serves_what_is_in_it(cache: Path, kit: Path) -> None:
    open_or_prepare(kit, n_jobs=1)
    (cache / "datasets").chmod(0o500)
    open_or_prepare(kit, n_jobs=1)
    with pytest.raises(FauxleyError, match="set FAUXLEY_CACHE_DIR"):
        open_or_prepare(kit, PackSettings(clip_length=512), n_jobs=1)


def _without_home(cases: Path, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("CACHE_DIR", "CACHE_HOME"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(cases / "no_home"), *filter(None, sys.path)])
    command = [sys.executable, "-m", "fauxley", *map(str, arguments)]
    return subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_user_without_a_home(cases: Path, kit: Path, tmp_path: Path) -> None:
    train = ["train", "wavegan-tiny", "--data", kit, "--run", tmp_path / "run", "--dim", 1, "--steps", 1, "--quiet"]
    process = _without_home(cases, *train)
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert "FAUXLEY_CACHE_DIR" in line
    assert _without_home(cases, "cache").returncode == 1
    process = _without_home(cases, *train, XDG_CACHE_HOME=str(tmp_path / "xdg"))
    assert (process.returncode, process.stderr) == (0, "")
    assert (tmp_path / "xdg" / "fauxley" / "datasets").is_dir()


@pytest.mark.slow
def test_a_file_system_that_flushes_no_folders(cases: Path, kit: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(cases / "fsync_of_folder"), *filter(None, sys.path)])
    }
    for arguments in (["prepare", kit, tmp_path / "dataset"], ["scan", kit, "--json", tmp_path / "report.json"]):
        command = [sys.executable, "-m", "fauxley", *map(str, arguments), "--jobs", "1"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert Dataset.open(tmp_path / "dataset").num_clips()
    assert (tmp_path / "report.json").is_file()
