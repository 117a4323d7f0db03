"""What it costs to share a training step among processes.

    python benchmarks/data_parallel.py [--processes 2] [--dims 16 64] [--batch-size 16] [--rounds 5] [--quick]
    torchrun --nproc-per-node 8 benchmarks/data_parallel.py --device cuda --dims 64 --batch-size 64

The same WGAN-GP step (5 critic updates, 1 of the generator; `--relativistic`: 1 and 1) is taken in turns by rank 0 with
one thread, by rank 0 with as many threads as there are processes (on a CPU), and by all processes with one thread each.
The figures are medians. An exchange is the all-reduce of one network's gradients, timed on its own after a barrier;
"waiting and exchanging" is what a step spends there, so it also has what the processes wait for each other. Processor
time is given too: on a machine that others use, it tells more than the clock.
"""

import argparse
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import cast

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from fauxley.cli.shared.torchrun import together
from fauxley.models.wavegan import WaveGAN
from fauxley.training.config import TrainingConfig
from fauxley.training.distributed import ManyRanks
from fauxley.training.objectives import Relativistic, WassersteinGP
from fauxley.training.optimizers import Adam
from fauxley.training.ranks import ONE, Ranks
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2, help="on this machine; without torchrun")
    parser.add_argument("--dims", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--clip-length", type=int, default=16384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--relativistic", action="store_true")
    parser.add_argument("--no-threads", action="store_true", help="leave out rank 0 with several threads")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.dims, arguments.clip_length, arguments.batch_size, arguments.rounds = [4], 4096, 4, 2
    if "RANK" in os.environ:
        work(arguments)
    else:
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
        mp.spawn(_start, (arguments, store.port), nprocs=arguments.processes)  # type: ignore[attr-defined, no-untyped-call]


def _start(rank: int, arguments: argparse.Namespace, port: int) -> None:
    size = str(arguments.processes)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": size, "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    work(arguments)


def work(arguments: argparse.Namespace) -> None:
    """Measure every size, as one of the processes."""
    for dim in arguments.dims:
        config = TrainingConfig(
            "benchmark",
            WaveGAN(clip_length=arguments.clip_length, dim=dim),
            Relativistic() if arguments.relativistic else WassersteinGP(),
            Adam(),
            batch_size=arguments.batch_size,
        )
        with together(config, arguments.device) as (ranks, device):
            threads = [1] if arguments.no_threads or device.type == "cuda" else sorted({1, ranks.world_size})
            lines = measure(config, ranks, device, arguments.rounds, threads)
            print("\n".join(lines), end="\n" if lines else "", flush=True)


class Timed:
    """Takes steps of a state of its own and keeps their times."""

    def __init__(self, config: TrainingConfig, ranks: Ranks, device: torch.device, threads: int) -> None:
        self.state = TrainingState.new(config.architecture, config.optimizer, False, 0, device)
        self._objective = config.objective
        self._ranks = ranks
        self.threads = threads
        shape = (config.batch_size, config.architecture.channels, config.architecture.clip_length)
        audio = torch.rand(shape, generator=torch.Generator().manual_seed(0))[ranks.rows] - 0.5
        self._batches = [audio.to(device)] * config.objective.num_batches
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []

    def step(self) -> None:
        torch.set_num_threads(self.threads)
        start, busy = _now(self.state.device), time.process_time()
        number = len(self.seconds)
        train_step(
            self.state, self._objective, self._batches, lambda n: self._ranks.draws(number, n), ranks=self._ranks
        )
        self.seconds.append(_now(self.state.device) - start)
        self.cpu_seconds.append(time.process_time() - busy)

    @property
    def median_cpu(self) -> float:
        return statistics.median(self.cpu_seconds[1:])

    @property
    def median(self) -> float:
        return statistics.median(self.seconds[1:])  # the first step also sets up


