"""Training by many processes on one machine or several, with torch.distributed: NCCL between GPUs, gloo between CPUs.

It does without DistributedDataParallel: an update runs a network forward several times and backward through its own
gradient, and all that has to be exchanged is one sum of gradients. One flat buffer for a network and one all-reduce do
that.

What the processes must agree on (stop? diverged?) goes through a separate gloo group. That group never waits for a GPU,
and notices at once when a process has died, because its connection closes. It is patient, because rank 0 may prepare
data for hours while the others wait. Gradients are exchanged while all processes are at work, so there a long silence
means that something is broken.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from fauxley.errors import FauxleyError, UsageError
from fauxley.models.draws import Draws, Share, SharedDraws
from fauxley.training.checkpoint import from_bytes, to_bytes
from fauxley.training.config import TrainingConfig
from fauxley.training.ranks import Ranks
from fauxley.training.state import TrainingState

GRADIENT_TIMEOUT = timedelta(minutes=10)
_HOST_TIMEOUT = timedelta(days=1)


def share_of(config: TrainingConfig, rank: int, world_size: int) -> Share:
    """The rows of each part of a batch that process `rank` computes.

    Raises:
        UsageError: this training cannot be shared, or not by so many processes.
    """
    whole = config.batch_size // config.accumulate
    if world_size > 1 and config.architecture.mixes_examples:
        raise UsageError(
            "batch normalisation takes its statistics over the whole batch, which is shared out here; "
            "train in one process, without torchrun, or without batch normalisation (batch_norm)"
        )
    if whole < world_size:
        parts = f" in {config.accumulate} parts" if config.accumulate > 1 else ""
        raise UsageError(
            f"a batch of {config.batch_size}{parts} is too small for {world_size} processes, which need a clip each; "
            "start fewer, or raise batch_size"
        )
    return Share(rank, world_size, whole)


class ManyRanks(Ranks):
    """The processes of torch.distributed's default group, which must have been joined.

    Args:
        share: this process's share of each part of a batch.
        accumulate: the number of parts of a batch. Each process computes its rows of each part, so that the parts, and
            with them the random numbers, are those of a single process.
        local_rank: the number of this process on its machine.
    """

    supervised = True

    def __init__(self, share: Share, accumulate: int, local_rank: int) -> None:
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()
        self._local_rank = local_rank
        self._share = share
        self._accumulate = accumulate
        self._host = dist.new_group(backend="gloo", timeout=_HOST_TIMEOUT)
        self._buckets: dict[str, _Bucket] = {}

    @property
    def rows(self) -> NDArray[np.intp]:
        parts = np.arange(self._accumulate * self._share.whole).reshape(self._accumulate, -1)
        return parts[:, self._share.rows].reshape(-1)

    def draws(self, *key: int) -> Draws:
        return SharedDraws(*key, share=self._share)

    def average_gradients(self, name: str, network: nn.Module) -> None:
        weights = [weight for weight in network.parameters() if weight.grad is not None]
        bucket = self._buckets.get(name)
        if bucket is None or not bucket.fits(weights):
            bucket = self._buckets[name] = _Bucket(weights)
        bucket.sum(len(self._share) / self._share.whole)

    def gather(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        whole = next(iter(values.values())).new_zeros(len(values), self._accumulate, self._share.whole)
        for row, value in zip(whole, values.values(), strict=True):
            mine = row[:, self._share.rows]
            # A value that stands for several examples counts once for each of them.
            mine.copy_(value.repeat_interleave(mine.numel() // len(value)).view_as(mine))
        _all_reduce(whole)
        return {name: row.flatten() for name, row in zip(values, whole, strict=True)}

    def any(self, flag: bool) -> bool:
        found = torch.tensor(int(flag))
        with _connected():
            dist.all_reduce(found, dist.ReduceOp.MAX, self._host)
        return bool(found)

    def follow(self, state: TrainingState) -> None:
        content = torch.frombuffer(to_bytes(state), dtype=torch.uint8) if self.leads else torch.empty(0)
        size = torch.tensor(len(content))
        with _connected():
            dist.broadcast(size, 0, self._host)
            if not self.leads:
                content = torch.empty(int(size), dtype=torch.uint8)
            dist.broadcast(content, 0, self._host)
        if not self.leads:
            from_bytes(content.numpy().tobytes(), state)

    def check_same(self, state: TrainingState) -> None:
        if different := self._unlike_first(_checksum(state)):
            raise FauxleyError(
                f"at step {state.step} the weights of rank {different[0]} differ from those of rank 0; "
                "run it again to resume from the last checkpoint, and if that does not help, on identical machines"
            )

    def check_agreed(self, what: str, value: object) -> None:
        digest = hashlib.sha256(repr(value).encode()).digest()
        if different := self._unlike_first(int.from_bytes(digest[:8], signed=True)):
            raise UsageError(f"rank {different[0]} has other {what} than rank 0; give all machines the same")

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        turn = 0 if self.rank == 0 else 1 if self._local_rank == 0 else 2
        self._wait(turn)
        yield
        self._wait(2 - turn)

    def _wait(self, times: int) -> None:
        for _ in range(times):
            self.any(False)

    def _unlike_first(self, number: int) -> list[int]:
        """The ranks that have another number than rank 0."""
        numbers = [torch.tensor(0) for _ in range(self.world_size)]
        with _connected():
            dist.all_gather(numbers, torch.tensor(number), self._host)
        return [rank for rank, other in enumerate(numbers) if other != numbers[0]]


class _Bucket:
    """One buffer for the gradients of several weights, so that processes exchange them at once."""

    def __init__(self, weights: list[nn.Parameter]) -> None:
        sizes = [weight.numel() for weight in weights]
        self._weights = weights
        self._flat = torch.empty(sum(sizes), dtype=weights[0].dtype, device=weights[0].device)
        pieces = torch.split(self._flat, sizes)
        self._gradients = [piece.view_as(weight) for piece, weight in zip(pieces, weights, strict=True)]

    def fits(self, weights: list[nn.Parameter]) -> bool:
        """Whether the buffer was made for exactly these weights."""
        return len(weights) == len(self._weights) and all(a is b for a, b in zip(weights, self._weights, strict=True))

    def sum(self, factor: float) -> None:
        """Replace the gradients by their sum over all processes, each multiplied by its process's factor."""
        torch._foreach_copy_(self._gradients, [weight.grad for weight in self._weights if weight.grad is not None])
        self._flat.mul_(factor)
        _all_reduce(self._flat)
        for weight, gradient in zip(self._weights, self._gradients, strict=True):
            weight.grad = gradient


def _all_reduce(values: Tensor) -> None:
    """Sum over all processes, in place."""
    with _connected():
        dist.all_reduce(values)


@contextmanager
def _connected() -> Iterator[None]:
    """Turn a broken connection, which usually means that a process was killed, into a plain message."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise FauxleyError(
            "lost contact with another process of this training: it was killed, or its machine cannot be reached; run "
            "it again to resume from the last checkpoint, or let torchrun do so: --max-restarts 3"
        ) from error


def _checksum(state: TrainingState) -> int:
    """A number that changes when any bit of the weights does."""
    weights = (weight.detach() for network in state.networks.values() for weight in network.parameters())
    sums = [weight.flatten().view(torch.int32).sum(dtype=torch.int64) for weight in weights]
    return int(torch.stack([number * (2 * place + 1) for place, number in enumerate(sums)]).sum())
