"""Files and folders appear whole or not at all, also when the process is killed; what one holds no other gets."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fauxley.storage import (
    atomic_file,
    atomic_folder,
    destination,
    hold_folder,
    is_leftover,
    remove_unless_held,
    replace,
    sweep_leftovers,
    sync,
    take_lock,
)


class Failure(Exception):  # noqa: N818
    pass


def fail_over(path):
    path.write_text("half")
    raise Failure


def test_a_file_is_replaced_only_once_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.suffix == ".txt"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(Failure), atomic_file(path) as partial:
        fail_over(partial)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_with_all_that_is_in_it(tmp_path):
    folder = tmp_path / "deep" / "folder"
    with atomic_folder(folder) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "a").write_text("a")
        assert not folder.exists()
    assert (folder / "sub" / "a").read_text() == "a"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_failure_leaves_no_folder(tmp_path):
    with pytest.raises(Failure), atomic_folder(tmp_path / "folder") as partial:
        fail_over(partial / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "occupy", [lambda path: path.write_text("file"), lambda path: (path / "x").mkdir(parents=True)]
)
def test_a_folder_never_replaces_anything(tmp_path, occupy):
    occupy(tmp_path / "taken")
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "taken"):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    with atomic_folder(tmp_path / "empty") as partial:
        (partial / "a").write_text("a")
    assert (tmp_path / "empty" / "a").exists()


@pytest.mark.parametrize("writer", ["atomic_file", "atomic_folder"])
def test_what_a_killed_process_leaves_is_recognised_and_swept(tmp_path, writer):
    script = f"""
import pathlib, time
from fauxley.storage import {writer}
with {writer}(pathlib.Path({str(tmp_path)!r}) / "result") as partial:
    (partial / "part" if {writer == "atomic_folder"} else partial).write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        os.kill(process.pid, signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert is_leftover(left)
    (tmp_path / "mine.txt").write_text("stays")
    sweep_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]
    sweep_leftovers(tmp_path / "not there")


def test_messages_can_name_what_a_temporary_file_was_to_become(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a.wav") as partial:
        partial.write_bytes(b"")
        assert destination(partial) == tmp_path / "a.wav"
    assert destination(tmp_path / "a.wav") == tmp_path / "a.wav"


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "鼓" * 85, "a" * 251 + ".wav"])
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path, name: str) -> None:
    with atomic_file(tmp_path / name) as partial:
        partial.write_text("whole")
        assert is_leftover(partial)
        assert partial.suffix == Path(name).suffix
    assert (tmp_path / name).read_text() == "whole"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EIO, errno.ENOSPC])
def test_only_a_disk_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with (tmp_path / "file").open("w") as file:
        if number in (errno.EIO, errno.ENOSPC):
            with pytest.raises(OSError, match=os.strerror(number)):
                sync(file.fileno())
        else:
            sync(file.fileno())


class _BusyError(PermissionError):
    """What Windows raises for a file that a virus scanner looks at."""

    winerror = 32


@pytest.mark.parametrize(
    ("error", "times", "succeeds"), [(_BusyError, 3, True), (_BusyError, 1000, False), (PermissionError, 1, False)]
)
def test_a_file_that_is_looked_at_is_renamed_when_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[OSError], times: int, succeeds: bool
) -> None:
    rename, refusals = Path.replace, iter([error()] * times)

    def busy(self: Path, target: Path) -> Path:
        if refusal := next(refusals, None):
            raise refusal
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    monkeypatch.setattr("fauxley.storage._PATIENCE_SECONDS", 0.5)
    (tmp_path / "a").write_text("")
    if succeeds:
        replace(tmp_path / "a", tmp_path / "b")
    else:
        with pytest.raises(error):
            replace(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").exists() == succeeds


_HOLD = """
import pathlib, sys, time
from fauxley.storage import hold_folder
with hold_folder(pathlib.Path(sys.argv[1])) as alone:
    print("alone" if alone else "not alone", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["locks", "ENOSYS", "ENOTSUP", "ENOLCK", "EINVAL"])
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that knows locks, or says in one of several ways that it does not; also to processes that we start."""
    if request.param == "locks":
        return
    number = getattr(errno, request.param)
    (tmp_path / "site").mkdir()
    patch = f"import fcntl\ndef flock(*_): raise OSError({number}, 'no locks')\nfcntl.flock = flock\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(patch)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), *sys.path]))

    def flock(*_: object) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", flock)


def _hold(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.usefixtures("file_system")
@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_a_folder_is_held_until_its_process_ends(tmp_path: Path, end: signal.Signals | None) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with _hold(folder) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "alone\n"
        with hold_folder(folder) as alone:
            assert not alone
        assert not remove_unless_held(folder)
        with _hold(folder) as another:
            assert another.communicate()[0] == "not alone\n"
        if end is not None:
            process.send_signal(end)
        process.stdin.close()
    with hold_folder(folder) as alone:
        assert alone
    assert list(folder.iterdir()) == []
    assert remove_unless_held(folder)
    assert not folder.exists()


@pytest.mark.usefixtures("file_system")
def test_a_folder_may_go_while_it_is_held(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with hold_folder(folder) as alone:
        assert alone
        shutil.rmtree(folder)
    folder.mkdir()
    with hold_folder(folder) as alone:
        assert alone


@pytest.mark.usefixtures("file_system")
def test_one_process_may_take_a_lock_of_its_own_again(tmp_path: Path) -> None:
    first = take_lock(tmp_path / "lock", whole_process=True)
    second = take_lock(tmp_path / "lock", whole_process=True)
    assert first is not None
    assert second is not None
    first.release()
    assert second.is_locked


def test_what_forbids_a_lock_is_not_mistaken_for_another_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|exists"), hold_folder(tmp_path / "file"):
        pass


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_an_error_of_writing_names_what_was_written(tmp_path: Path, writer: Any) -> None:
    with pytest.raises(OSError, match="full") as caught, writer(tmp_path / "sound.wav"):
        raise OSError(errno.ENOSPC, "full")  # as `write` says it, which knows of no name
    assert caught.value.filename == str(tmp_path / "sound.wav")
