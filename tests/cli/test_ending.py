"""Being told to end, and not being read any more, at whatever moment: nothing is lost and nobody is left behind."""

import os
import pty
import signal
import subprocess
import sys
import time

import psutil
import pytest

from fauxley.signal.drumkit import write_kit

pytestmark = pytest.mark.slow

_FAUXLEY = [sys.executable, "-m", "fauxley"]


@pytest.fixture(scope="module")
def train(drums, tmp_path_factory):
    """The command of a run that would go on for very long, without the name of its folder."""
    options = (
        "--clip-length 4096 --dim 1 --batch-size 2 --steps 1000000 --checkpoint-every 1000000 --preview-every 1000000"
    )
    return [*_FAUXLEY, "train", "wavegan-tiny", "--data", str(drums.folder), *options.split(), "--run"]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Enough sounds for several workers to be busy with for a while."""
    folder = tmp_path_factory.mktemp("many") / "kit"
    write_kit(folder, per_instrument=60, sample_rate=44100)
    return folder


def _steps(run):
    return sorted(int(folder.name.removeprefix("step-")) for folder in (run / "checkpoints").glob("step-*"))


def _wait_for(what, seconds=100):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_run_that_is_told_to_end_is_saved(train, tmp_path, name):
    with subprocess.Popen([*train, tmp_path / "run"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        _wait_for(lambda: (tmp_path / "run" / "log.jsonl").exists() and (tmp_path / "run" / "log.jsonl").stat().st_size)
        for _ in range(2):  # as `timeout` does, and a shell whose terminal is closed
            process.send_signal(getattr(signal, name))
        output, _ = process.communicate()
    assert process.returncode == 0
    assert b"stopped, saved at step" in output
    assert len(_steps(tmp_path / "run")) == 2


def test_a_run_is_saved_when_its_terminal_is_closed(train, tmp_path):
    def become_its_jobs():
        os.setsid()
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*train, tmp_path / "run"], stdin=slave, stdout=slave, stderr=slave, preexec_fn=become_its_jobs
    )
    os.close(slave)
    _wait_for(lambda: (tmp_path / "run" / "log.jsonl").exists() and (tmp_path / "run" / "log.jsonl").stat().st_size)
    os.close(master)
    assert process.wait() == 0
    assert len(_steps(tmp_path / "run")) == 2


def test_nohup_is_respected(train, tmp_path):
    script = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-c", script, *train, tmp_path / "run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        log = tmp_path / "run" / "log.jsonl"
        _wait_for(lambda: log.exists() and log.stat().st_size)
        process.send_signal(signal.SIGHUP)
        size = log.stat().st_size
        _wait_for(lambda: log.stat().st_size > size)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [["scan"], ["prepare"]])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_workers_end_with_their_parent_and_nothing_is_said(many, tmp_path, arguments, name):
    command = [
        *_FAUXLEY,
        *arguments,
        many,
        *([tmp_path / "dataset"] if arguments == ["prepare"] else []),
        "--jobs",
        "2",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watched = psutil.Process(process.pid)
        _wait_for(lambda: sum(each.cpu_times().user > 0.1 for each in watched.children(recursive=True)) >= 2)
        workers = watched.children(recursive=True)
        process.send_signal(getattr(signal, name))
        output, errors = process.communicate()
    assert (process.returncode, output, errors) == (128 + getattr(signal, name), "", "fauxley: stopped\n")
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--help", "train --help", "scan KIT --jobs 1", "scan KIT --jobs 1 --json -"])
def test_a_reader_that_has_gone_is_no_failure(kit, arguments, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    command = [*_FAUXLEY, *[str(kit) if each == "KIT" else each for each in arguments.split()]]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    process = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False, text=True)
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, "")


def test_training_goes_on_when_nobody_reads(train, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [*train, tmp_path / "run", "--steps", "4", "--preview-every", "2"]
    process = subprocess.run(command, stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert process.returncode == 0
    assert _steps(tmp_path / "run")[-1] == 4


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)])
def test_outputs_may_be_closed_from_the_start(kit, tmp_path, closed):
    redirections = " ".join(f"{number}>&-" if number else "<&-" for number in closed)
    command = f'"$@" {redirections}'
    arguments = [*_FAUXLEY, "scan", str(kit), "--json", str(tmp_path / "report.json"), "--jobs", "2"]
    assert subprocess.run(["sh", "-c", command, "sh", *arguments], check=False).returncode == 0
    assert (tmp_path / "report.json").stat().st_size