def measure(config: TrainingConfig, ranks: Ranks, device: torch.device, rounds: int, threads: list[int]) -> list[str]:
    """Take turns, and report."""
    waiting: list[float] = []
    exchanges: dict[str, list[float]] = defaultdict(list)
    loopback: list[int] = []
    if isinstance(ranks, ManyRanks):
        _time_exchanges(ranks, device, waiting)
    many = Timed(config, ranks, device, 1)
    alone = [Timed(config, ONE, device, count) for count in threads]
    for _ in range(rounds + 1):
        if ranks.leads:
            for one in alone:
                one.step()
        ranks.any(False)  # the others sleep until rank 0 is here
        waiting.append(0.0)
        before = _loopback_bytes()
        many.step()
        ranks.any(False)
        loopback.append(_loopback_bytes() - before)
        for name, network in many.state.networks.items():
            flat = torch.zeros(sum(weight.numel() for weight in network.parameters()), device=device)
            ranks.any(False)
            start = _now(device)
            if ranks.world_size > 1:
                dist.all_reduce(flat)
            exchanges[name].append(_now(device) - start)
    return _report(config, ranks, many, alone, waiting[1:], exchanges, loopback[1:]) if ranks.leads else []


def _report(
    config: TrainingConfig,
    ranks: Ranks,
    many: Timed,
    alone: list[Timed],
    waiting: list[float],
    exchanges: dict[str, list[float]],
    loopback: list[int],
) -> list[str]:
    size, model = ranks.world_size, cast(WaveGAN, config.architecture)
    updates: dict[str, int] = defaultdict(int)
    for update in config.objective.updates():
        updates[update.network] += 1
    bytes_of = {name: _bytes(network) for name, network in many.state.networks.items()}
    in_a_step = sum(bytes_of[name] * count for name, count in updates.items())
    title = f"{type(config.objective).__name__}, d = {model.dim}, {model.clip_length} samples"
    lines = [f"{title}, batch {config.batch_size} in all, {many.state.device.type}"]
    for name, count in updates.items():
        seconds = statistics.median(exchanges[name][1:])
        lines.append(
            f"  {name:9}  {bytes_of[name] / 1e6:7.2f} MB an update, {count} a step, "
            f"exchanged in {seconds * 1e3:7.2f} ms ({bytes_of[name] / seconds / 1e9:.2f} GB/s)"
        )
    sent = in_a_step * 2 * (size - 1)
    reference = alone[0]
    share = statistics.median(waiting) / many.median
    return [
        *lines,
        (
            f"  in a step  {in_a_step / 1e6:7.2f} MB of gradients; a ring sends {sent / 1e6:.2f} MB in all; "
            f"counted on the loopback interface: {statistics.median(loopback) / 1e6:.2f} MB"
        ),
        *(_line(f"1 process, {one.threads} thread(s)", one, reference) for one in alone),
        _line(f"{size} processes, 1 thread each", many, reference),
        f"  waiting and exchanging: {share:.1%} of the step; efficiency {reference.median / many.median / size:.1%}",
    ]


def _line(name: str, timed: Timed, reference: Timed) -> str:
    return (
        f"  {name:28} {timed.median * 1e3:9.1f} ms a step   {reference.median / timed.median:5.2f} ×   "
        f"rank 0 computes {timed.median_cpu * 1e3:9.1f} ms"
    )


def _time_exchanges(ranks: ManyRanks, device: torch.device, into: list[float]) -> None:
    """Add the time that a step spends in averaging gradients to the last of `into`."""
    average = ranks.average_gradients

    def timed(name: str, network: nn.Module) -> None:
        start = _now(device)
        average(name, network)
        into[-1] += _now(device) - start

    ranks.average_gradients = timed  # type: ignore[method-assign]


def _bytes(network: nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _loopback_bytes() -> int:
    """Bytes ever sent over the loopback interface, by whomever; 0 where that cannot be told."""
    counters = Path("/proc/net/dev")
    lines = counters.read_text().splitlines() if counters.exists() else []
    return next((int(line.split()[9]) for line in lines if line.strip().startswith("lo:")), 0)


if __name__ == "__main__":
    main()
