"""Being one of the processes that `torchrun -m fauxley train ...` starts.

torchrun tells each process who it is by environment variables. Whatever goes wrong then goes wrong for all processes,
of which one speaks: the first to fail says so in the store they share, and the others, which fail too or lose the
connection, end without a word.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from fauxley.apps.devices import Device, choose_device
from fauxley.errors import FauxleyError, UsageError
from fauxley.training.config import TrainingConfig
from fauxley.training.ranks import ONE, Ranks

if TYPE_CHECKING:
    import torch
    from torch._C._distributed_c10d import Store

_JOIN_TIMEOUT = timedelta(minutes=10)
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def together(config: TrainingConfig, device: Device) -> Iterator[tuple[Ranks, "torch.device"]]:
    """Yield the processes to train with and this one's device: outside torchrun, just this one.

    Raises:
        UsageError: the model cannot be trained by many processes, or not by so many.
        SystemExit: another process has told what went wrong.
    """
    if not all(os.environ.get(name) for name in _VARIABLES) or os.environ["WORLD_SIZE"] == "1":
        yield ONE, choose_device(device)
        return
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    from fauxley.training.distributed import GRADIENT_TIMEOUT, ManyRanks

    try:
        store, rank, world_size = next(iter(rendezvous("env://", timeout=_JOIN_TIMEOUT)))
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise FauxleyError(f"the other processes cannot be reached at {address}") from error
    try:
        if config.architecture.mixes_examples:
            raise UsageError(
                "batch_norm normalises over the whole batch, which is spread over processes here; "
                "train without torchrun, or with --no-batch-norm"
            )
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        chosen = choose_device(device, local_rank)
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=GRADIENT_TIMEOUT)
        yield ManyRanks(config.batch_size, config.accumulate, local_rank), chosen
    except BaseException as error:
        if _is_first(store):
            raise
        raise SystemExit(error.exit_code if isinstance(error, FauxleyError) else 1) from error
    dist.destroy_process_group()


def _is_first(store: "Store") -> bool:
    """Whether no other process has failed before this one."""
    try:
        return bool(store.add("fauxley/failures", 1) == 1)
    except RuntimeError:  # the store has gone with the process that kept it
        return True
