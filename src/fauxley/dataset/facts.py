"""Facts about sounds that must be known before a model for them is chosen: rate, channels, lengths.

A dataset has these facts. For a folder a sample of its files is decoded, which takes seconds even for a large one.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.folder_report import Advice, FolderReport, scan_catalogue
from fauxley.dataset.format import is_dataset
from fauxley.dataset.parts import complain
from fauxley.dataset.shared_progress import Progress
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.sounds.catalogue import Catalogue, list_sounds
from fauxley.sounds.measurements import STEP

MOST_FILES = 200
_MOST_BYTES = 1 << 28  # of that sample
_LONGEST = 4.0  # seconds that a sound may have and still be learned whole
_ONE_SHOTS = ("first", "onsets")  # slicings that make one clip of each sound or hit
_WITHIN = 1.5  # clips; a dataset whose sounds are no longer may have been prepared whole


@dataclass(frozen=True)
class Facts:
    """Facts about sounds.

    Attributes:
        sample_rate: in Hz.
        channels: the number of channels.
        seconds: nine of ten sounds are no longer than this; for long recordings, the length that a clip should have.
        slicing: how clips are cut out of the sounds; see `PackSettings.slicing`.
        one_shots: the least number of one-shots there are; 0 if unknown, or if clips are stretches of longer sounds.
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
    """Gather the facts about a dataset or a folder of sounds.

    Args:
        place: see `open_or_prepare`.
        sample_rate, channels: what to use instead of the sounds' own; None for those.
        progress: called with (files done, files in all).
        n_jobs: parallel workers; None leaves it to joblib's `parallel_config`.

    Raises:
        UsageError: the place is missing, or is a dataset of another rate or number of channels than asked for.
        FauxleyError: none of the sounds can be used.
    """
    if not is_dataset(place):
        catalogue = list_sounds(Path(place))
        facts = facts_of(_advice(catalogue, progress, n_jobs), len(catalogue.sounds))
        return replace(facts, sample_rate=sample_rate or facts.sample_rate, channels=channels or facts.channels)
    dataset = Dataset.open(place)
    for what, wanted, there in (
        ("Hz", sample_rate, dataset.sample_rate),
        ("channel(s)", channels, dataset.channels),
    ):
        if wanted not in (None, there):
            raise UsageError(
                f"{dataset.name} was prepared with {there} {what}, not {wanted}; prepare its sounds again, or give "
                "their folder"
            )
    one_shots = dataset.num_clips() if dataset.info.slicing.mode in _ONE_SHOTS else 0
    return Facts(dataset.sample_rate, dataset.channels, _seconds(dataset), one_shots=one_shots)


def facts_of(advice: Advice, files: int) -> Facts:
    """The facts that a scan's advice on this number of files is based on."""
    one_shots = files if advice.slicing in _ONE_SHOTS else 0
    return Facts(advice.sample_rate, advice.channels, advice.clip_seconds, advice.slicing, one_shots)


def _advice(catalogue: Catalogue, progress: Progress | None, n_jobs: int | None) -> Advice:
    scan = functools.partial(scan_catalogue, catalogue, n_jobs=n_jobs, progress=progress)
    report = scan(most_files=MOST_FILES, most_bytes=_MOST_BYTES)
    if not _is_heard(report):  # all files of the sample are broken or silent; others may be good
        report = scan()
    if report.advice is None:
        complain(report.skipped)
        raise FauxleyError(f"no file in {printable(catalogue.folder)} can be used")
    if not _is_heard(report):
        raise FauxleyError(f"all sounds in {printable(catalogue.folder)} are silent; there is nothing to learn from")
    return report.advice


def _is_heard(report: FolderReport) -> bool:
    """Whether at least one file can be used and is not silent."""
    return any(file.peak >= STEP for file in report.files)


def _seconds(dataset: Dataset) -> float:
    slicing, rate = dataset.info.slicing, dataset.sample_rate
    prepared = slicing.clip_length / rate
    if slicing.mode in ("all", "random"):
        return min(prepared, _LONGEST)
    most = float(np.percentile(dataset.lengths, 90)) / rate
    # Sounds prepared as one-shots that are much longer than a clip have tails that are nearly silent.
    return min(most if most <= _WITHIN * prepared else prepared, _LONGEST)
