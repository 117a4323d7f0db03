"""The doctor: measures every file of a folder and says which settings suit it.

Advice is a handful of rules of thumb, all in `advise`, from what training WaveGAN on small folders has taught.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import joblib
import numpy as np

from fauxley.audio.assembly import WORKER_DIED, Progress, check_jobs
from fauxley.audio.catalogue import list_sounds
from fauxley.audio.files import Skipped
from fauxley.audio.levels import Levels
from fauxley.audio.parts import hash_file, split_into_parts
from fauxley.audio.sources import AudioFileError, open_source
from fauxley.errors import FauxleyError

_CLIP_LENGTHS = [1 << power for power in range(12, 19)]  # 4096 ... 262144, what the models can be built for


@dataclass(frozen=True)
class FileReport:
    """A file that can be used.

    Attributes:
        file: name relative to the folder.
        label: "" if it has none.
        format: container and sample format or codec, such as `WAV PCM_24`.
        sample_rate: in Hz.
        channels: how many.
        num_samples: per channel, as decoded.
        num_front: see `Levels.num_front`.
        peak: largest |x|, full scale is 1.
        rms: root mean square over all channels.
        problems: what is odd about it.
        sha256: of its content.
    """

    file: str
    label: str
    format: str
    sample_rate: int
    channels: int
    num_samples: int
    num_front: int
    peak: float
    rms: float
    problems: tuple[str, ...]
    sha256: str

    @property
    def duration_seconds(self) -> float:
        return self.num_samples / self.sample_rate


@dataclass(frozen=True)
class Advice:
    """Settings for `prepare` and `train` that suit a folder, and remarks in words."""

    sample_rate: int
    channels: int
    clip_length: int
    slicing: Literal["first", "random"]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class FolderReport:
    """All about a folder.

    Attributes:
        folder: what was scanned.
        files: what can be used.
        skipped: what cannot.
        unlisted: what the folder's manifest.csv does not list, and so is not wanted.
        duplicates: groups of files with the same content.
        advice: None if nothing can be used.
    """

    folder: Path
    files: tuple[FileReport, ...]
    skipped: tuple[Skipped, ...]
    unlisted: tuple[Skipped, ...]
    duplicates: tuple[tuple[str, ...], ...]
    advice: Advice | None

    @property
    def duration_seconds(self) -> float:
        """Of all files together."""
        return sum(file.duration_seconds for file in self.files)

    @property
    def labels(self) -> dict[str, int]:
        """Number of files of each label, sorted; empty if there are none."""
        counts = Counter(file.label for file in self.files if file.label)
        return dict(sorted(counts.items()))


def scan_folder(
    folder: Path, where: Sequence[str] = (), *, n_jobs: int | None = None, progress: Progress | None = None
) -> FolderReport:
    """Decode and measure every sound of `folder`, a block at a time.

    Args:
        folder: see `list_sounds`.
        where: see `list_sounds`.
        n_jobs: parallel workers; None leaves it to joblib's `parallel_config`.
        progress: called with (files done, files in all).

    Raises:
        UsageError: `folder` is missing.
        FauxleyError: there is no audio in it.
    """
    check_jobs(n_jobs)
    catalogue = list_sounds(folder, where)
    labels = {sound.file: sound.label for sound in catalogue.sounds}
    parts = split_into_parts(catalogue.sounds)
    measured: list[FileReport | Skipped] = []
    workers = joblib.Parallel(n_jobs=n_jobs if len(parts) > 1 else 1, return_as="generator", batch_size=1)
    try:
        for reports in workers(joblib.delayed(_measure_all)(catalogue.folder, part, labels) for part in parts):
            measured += reports
            if progress:
                progress(len(measured), len(catalogue.sounds))
    except BrokenExecutor as error:
        raise FauxleyError(WORKER_DIED) from error
    files = tuple(report for report in measured if isinstance(report, FileReport))
    skipped = [*catalogue.skipped, *(report for report in measured if isinstance(report, Skipped))]
    return FolderReport(
        folder=catalogue.folder,
        files=files,
        skipped=tuple(sorted(skipped, key=lambda skip: skip.file)),
        unlisted=catalogue.unlisted,
        duplicates=_find_duplicates(files),
        advice=advise(files) if files else None,
    )


def measure(folder: Path, file: str, label: str = "") -> FileReport | Skipped:
    """Decode `file` of `folder` once and report on it."""
    levels = Levels()
    path = folder / file
    try:
        sha256 = hash_file(path)
        with open_source(path) as source:
            for _ in levels.watch(source):
                pass
            info = source.info
        if defect := levels.defect():
            raise AudioFileError(path, defect)
    except AudioFileError as error:
        return Skipped(file, error.reason)
    except OSError as error:
        return Skipped(file, f"cannot be read: {error.strerror}")
    return FileReport(
        file=file,
        label=label,
        format=f"{info.format} {info.subtype}",
        sample_rate=info.sample_rate,
        channels=info.channels,
        num_samples=levels.num_samples,
        num_front=levels.num_front,
        peak=levels.peak,
        rms=levels.rms,
        problems=levels.warnings(info, mono=True),
        sha256=sha256,
    )


def advise(files: Sequence[FileReport]) -> Advice:
    """Choose settings for `files`, of which there must be one at least."""
    seconds = np.array([file.duration_seconds for file in files])
    rates: Counter[int] = Counter()
    for file in files:
        rates[file.sample_rate] += file.num_samples + 1
    # The rate of most of the material: above it there is nothing to learn, below it highs are lost.
    sample_rate = min(max(rates.most_common(1)[0][0], 16000), 48000)
    most = float(np.percentile(seconds, 90))
    fronts = np.array([file.num_front / file.sample_rate for file in files])
    if most > 4 and np.median(fronts) <= 4:  # hits with long, all but silent tails
        most = min(float(np.percentile(fronts, 90)), 4.0)
    one_shots = most <= 4
    clip_seconds = most if one_shots else 1.0
    clip_length = next((n for n in _CLIP_LENGTHS if n >= 0.9 * clip_seconds * sample_rate), _CLIP_LENGTHS[-1])
    return Advice(
        sample_rate=sample_rate,
        channels=2 if _are_stereo(files) else 1,
        clip_length=clip_length,
        slicing="first" if one_shots else "random",
        remarks=(*_on_amount(seconds, clip_length / sample_rate, one_shots), *_on_sources(files, sample_rate)),
    )


def _on_amount(seconds: np.ndarray, clip_seconds: float, one_shots: bool) -> list[str]:
    remarks = []
    count = len(seconds) if one_shots else int(np.ceil(seconds / clip_seconds).sum())
    if count < 50:
        remarks.append(f"about {count} clips is very little: expect near copies of them; some hundreds are a start")
    elif count < 500:
        remarks.append(f"about {count} clips is little: it works for one kind of sound; stop early, listen for copies")
    longer = int((seconds > 1.25 * clip_seconds).sum())
    if one_shots and longer:
        remarks.append(
            f"longer than a clip: {longer} of {len(seconds)} files; only their beginning is used "
            "(--slicing all uses it all)"
        )
    return remarks


def _on_sources(files: Sequence[FileReport], sample_rate: int) -> list[str]:
    remarks = []
    if sample_rate > 16000:
        remarks.append(f"--sample-rate 16000 trains about {sample_rate / 16000:.1f} times as fast, without highs")
    low = [file.sample_rate for file in files if file.sample_rate < 0.9 * sample_rate]
    if low:
        remarks.append(f"of a lower rate: {len(low)} of {len(files)} files; they have nothing above {max(low) // 2} Hz")
    if _are_stereo(files):
        remarks.append("--channels 1, for both commands, mixes to mono, which is quicker to learn")
    return remarks


def _are_stereo(files: Sequence[FileReport]) -> bool:
    """Whether most files have two channels, which are to be kept."""
    return sum(file.channels == 2 for file in files) > len(files) / 2


def _measure_all(folder: Path, files: Sequence[str], labels: dict[str, str]) -> list[FileReport | Skipped]:
    return [measure(folder, file, labels[file]) for file in files]


def _find_duplicates(files: Sequence[FileReport]) -> tuple[tuple[str, ...], ...]:
    same = defaultdict(list)
    for file in files:
        same[file.sha256].append(file.file)
    return tuple(tuple(group) for group in same.values() if len(group) > 1)
