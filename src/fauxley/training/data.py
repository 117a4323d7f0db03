"""Real sounds as the trainer wants them: float batches on its device, cut for its model."""

import dataclasses
import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.slicing import Slicing
from fauxley.training.clip_reader import AHEAD, ClipReader, Request, choose_reader, to_float
from fauxley.training.config import TrainingConfig
from fauxley.training.ranks import ONE, Ranks


class RealAudio:
    """Batches of a dataset as float32 (B, C, T) in [-1, 1).

    Args:
        dataset: prepared sounds.
        config: batch size, seed, and how clips are cut.
        device: where batches are wanted.
        ranks: which rows of them are this process's.
        clips: where samples come from; None: what suits the device and the dataset.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        device: torch.device,
        ranks: Ranks = ONE,
        clips: ClipReader | None = None,
    ) -> None:
        self.sample_rate = dataset.sample_rate
        self._dataset = dataset
        self._config = config
        self._slicing = slicing_for(config, dataset)
        self._rows = ranks.rows
        self._clips = clips or choose_reader(dataset, device)

    def batch(self, number: int, attempt: int = 0, size: int | None = None) -> Tensor:
        """This process's rows of batch `number` of a training run; each attempt at a run has an order of its own.

        Args:
            size: instead of the run's own batch, one of so many clips, all of them.
        """
        if size:
            return self._clips.read(self._request(number, attempt, size, slice(None)))
        size = self._config.batch_size
        now, *following = (self._request(number + n, attempt, size, self._rows) for n in range(AHEAD + 1))
        return self._clips.read_next(now, following)

    def once(self) -> Iterator[Tensor]:
        """Every clip once, in batches."""
        for integers in self._dataset.once(self._config.batch_size, self._slicing):
            yield to_float(torch.from_numpy(integers).to(self._clips.device))

    def close(self) -> None:
        """Read nothing ahead any more."""
        self._clips.close()

    def _request(self, number: int, attempt: int, size: int, rows: slice | NDArray[np.intp]) -> Request:
        config = self._config
        return Request(number, size, config.seed + attempt, self._slicing, config.data.balance_labels, rows)


def slicing_for(config: TrainingConfig, dataset: Dataset) -> Slicing:
    """How clips are cut for this model: as the dataset was prepared, unless the configuration says otherwise."""
    prepared = dataset.info.slicing
    return dataclasses.replace(
        prepared,
        clip_length=config.architecture.clip_length,
        mode=prepared.mode if config.data.slicing == "auto" else config.data.slicing,
        overlap=config.data.overlap or prepared.overlap,
    )


def fingerprint(config: TrainingConfig, dataset: Dataset) -> str:
    """A short hash of what the dataset holds, and of how clips are cut from it."""
    settings = (dataset.sample_rate, dataset.channels, dataset.info.normalize, slicing_for(config, dataset))
    return hashlib.sha256(repr((settings, dataset.contents())).encode()).hexdigest()[:16]


def licenses(dataset: Dataset) -> str:
    """The distinct licences of the data, joined."""
    return "; ".join(dataset.licenses)
