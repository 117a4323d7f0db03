"""Two and three processes against one: the same steps, one folder, and what becomes of it when one of them is killed.

Starting processes takes longer than all they do here, so this file is also the program that they run: they train
every case, and write what came of it for the tests to compare.
"""

import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from fauxley.dataset.dataset import Dataset
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.signal.drumkit import INSTRUMENTS
from fauxley.terminal.training_line import TerminalReporter
from fauxley.training.config import TrainingConfig
from fauxley.training.data import RealAudio, fingerprint
from fauxley.training.distributed import ManyRanks, share_of
from fauxley.training.log import read_log
from fauxley.training.loop import Trainer
from fauxley.training.objectives import Hinge, Relativistic, WassersteinGP
from fauxley.training.optimizers import Adam
from fauxley.training.ranks import ONE
from fauxley.training.run import Run
from fauxley.training.state import Averaging, TrainingState
from fauxley.training.step import train_step

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
WAVE = WaveGAN(clip_length=4096, dim=1, latent_size=3)
LABELS = tuple(sorted(INSTRUMENTS))
EXACT = {
    # Batch size and parts: 4 rows for 3 processes; 7; 3 rows in each of two parts, for 2 and for 3; 5.
    "one shift a batch": (WAVE, WassersteinGP(critic_steps=2), 4, 1),
    "shifts per example": (replace(WAVE, phase_shuffle_per_example=True), WassersteinGP(critic_steps=2), 7, 1),
    "relativistic, in parts": (replace(WAVE, phase_shuffle_per_example=True), Relativistic(), 6, 2),
    "labels": (replace(WAVE, labels=LABELS), WassersteinGP(critic_steps=2), 7, 1),
    "hinge": (WAVE, Hinge(penalty_every=2), 3, 1),
    "spectrogram": (SpecGAN(2048, 1, 3, dim=1, window_length=64, hop_length=64), WassersteinGP(critic_steps=1), 5, 1),
}
STEPS = 3
CONFIG = TrainingConfig(
    "test",
    WAVE,
    WassersteinGP(critic_steps=1),
    Adam(learning_rate=1e-3),
    Averaging(half_life=50.0),
    steps=6,
    batch_size=4,
    log_every=1,
    checkpoint_every=2,
    preview_count=0,
)
MANY = (2, 3)


class Poisoned(Trainer):
    """Loses a weight after its third step, once; of several processes, the last one does."""

    def _step(self):
        metrics = super()._step()
        if self.state.step == 3 and self.state.attempt == 0 and self.ranks.rank == self.ranks.world_size - 1:
            next(self.state.generator.parameters()).data.fill_(torch.nan)
        return metrics


class Signalled(Trainer):
    """The last process is asked to stop in its third step."""

    def _step(self):
        if self.state.step == 2 and self.ranks.rank == self.ranks.world_size - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return super()._step()


def trajectory(name, dataset, ranks_of):
    """Weights and numbers after some steps in float64, in which equal up to rounding means equal to 12 digits."""
    architecture, objective, batch_size, accumulate = EXACT[name]
    config = replace(
        CONFIG, architecture=architecture, objective=objective, batch_size=batch_size, accumulate=accumulate
    )
    ranks = ranks_of(config)
    data = RealAudio(dataset, config, CPU, ranks)
    state = TrainingState.new(architecture, Adam(learning_rate=1e-3), False, 0, CPU)
    if ranks.leads:
        state.representation.fit(data.once())
    for module in (*state.networks.values(), state.representation):
        module.double()
    ranks.follow(state)
    result = {}
    for step in range(STEPS):
        batches = [data.batch(step * objective.num_batches + n).double() for n in range(objective.num_batches)]
        features = [state.representation.to_features(batch) for batch in batches]
        numbers = range(objective.num_batches if architecture.known_labels else 0)
        labels = [data.labels(step * objective.num_batches + n).double() for n in numbers]
        draws = lambda update, step=step: ranks.draws(step, update)  # noqa: E731
        metrics = train_step(state, objective, features, draws, accumulate, ranks, labels=labels)
        result |= {f"{key} at {step}": value for key, value in metrics.items()}
    ranks.check_same(state)
    return result | {
        f"{key}.{n}": w for key, network in state.networks.items() for n, w in network.state_dict().items()
    }


def train(path, dataset, ranks=ONE, trainer=Trainer, **changed):
    config = replace(CONFIG, **changed)
    run = Run(path)
    if ranks.leads:
        run.begin(config, fingerprint(config, dataset))
    trainer = trainer(run, config, dataset, CPU, TerminalReporter(quiet=True), ranks=ranks)
    assert trainer.train() == (trainer.state.step == config.steps)
    return trainer


