"""What one process holds no other gets, until it lets go or ends; also where the file system knows no locks."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fauxley.locks import alone_in, remove_unless_held, take

_HOLD = """
import pathlib, sys, time
from fauxley.locks import alone_in
with alone_in(pathlib.Path(sys.argv[1])) as alone:
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

    monkeypatch.setattr(fcntl, "flock", flock)


def _hold(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.usefixtures("file_system")
@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_a_folder_is_held_until_its_process_ends(tmp_path: Path, end: signal.Signals | None) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with _hold(folder) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "alone\n"
        with alone_in(folder) as alone:
            assert not alone
        assert not remove_unless_held(folder)
        with _hold(folder) as another:
            assert another.communicate()[0] == "not alone\n"
        if end is not None:
            process.send_signal(end)
        process.stdin.close()
    with alone_in(folder) as alone:
        assert alone
    assert list(folder.iterdir()) == []
    assert remove_unless_held(folder)
    assert not folder.exists()


@pytest.mark.usefixtures("file_system")
def test_a_folder_may_go_while_it_is_held(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with alone_in(folder) as alone:
        assert alone
        shutil.rmtree(folder)
    folder.mkdir()
    with alone_in(folder) as alone:
        assert alone


@pytest.mark.usefixtures("file_system")
def test_one_process_may_take_a_lock_of_its_own_again(tmp_path: Path) -> None:
    first = take(tmp_path / "lock", whole_process=True)
    second = take(tmp_path / "lock", whole_process=True)
    assert first is not None
    assert second is not None
    first.release()
    assert second.is_locked


def test_what_forbids_a_lock_is_not_mistaken_for_another_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|exists"), alone_in(tmp_path / "file"):
        pass
