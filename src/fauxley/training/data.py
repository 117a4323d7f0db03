"""Real sounds as the trainer wants them: float batches on its device, cut for its model."""

import dataclasses
import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from fauxley.audio.dataset import Dataset
from fauxley.audio.slicing import Slicing
from fauxley.training.config import TrainingConfig
from fauxley.training.ranks import ONE, Ranks

FULL_SCALE = 32768  # what an int16 is divided by


class RealAudio:
    """Batches of a dataset as float32 (B, C, T) in [-1, 1).

    Args:
        dataset: prepared sounds.
        config: batch size, seed, and how clips are cut.
        device: where batches are wanted.
        ranks: which rows of them are this process's.
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig, device: torch.device, ranks: Ranks = ONE) -> None:
        self.sample_rate = dataset.sample_rate
        self._dataset = dataset
        self._config = config
        self._device = device
        self._slicing = slicing_for(config, dataset)
        self._rows = ranks.rows

    def batch(self, number: int, attempt: int = 0, size: int | None = None) -> Tensor:
        """This process's rows of batch `number` of a training run; each attempt at a run has an order of its own.

        Args:
            size: instead of the run's own batch, one of so many clips, all of them.
        """
        config = self._config
        integers = self._dataset.batch(
            number,
            size or config.batch_size,
            config.seed + attempt,
            slicing=self._slicing,
            balance_labels=config.data.balance_labels,
            rows=slice(None) if size else self._rows,
        )
        return torch.from_numpy(integers).to(self._device).float() / FULL_SCALE

    def once(self) -> Iterator[Tensor]:
        """Every clip once, in batches."""
        for integers in self._dataset.once(self._config.batch_size, self._slicing):
            yield torch.from_numpy(integers).to(self._device).float() / FULL_SCALE


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
