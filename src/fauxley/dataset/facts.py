"""What must be known of sounds before a model for them is chosen: their rate, their channels, how long they are.

A dataset knows. Of a folder a sample is decoded, so that even of a large one the answer comes within seconds.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.folder_report import Advice, scan_folder
from fauxley.dataset.format import is_dataset
from fauxley.dataset.parts import complain
from fauxley.dataset.shared_progress import Progress
from fauxley.errors import FauxleyError, UsageError
from fauxley.sounds.catalogue import list_sounds

MOST_FILES = 200
_MOST_BYTES = 1 << 28  # of them
_LONGEST = 4.0  # seconds of what is taken for one sound
_ONE_SHOTS = ("first", "onsets")  # slicings
_WITHIN = 1.5  # clips, in which a dataset's sounds may be taken to be whole


@dataclass(frozen=True)
class Facts:
    """What is known of sounds.

    Attributes:
        sample_rate: in Hz.
        channels: how many.
        seconds: nine of ten sounds are no longer, or what a clip of longer ones is to hold.
        slicing: how clips are cut of them: see `PackSettings.slicing`.
        one_shots: how many there are, at least; 0: not known, or clips are stretches of longer sounds.
    """

    sample_rate: int
    channels: int
    seconds: float
    slicing: Literal["auto", "first", "random", "onsets"] = "auto"
    one_shots: int = 0


def gather_facts(
    place: Path | str,
    sample_rate: int | None = None,
    channels: int | None = None,
    progress: Progress | None = None,
    n_jobs: int | None = None,
) -> Facts:
    """What is to be known of a dataset, or of a folder of sounds.

    Args:
        place: as for `open_or_prepare`.
        sample_rate, channels: those wanted, instead of the sounds' own.
        progress: called with (files done, files in all).
        n_jobs: parallel workers; None leaves it to joblib's `parallel_config`.

    Raises:
        UsageError: there is nothing, or a dataset of another rate or number of channels than is wanted.
        FauxleyError: nothing there can be used.
    """
    if not is_dataset(place):
        facts = facts_of(_advice(Path(place), progress, n_jobs), len(list_sounds(Path(place)).sounds))
        return replace(facts, sample_rate=sample_rate or facts.sample_rate, channels=channels or facts.channels)
    dataset = Dataset.open(place)
    for what, wanted, there in (
        ("Hz", sample_rate, dataset.sample_rate),
        ("channel(s)", channels, dataset.channels),
    ):
        if wanted not in (None, there):
            raise UsageError(
                f"{dataset.name} was prepared with {there} {what}, not {wanted}; prepare its sounds anew, or give "
                "their folder"
            )
    one_shots = dataset.num_clips() if dataset.info.slicing.mode in _ONE_SHOTS else 0
    return Facts(dataset.sample_rate, dataset.channels, _seconds(dataset), one_shots=one_shots)


def facts_of(advice: Advice, files: int) -> Facts:
    """The facts on which the advice of a scan stands, of so many files."""
    one_shots = files if advice.slicing in _ONE_SHOTS else 0
    return Facts(advice.sample_rate, advice.channels, advice.clip_seconds, advice.slicing, one_shots)


def _advice(folder: Path, progress: Progress | None, n_jobs: int | None) -> Advice:
    report = scan_folder(folder, n_jobs=n_jobs, progress=progress, most_files=MOST_FILES, most_bytes=_MOST_BYTES)
    if report.advice is None:  # a sample of broken files; of many, some are good, maybe
        report = scan_folder(folder, n_jobs=n_jobs, progress=progress)
    if report.advice is None:
        complain(report.skipped)
        raise FauxleyError(f"there is nothing to be used in {folder}")
    return report.advice


def _seconds(dataset: Dataset) -> float:
    slicing, rate = dataset.info.slicing, dataset.sample_rate
    prepared = slicing.clip_length / rate
    if slicing.mode in ("all", "random"):
        return min(prepared, _LONGEST)
    most = float(np.percentile(dataset.lengths, 90)) / rate
    # What was prepared as one-shots and is much longer than the clips of it has all but silent tails.
    return min(most if most <= _WITHIN * prepared else prepared, _LONGEST)