def work(dataset, out, rank, world_size, port):
    """What each process does."""
    os.environ.update(environment(rank, world_size, port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo")

    def ranks_of(config):
        return ManyRanks(share_of(config, rank, world_size), config.accumulate, rank)

    for name in EXACT:
        result = trajectory(name, dataset, ranks_of)
        if rank == 0:
            torch.save(result, out / f"{name}.pt")
    ranks = ranks_of(CONFIG)
    mine = out / f"rank {rank}"  # where only rank 0 may write
    with ranks.in_turn(), (out / "turns").open("a") as turns:
        turns.write(f"{rank}\n")
    train(mine / "begun by many", dataset, ranks, steps=4)
    train(mine / "in two goes", dataset, ranks, steps=2)
    train(mine / "in two goes", dataset, ranks)
    if rank == 0:
        shutil.copytree(out / "begun by one", mine / "begun by one")  # the test's own process has it locked
    train(mine / "begun by one", dataset, ranks)
    train(mine / "poisoned", dataset, ranks, Poisoned)
    stopped = train(mine / "stopped", dataset, ranks, Signalled).state.step
    state = train(mine / "whole", dataset, ranks, preview_count=2).state
    heard = [f"stopped at {stopped}", _refusal(lambda: ranks.check_agreed("data", rank < 1))]
    if rank == 1:
        weight = next(state.networks["critic"].parameters()).data.view(-1)
        weight[0] = torch.nextafter(weight[0], torch.ones(()))
    heard.append(_refusal(lambda: ranks.check_same(state)))
    (out / f"heard by {rank}").write_text("\n".join(heard))
    dist.destroy_process_group()


def _refusal(action):
    try:
        action()
    except FauxleyError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def environment(rank, world_size, port):
    """What torchrun sets."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": 1}
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size}
    return {name: str(value) for name, value in {**place, **numbers}.items()}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def alone(drums, tmp_path_factory):
    """What one process makes of it."""
    out = tmp_path_factory.mktemp("alone")
    for name in EXACT:
        torch.save(trajectory(name, drums, lambda config: ONE), out / f"{name}.pt")
    train(out / "whole", drums)
    train(out / "poisoned", drums, trainer=Poisoned)
    return out


@pytest.fixture(scope="module")
def shared(drums, tmp_path_factory):
    """What two make of it, and three."""
    outs = {world_size: tmp_path_factory.mktemp(f"shared-by-{world_size}") for world_size in MANY}
    for out in outs.values():
        train(out / "begun by one", drums, steps=2)
    command = [sys.executable, __file__, drums.folder, *outs.values()]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr
    return outs


def newest(path):
    return Run(path).checkpoints()[-1]


def assert_close(path, expected):
    """The same weights as float32 has it: Adam blows rounding up where a gradient is nearly zero."""
    assert newest(path).name == newest(expected).name
    ours, theirs = (load_file(newest(folder) / "model.safetensors") for folder in (path, expected))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(
            value, theirs[name], rtol=1e-4, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("world_size", MANY)
@pytest.mark.parametrize("name", EXACT)
def test_many_take_the_steps_of_one(alone, shared, name, world_size):
    ours, expected = (torch.load(out / f"{name}.pt") for out in (shared[world_size], alone))
    assert ours.keys() == expected.keys()
    for key, value in ours.items():
        torch.testing.assert_close(
            value, expected[key], rtol=1e-9, atol=1e-11, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("world_size", MANY)
def test_a_run_may_be_passed_between_one_and_many(alone, shared, drums, world_size):
    out = shared[world_size] / "rank 0"
    assert_close(out / "begun by one", alone / "whole")
    assert_close(out / "whole", alone / "whole")
    assert [line["step"] for line in read_log(Run(out / "begun by one"))] == list(range(1, 7))
    train(out / "begun by many", drums)
    assert_close(out / "begun by many", alone / "whole")


@pytest.mark.parametrize("world_size", MANY)
def test_resuming_with_as_many_is_exact_to_the_bit(shared, world_size):
    one, other = (newest(shared[world_size] / "rank 0" / name) for name in ("whole", "in two goes"))
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


@pytest.mark.parametrize("world_size", MANY)
def test_all_go_back_when_one_diverges(alone, shared, world_size):
    poisoned = shared[world_size] / "rank 0" / "poisoned"
    assert_close(poisoned, alone / "poisoned")
    assert [line["event"] for line in read_log(Run(poisoned)) if "event" in line]


@pytest.mark.parametrize("world_size", MANY)
def test_rank_0_goes_first_and_alone_writes(shared, world_size):
    out = shared[world_size]
    assert not list(out.glob("rank [1-9]*"))
    assert {path.name for path in (out / "rank 0" / "whole").iterdir()} == {
        *("checkpoints", "config.json", "curves.png", "log.jsonl", "run.lock", "samples")
    }
    order = (out / "turns").read_text().split()
    assert order[0] == "0"
    assert sorted(order) == [str(rank) for rank in range(world_size)]


@pytest.mark.parametrize("world_size", MANY)
def test_what_happens_to_one_all_hear_of(shared, world_size):
    heard = {(shared[world_size] / f"heard by {rank}").read_text() for rank in range(world_size)}
    stopped, differing, drifted = heard.pop().split("\n")
    assert not heard
    assert stopped == "stopped at 3"
    assert newest(shared[world_size] / "rank 0" / "stopped").name == "step-00000003"
    assert re.match("UsageError: rank 1 has other data", differing)
    assert re.match("FauxleyError: at step 6 .* rank 1 .* rank 0", drifted)


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(UsageError, match=r"batch of 4 is too small for 5 processes.*batch_size"):
        share_of(CONFIG, 0, 5)
    with pytest.raises(UsageError, match=r"batch of 4 in 2 parts is too small for 3"):
        share_of(replace(CONFIG, accumulate=2), 0, 3)
    with pytest.raises(UsageError, match=r"batch normalisation.*batch_norm"):
        share_of(replace(CONFIG, architecture=replace(WAVE, batch_norm=True)), 0, 2)


if __name__ == "__main__":
    dataset, *outs = map(Path, sys.argv[1:])
    fork = multiprocessing.get_context("fork")  # everything is imported already, which is most of the work
    for world_size, out in zip(MANY, outs, strict=True):
        common = (world_size, free_port())
        workers = [fork.Process(target=work, args=(Dataset.open(dataset), out, r, *common)) for r in range(world_size)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            sys.exit(1)
