"""The ways by which the samples of batches reach the device.

Which clips make up a batch is worked out on the host, and costs next to nothing. Their samples come

    on a CPU              out of the memory map, as they are wanted: copying is all there is to do
    on a GPU, if it fits  out of the GPU's own memory, which then holds all audio as int16 and cuts the clips itself
    on a GPU otherwise    out of the memory map, by a thread that is two batches ahead and copies them while a step runs
"""

import dataclasses
from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.slicing import Clips, Slicing

FULL_SCALE = 32768  # what an int16 is divided by
AHEAD = 2  # batches
_RESIDENT_SHARE = 0.25  # of a GPU's free memory, that audio may take
_BLOCK = 1 << 22  # samples copied to a GPU at a time


@dataclasses.dataclass(frozen=True)
class Request:
    """A batch of `Dataset.batch`, by its arguments."""

    number: int
    size: int
    seed: int
    slicing: Slicing
    balance_labels: bool
    rows: slice | NDArray[np.intp]

    @property
    def key(self) -> tuple[int, int]:
        """What tells the batches of a run apart."""
        return self.number, self.seed


class ClipReader(ABC):
    """Where the samples of batches come from.

    Args:
        dataset: prepared sounds.
        device: where batches are wanted.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.device = device
        self._dataset = dataset

    @abstractmethod
    def read(self, request: Request) -> Tensor:
        """A batch, float32 (B, C, T) in [-1, 1)."""

    def read_next(self, request: Request, following: list[Request]) -> Tensor:
        """A batch, after which others will be wanted, probably these."""
        return self.read(request)

    def close(self) -> None:  # noqa: B027 (most read nothing ahead)
        """Read nothing ahead any more."""


class Mapped(ClipReader):
    """Reads from the memory map when asked."""

    def read(self, request: Request) -> Tensor:
        return to_float(torch.from_numpy(_cut(self._dataset, request)).to(self.device))


class Resident(ClipReader):
    """Keeps all audio on the device and gathers clips there."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        super().__init__(dataset, device)
        self._audio = torch.empty(dataset.total_samples, dataset.channels, dtype=torch.int16, device=device)
        end = 0
        for shard in dataset.whole():
            for begin in range(0, len(shard), _BLOCK):
                block = torch.from_numpy(np.array(shard[begin : begin + _BLOCK]))
                self._audio[end : end + len(block)] = block.to(device)
                end += len(block)

    def read(self, request: Request) -> Tensor:
        _, clips = self._dataset.draw(
            *(request.number, request.size, request.seed),
            slicing=request.slicing,
            balance_labels=request.balance_labels,
        )
        mine = Clips(*(column[request.rows] for column in clips))
        where = torch.from_numpy(np.stack([self._dataset.places(mine), mine.num_samples]))  # (2, B)
        if self.device.type == "cuda":
            where = where.pin_memory()
        starts, lengths = where.to(self.device, non_blocking=True)[:, :, None]
        time = torch.arange(request.slicing.clip_length, device=self.device)
        inside = time < lengths  # (B, T); beyond the end of a short clip there is silence, not the next file
        samples = self._audio[torch.where(inside, starts + time, 0)] * inside[:, :, None]
        return to_float(samples.transpose(1, 2)).contiguous()


class Prefetched(ClipReader):
    """Reads from the memory map in a thread that is ahead, into pinned memory, and copies on a stream of its own.

    The thread reads everything, so that the dataset is used by one thread at a time. It ends with `close`, or when
    nobody needs it any more; what goes wrong in it is raised where the batch is wanted.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        super().__init__(dataset, device)
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[tuple[int, int], Future[tuple[Tensor, Any]]] = {}
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def read(self, request: Request) -> Tensor:
        return self._take(self._submit(request))

    def read_next(self, request: Request, following: list[Request]) -> Tensor:
        ready, *later = [self._ask(each) for each in (request, *following)]
        for future in self._ahead.values():  # of another attempt, or from before a step back
            future.cancel()
        self._ahead = {each.key: future for each, future in zip(following, later, strict=True)}
        return self._take(ready)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool, self._ahead = None, {}

    def _ask(self, request: Request) -> "Future[tuple[Tensor, Any]]":
        return self._ahead.pop(request.key) if request.key in self._ahead else self._submit(request)

    def _submit(self, request: Request) -> "Future[tuple[Tensor, Any]]":
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "fauxley-batches")
        return self._pool.submit(self._fetch, request)

    def _fetch(self, request: Request) -> tuple[Tensor, Any]:
        """In the thread: a batch on the device, int16, and the event of its arrival there."""
        integers = torch.from_numpy(_cut(self._dataset, request))
        if self._stream is None:
            return integers.to(self.device), None
        with torch.cuda.stream(self._stream):
            on_device = integers.pin_memory().to(self.device, non_blocking=True)
            return on_device, self._stream.record_event()

    def _take(self, future: "Future[tuple[Tensor, Any]]") -> Tensor:
        integers, arrival = future.result()
        if arrival is not None:
            now = torch.cuda.current_stream(self.device)
            now.wait_event(arrival)
            integers.record_stream(now)
        return to_float(integers)


def choose_reader(dataset: Dataset, device: torch.device) -> ClipReader:
    """What suits the device and the dataset; audio behind a URL is not fetched as a whole."""
    if device.type != "cuda":
        return Mapped(dataset, device)
    free, _ = torch.cuda.mem_get_info(device)
    fits = 2 * dataset.channels * dataset.total_samples <= _RESIDENT_SHARE * free
    return Resident(dataset, device) if fits and dataset.is_local else Prefetched(dataset, device)


def _cut(dataset: Dataset, request: Request) -> Any:
    return dataset.batch(
        *(request.number, request.size, request.seed),
        slicing=request.slicing,
        balance_labels=request.balance_labels,
        rows=request.rows,
    )


def to_float(integers: Tensor) -> Tensor:
    """Samples as float32 in [-1, 1)."""
    return integers.float() / FULL_SCALE
