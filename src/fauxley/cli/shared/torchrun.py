"""Running as one of the processes that `torchrun -m -- fauxley train ...` starts.

torchrun gives each process its rank by environment variables. An error in one process ends all of them, but only one
should print a message: the first to fail notes that in the store that they share, and the others, which fail, too, or
lose the connection, end silently.
"""

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from fauxley.errors import FauxleyError
from fauxley.machine import Device, choose_device
from fauxley.training.config import TrainingConfig
from fauxley.training.ranks import ONE, Ranks

if TYPE_CHECKING:
    import torch
    from torch._C._distributed_c10d import Store

_JOIN_TIMEOUT = timedelta(minutes=10)
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def together(config: TrainingConfig, device: Device) -> Iterator[tuple[Ranks, "torch.device"]]:
    """Yield the processes that train together, only this one outside of torchrun, and this one's device.

    Raises:
        UsageError: the training cannot be shared, or not by so many processes.
        FauxleyError: the other processes cannot be reached.
        SystemExit: another process reports the error.
    """
    if not all(os.environ.get(name) for name in _VARIABLES):
        yield ONE, choose_device(device)
        return
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    from fauxley.training.distributed import GRADIENT_TIMEOUT, ManyRanks, share_of

    rank, world_size, local_rank = (int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    share = share_of(config, rank, world_size)
    try:
        store = _muster(next(iter(rendezvous("env://", timeout=_JOIN_TIMEOUT)))[0], rank, world_size)
    except (RuntimeError, ValueError, TimeoutError) as error:
        _speak()
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise FauxleyError(f"rank {rank} cannot reach the other processes at {address}") from error
    try:
        chosen = choose_device(device, local_rank)
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=GRADIENT_TIMEOUT)
        yield ManyRanks(share, config.accumulate, local_rank), chosen
    except BaseException as error:
        if _is_first(store):
            _speak()
            raise
        raise SystemExit(error.exit_code if isinstance(error, FauxleyError) else 1) from error
    dist.destroy_process_group()


def _muster(store: "Store", rank: int, world_size: int) -> "Store":
    """The part of the store that belongs to the processes of this start.

    After a restart torchrun's store still holds what the processes before left there, such as addresses of dead ones.
    torchrun counts restarts, but on each machine separately. So rank 0 makes up a new name and tells it to the others:
    each of them asks with a word that was never used before, and confirms when it has the answer.
    """
    from torch._C._distributed_c10d import PrefixStore

    if rank > 0:
        word = uuid.uuid4().hex
        store.set(f"fauxley/asks/{rank}", word)
        name = store.get(f"fauxley/answer/{word}").decode()  # waits for it
        store.set(f"fauxley/{name}/has/{rank}", "")
        return PrefixStore(name, store)
    name = uuid.uuid4().hex
    missing = set(range(1, world_size))
    deadline = time.monotonic() + _JOIN_TIMEOUT.total_seconds()
    while missing:
        for other in tuple(missing):
            if store.check([f"fauxley/{name}/has/{other}"]):
                missing.remove(other)
            elif store.check([f"fauxley/asks/{other}"]):  # maybe of one that is dead, and will be set anew
                store.set(f"fauxley/answer/{store.get(f'fauxley/asks/{other}').decode()}", name)
        if time.monotonic() > deadline:
            raise TimeoutError(f"rank {min(missing)} is missing")
        time.sleep(0.02)
    return PrefixStore(name, store)


def _is_first(store: "Store") -> bool:
    """Whether no other process has failed before this one."""
    try:
        return bool(store.add("failures", 1) == 1)
    except RuntimeError:  # the store has gone with the process that kept it
        return True


def _speak() -> None:
    """Let this process be heard, which the command line prevents if it is not rank 0, before torchrun ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stderr = sys.__stderr__
