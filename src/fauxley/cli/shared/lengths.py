"""Clip lengths asked for in seconds: models have only certain lengths in samples."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import INFO_FILE
from fauxley.dataset.location import is_url
from fauxley.dataset.slicing import fitting_clip_length
from fauxley.errors import UsageError

if TYPE_CHECKING:  # it brings PyTorch along
    from fauxley.training.config import TrainingConfig


def clip_length_for(seconds: float, sample_rate: int) -> int:
    """The nearest length of a model that holds `seconds`, give or take a tenth.

    Raises:
        UsageError: there is none.
    """
    if not 0 < seconds < 1e6:
        raise UsageError(f"--seconds is how long a clip is to be, such as 1.5; got {seconds}")
    length = fitting_clip_length(seconds, sample_rate)
    if length < 0.9 * seconds * sample_rate:
        raise UsageError(
            f"{seconds:g} s at {sample_rate} Hz are longer than any model's clip: {length} samples, "
            f"{length / sample_rate:.2f} s; ask for less, or for a lower --sample-rate"
        )
    return length


def describe_fit(seconds: float, length: int, sample_rate: int) -> str:
    """What became of a wish for `seconds`, in words."""
    return (
        f"--seconds {seconds:g}: clips of {length} samples, {length / sample_rate:.2f} s at {sample_rate} Hz, "
        "the nearest length that models have"
    )


def with_seconds(config: "TrainingConfig", seconds: float, data: Path | str) -> "tuple[TrainingConfig, int]":
    """`config` for clips that hold `seconds` of the sounds at `data`, and their sample rate."""
    rate = config.data.sample_rate
    if is_url(data) or (Path(data) / INFO_FILE).exists():
        rate = Dataset.open(data).sample_rate
    architecture = dataclasses.replace(config.architecture, clip_length=clip_length_for(seconds, rate))
    return dataclasses.replace(config, architecture=architecture), rate
