"""Real sounds for training: float32 batches on its device, cut to the length of the model's clips.

`RealAudio` computes on the host which clips make up a batch, which takes hardly any time. Their samples come

    on a CPU                          from the memory-mapped files, when they are needed: `MappedReader`
    on a GPU that can hold the audio  from the GPU's memory, which keeps all of it as int16: `ResidentReader`
    on another GPU                    from the memory-mapped files, by a thread that reads two batches ahead and copies
                                      them while a step runs: `PrefetchingReader`
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.slicing import Clips, Slicing
from fauxley.errors import UsageError
from fauxley.models.conditioning import enumerated, one_hot
from fauxley.models.draws import Draws, Purpose
from fauxley.signal.pitch import at_pitch
from fauxley.training.config import TrainingConfig
from fauxley.training.ranks import ONE, Ranks

FULL_SCALE = 32768  # int16 samples are divided by it
BATCHES_AHEAD = 2
_RESIDENT_SHARE = 0.25  # share of a GPU's free memory that the audio may take
_BLOCK = 1 << 22  # samples copied to a GPU at a time


@dataclasses.dataclass(frozen=True)
class BatchRequest:
    """A batch to read: the arguments of `Dataset.batch`."""

    number: int
    size: int
    seed: int
    slicing: Slicing
    balance_labels: bool
    rows: slice | NDArray[np.intp]

    @property
    def key(self) -> tuple[int, int]:
        """The key by which batches of a run are distinguished."""
        return self.number, self.seed


class ClipReader(ABC):
    """Reads the samples of batches.

    Args:
        dataset: prepared sounds.
        device: for the batches.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.device = device
        self._dataset = dataset

    @abstractmethod
    def read(self, request: BatchRequest) -> Tensor:
        """Read a batch, float32 (B, C, T) in [-1, 1)."""

    def read_next(self, request: BatchRequest, following: list[BatchRequest]) -> Tensor:
        """Read a batch; `following` are the batches that will probably be needed next."""
        return self.read(request)

    def close(self) -> None:  # noqa: B027 (most readers do not read ahead)
        """Stop reading ahead."""


class MappedReader(ClipReader):
    """Reads from the memory-mapped files when a batch is needed."""

    def read(self, request: BatchRequest) -> Tensor:
        return to_float(torch.from_numpy(_cut(self._dataset, request)).to(self.device))


class ResidentReader(ClipReader):
    """Keeps all audio on the device, and gathers clips there."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        super().__init__(dataset, device)
        self._audio = torch.empty(dataset.total_samples, dataset.channels, dtype=torch.int16, device=device)
        end = 0
        for shard in dataset.whole():
            for begin in range(0, len(shard), _BLOCK):
                block = torch.from_numpy(np.array(shard[begin : begin + _BLOCK]))
                self._audio[end : end + len(block)] = block.to(device)
                end += len(block)

    def read(self, request: BatchRequest) -> Tensor:
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
        inside = time < lengths  # (B, T); after the end of a short clip comes silence, not the next file
        samples = self._audio[torch.where(inside, starts + time, 0)] * inside[:, :, None]
        return to_float(samples.transpose(1, 2)).contiguous()


class PrefetchingReader(ClipReader):
    """Reads ahead from the memory-mapped files, in a thread, into pinned memory, and copies on its own CUDA stream.

    Only that thread reads, so that the dataset is never used by two threads at once. The thread ends with `close`. Its
    errors are raised where the batch is needed.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        super().__init__(dataset, device)
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[tuple[int, int], Future[tuple[Tensor, Any]]] = {}
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def read(self, request: BatchRequest) -> Tensor:
        return self._take(self._submit(request))

    def read_next(self, request: BatchRequest, following: list[BatchRequest]) -> Tensor:
        ready, *later = [self._ask(each) for each in (request, *following)]
        for future in self._ahead.values():  # left over when training was set back
            future.cancel()
        self._ahead = {each.key: future for each, future in zip(following, later, strict=True)}
        return self._take(ready)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool, self._ahead = None, {}

    def _ask(self, request: BatchRequest) -> "Future[tuple[Tensor, Any]]":
        return self._ahead.pop(request.key) if request.key in self._ahead else self._submit(request)

    def _submit(self, request: BatchRequest) -> "Future[tuple[Tensor, Any]]":
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "fauxley-batches")
        return self._pool.submit(self._fetch, request)

    def _fetch(self, request: BatchRequest) -> tuple[Tensor, Any]:
        """Read a batch in the thread; return it on the device as int16, with the CUDA event of its arrival."""
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
    """Choose a reader that suits the device and the dataset; remote audio is never fetched as a whole."""
    if device.type != "cuda":
        return MappedReader(dataset, device)
    free, _ = torch.cuda.mem_get_info(device)
    fits = 2 * dataset.channels * dataset.total_samples <= _RESIDENT_SHARE * free
    return ResidentReader(dataset, device) if fits and dataset.is_local else PrefetchingReader(dataset, device)


def _cut(dataset: Dataset, request: BatchRequest) -> Any:
    return dataset.batch(
        *(request.number, request.size, request.seed),
        slicing=request.slicing,
        balance_labels=request.balance_labels,
        rows=request.rows,
    )


