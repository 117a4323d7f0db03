"""`fauxley train` as several processes: one that is killed, and who speaks when something is wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from fauxley.cli import main as cli
from fauxley.cli.main import main
from fauxley.training.log import read_log
from fauxley.training.run import Run

from .conftest import train_arguments

pytestmark = pytest.mark.slow

_LOCAL = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def _worker(parent: int, rank: int) -> int:
    """The process that `parent` has started as `rank`."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ours = int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent
            if ours and f"RANK={rank}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
        except OSError:  # it has ended meanwhile
            continue
    raise AssertionError(f"no rank {rank}")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the process to kill in /proc")
def test_when_one_is_killed_torchrun_starts_all_again_and_they_end_as_undisturbed(
    dataset: Path, tmp_path: Path
) -> None:
    flags = "--steps 30 --checkpoint-every 4 --log-every 1 --preview-count 0"
    launch = "-m torch.distributed.run --standalone --local-addr 127.0.0.1 --nproc-per-node 2 --max-restarts 1 -m --"
    arguments = train_arguments(dataset, tmp_path / "many", *flags.split())
    with subprocess.Popen(
        [sys.executable, *launch.split(), "fauxley", *arguments],
        env={**os.environ, **_LOCAL},
        stderr=subprocess.PIPE,
        text=True,
    ) as torchrun:
        while not (tmp_path / "many" / "checkpoints" / "step-00000004").exists():
            assert torchrun.poll() is None, torchrun.communicate()
            time.sleep(0.005)
        os.kill(_worker(torchrun.pid, 1), signal.SIGKILL)
        _, errors = torchrun.communicate(timeout=120)
    assert torchrun.returncode == 0, errors
    (line,) = [line for line in errors.splitlines() if line.startswith("fauxley: ")]
    assert "lost contact with another process" in line
    assert "--max-restarts" in line

    assert main(train_arguments(dataset, tmp_path / "one", *flags.split())) == 0
    runs = [Run(tmp_path / name) for name in ("many", "one")]
    assert [line["step"] for line in read_log(runs[0])] == list(range(1, 31))
    ours, expected = (load_file(run.checkpoints()[-1] / "model.safetensors") for run in runs)
    for name, value in ours.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5)


def test_what_only_rank_0_sees_is_said_once_and_ends_all(dataset: Path, run: Path) -> None:
    # As torchrun does, but without the seconds that it takes itself.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "fauxley", *train_arguments(dataset, run, "--dim", "2")],
            env={**os.environ, **_LOCAL, **place, "WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [2, 1]
    assert said[0].startswith("fauxley: the run was begun with architecture.dim")
    assert len(said[0].splitlines()) == 1
    assert not said[1]


@pytest.mark.parametrize("wrong", [["train", "nonsense"], ["train", "wavegan-tiny", "--steps", "many"]])
def test_what_all_see_only_rank_0_says(
    wrong: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_PATIENCE", 0)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    for rank, speaks in (("1", False), ("0", True)):
        monkeypatch.setenv("RANK", rank)
        assert main(wrong) == 2
        captured = capfd.readouterr()
        assert bool(captured.out + captured.err) == speaks