def to_float(integers: Tensor) -> Tensor:
    """Convert samples to float32 in [-1, 1)."""
    return integers.float() / FULL_SCALE


class RealAudio:
    """Batches of a dataset as float32 (B, C, T) in [-1, 1).

    Args:
        dataset: prepared sounds.
        config: batch size, seed, and how clips are cut.
        device: for the batches.
        ranks: determines this process's rows of each batch.
        reader: of the samples; None for one that suits the device and the dataset.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        device: torch.device,
        ranks: Ranks = ONE,
        reader: ClipReader | None = None,
    ) -> None:
        self.sample_rate = dataset.sample_rate
        self._dataset = dataset
        self._config = config
        self._slicing = slicing_for(config, dataset)
        self._rows = ranks.rows
        self._reader = reader or choose_reader(dataset, device)
        self._labels = _BatchLabels(dataset, config) if config.architecture.known_labels else None

    def batch(self, number: int, attempt: int = 0, size: int | None = None) -> Tensor:
        """Batch `number` of a training run: this process's rows of it, each clip at one of the configured pitches.

        Args:
            attempt: how many times training was set back; each attempt has its own order.
            size: a number of clips instead of the configured one; returns all rows, at their own pitch.
        """
        if size:
            return self._reader.read(self._request(number, attempt, size, slice(None)))
        size = self._config.batch_size
        now, *following = (self._request(number + n, attempt, size, self._rows) for n in range(BATCHES_AHEAD + 1))
        audio, pitches = self._reader.read_next(now, following), self._config.data.pitches
        if len(pitches) == 1:
            return audio
        chosen = Draws(Purpose.PITCHES, now.seed, number).choices(size, len(pitches))[self._rows]
        for option, semitones in enumerate(pitches):
            if semitones and len(rows := torch.nonzero(chosen == option)[:, 0].to(audio.device)):
                audio[rows] = at_pitch(audio[rows], semitones)
        return audio

    def labels(self, number: int, attempt: int = 0, size: int | None = None) -> Tensor:
        """The labels of the clips of `batch` as weights (B, L); a clip without a label has equal weights."""
        rows = slice(None) if size else self._rows
        request = self._request(number, attempt, size or self._config.batch_size, rows)
        weights = torch.zeros(request.size, 0)[rows] if self._labels is None else self._labels.of(request)
        return weights.to(self._reader.device)

    def once(self) -> Iterator[Tensor]:
        """Yield every clip once, in batches, and again at the lowest and at the highest of the configured pitches."""
        pitch = self._config.data.pitch
        for integers in self._dataset.once(self._config.batch_size, self._slicing):
            audio = to_float(torch.from_numpy(integers).to(self._reader.device))
            yield audio
            if pitch:
                yield at_pitch(audio, -pitch)
                yield at_pitch(audio, pitch)

    def close(self) -> None:
        """Stop reading ahead."""
        self._reader.close()

    def _request(self, number: int, attempt: int, size: int, rows: slice | NDArray[np.intp]) -> BatchRequest:
        config = self._config
        return BatchRequest(number, size, config.seed + attempt, self._slicing, config.data.balance_labels, rows)


class _BatchLabels:
    """The labels of the clips in batches, looked up separately from their samples.

    Raises:
        UsageError: the model has other labels than the data.
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig) -> None:
        known = config.architecture.known_labels
        found = sorted(set(dataset.label_counts(slicing_for(config, dataset))) - {""})
        if sorted(known) != found:
            raise UsageError(
                f"the model has the labels {enumerated(known)}, but {dataset.name} has "
                f"{enumerated(found) or 'none'}; give the data for which the model is meant"
            )
        self._dataset = dataset.again()  # a reader may be using it in another thread
        places = [known.index(label) if label in known else -1 for label in dataset.labels]
        self._places = np.array([*places, -1])  # the last entry is for -1, no label
        self._num_labels = len(known)

    def of(self, request: BatchRequest) -> Tensor:
        _, clips = self._dataset.draw(
            *(request.number, request.size, request.seed),
            slicing=request.slicing,
            balance_labels=request.balance_labels,
        )
        places = self._places[self._dataset.labels_of(clips)][request.rows]
        return one_hot(places.tolist(), self._num_labels)


def slicing_for(config: TrainingConfig, dataset: Dataset) -> Slicing:
    """How clips are cut for a model: as the dataset was prepared, unless the configuration says otherwise."""
    prepared = dataset.info.slicing
    return dataclasses.replace(
        prepared,
        clip_length=config.architecture.clip_length,
        mode=prepared.mode if config.data.slicing == "auto" else config.data.slicing,
        overlap=config.data.overlap or prepared.overlap,
    )


def fingerprint(config: TrainingConfig, dataset: Dataset) -> str:
    """A short hash of the dataset's content and of how clips are cut from it."""
    return dataset.fingerprint(slicing_for(config, dataset))


def licenses(dataset: Dataset) -> str:
    """The distinct licences of the data, joined."""
    return "; ".join(dataset.licenses)
