"""Scanning a folder: measures every file, reports what is broken, and advises which settings suit it.

The advice consists of a few rules of thumb, all in `advise`, learned from training WaveGAN on small folders.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from fauxley.dataset.cutting import HitCounter, HitSummary
from fauxley.dataset.parts import split_into_parts
from fauxley.dataset.shared_progress import Progress, WorkerProgress, shared_progress
from fauxley.dataset.slicing import fitting_clip_length
from fauxley.errors import FauxleyError
from fauxley.parallel import WORKER_DIED, check_jobs, in_order
from fauxley.sounds.catalogue import Catalogue, Sound, list_sounds
from fauxley.sounds.decoder_process import close_idle
from fauxley.sounds.finding import Skipped
from fauxley.sounds.measurements import Bandwidth, Levels
from fauxley.sounds.reading import AudioFileError, open_audio
from fauxley.storage import hash_file

_LOSSY = ("MPEG_LAYER", "VORBIS", "OPUS", "AAC", "MP2", "MP3", "AC3", "EAC3", "DCA", "WMA")  # beginnings of names


@dataclass(frozen=True)
class FileReport:
    """A usable file.

    Attributes:
        file: name relative to the folder.
        label: "" if it has none.
        format: container and sample format or codec, such as `WAV PCM_24`.
        sample_rate: in Hz.
        channels: the number of channels.
        num_samples: per channel, as decoded.
        num_front: see `Levels.num_front`.
        peak: largest |x|, full scale being 1.
        rms: root mean square over all channels.
        upsampled_from: the lower rate, in Hz, from which it seems to be upsampled (see `Bandwidth`); 0 if it is not.
        problems: what is unusual about it.
        sha256: of its content.
        hits: into which it would be cut, if it is a long recording of separate hits.
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
    upsampled_from: int
    problems: tuple[str, ...]
    sha256: str
    hits: HitSummary = field(default_factory=HitSummary)

    @property
    def duration_seconds(self) -> float:
        return self.num_samples / self.sample_rate

    @property
    def true_rate(self) -> int:
        """The sample rate that the content needs, in Hz."""
        return self.upsampled_from or self.sample_rate


@dataclass(frozen=True)
class Advice:
    """Advice for a folder: settings for `prepare` and `train`, the length of a clip, and remarks in words."""

    sample_rate: int
    channels: int
    clip_length: int
    slicing: Literal["first", "random", "onsets"]
    clip_seconds: float
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class FolderReport:
    """The result of scanning a folder.

    Attributes:
        folder: the scanned folder.
        files: the usable files.
        skipped: the files that cannot be used, and why.
        unlisted: the files that the folder's manifest.csv does not list, which are therefore not used.
        duplicates: groups of files with the same content.
        advice: None if no file can be used.
    """

    folder: Path
    files: tuple[FileReport, ...]
    skipped: tuple[Skipped, ...]
    unlisted: tuple[Skipped, ...]
    duplicates: tuple[tuple[str, ...], ...]
    advice: Advice | None

    @property
    def duration_seconds(self) -> float:
        """The duration of all files together."""
        return sum(file.duration_seconds for file in self.files)

    @property
    def labels(self) -> dict[str, int]:
        """The number of files of each label, sorted; empty if no file has a label."""
        counts = Counter(file.label for file in self.files if file.label)
        return dict(sorted(counts.items()))


def scan_folder(
    folder: Path,
    where: Sequence[str] = (),
    *,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> FolderReport:
    """Decode and measure the sounds of a folder.

    Args:
        folder: see `list_sounds`.
        where: see `list_sounds`.
        n_jobs: parallel workers; None leaves it to joblib's `parallel_config`.
        progress: called with (files done, files in all).

    Raises:
        UsageError: the folder is missing.
        FauxleyError: it contains no audio.
    """
    check_jobs(n_jobs)
    return scan_catalogue(list_sounds(folder, where), n_jobs=n_jobs, progress=progress)


def scan_catalogue(
    catalogue: Catalogue,
    *,
    n_jobs: int | None = None,
    progress: Progress | None = None,
    most_files: int | None = None,
    most_bytes: int | None = None,
) -> FolderReport:
    """Decode and measure sounds that are listed already, or a sample of them.

    Args:
        catalogue: the list of the sounds.
        n_jobs, progress: see `scan_folder`.
        most_files, most_bytes: measure about so many files or bytes, sampled from all over the folder; None for all.
    """
    check_jobs(n_jobs)
    chosen = _sample(catalogue.sounds, most_files, most_bytes)
    sounds = {sound.file: sound for sound in chosen}
    parts = split_into_parts(chosen)
    measured: list[FileReport | Skipped] = []
    try:
        with shared_progress(len(parts), len(chosen), progress) as shown:
            tasks = (
                (catalogue.folder, [sounds[file] for file in part], shown.worker(index))
                for index, part in enumerate(parts)
            )
            with closing(in_order(_measure_all, tasks, n_jobs if len(parts) > 1 else 1)) as results:
                for reports in results:
                    measured += reports
                    shown.report(len(measured))
    except BrokenExecutor as error:
        raise FauxleyError(WORKER_DIED) from error
    finally:
        close_idle()
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


def measure(
    folder: Path, file: str, label: str = "", warning: str = "", heard: Callable[[float], None] | None = None
) -> FileReport | Skipped:
    """Decode and measure one file.

    Args:
        folder: that contains the file.
        file: its name, relative to `folder`.
        label: for the report.
        warning: what is already known to be unusual about it, or "".
        heard: is called with the share of the file that is done.
    """
    levels, bandwidth = Levels(), Bandwidth()
    path = folder / file
    try:
        with open_audio(path) as source:
            counter = HitCounter(source.info.sample_rate)
            for block in levels.watch(source, heard):
                bandwidth.add(block)
                counter.add(block)
            info = source.info
        if defect := levels.defect():
            raise AudioFileError(path, defect)
        sha256 = hash_file(path)  # last, because an unusable file may have gigabytes
    except AudioFileError as error:
        return Skipped(file, error.reason)
    except OSError as error:
        return Skipped(file, f"cannot be read: {error.strerror}")
    # Lossy codecs remove highs at any sample rate.
    upsampled_from = 0 if info.subtype.startswith(_LOSSY) else bandwidth.upsampled_from(info.sample_rate)
    upsampled = f"nothing above {upsampled_from // 2} Hz: upsampled from {upsampled_from} Hz, or compressed before"
    problems = [*levels.warnings(source, mono=True), upsampled if upsampled_from else "", warning]
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
        upsampled_from=upsampled_from,
        problems=tuple(filter(None, problems)),
        sha256=sha256,
        hits=counter.summary(),
    )


def advise(files: Sequence[FileReport]) -> Advice:
    """Choose settings for `files`, which must not be empty."""
    seconds = np.array([file.duration_seconds for file in files])
    at_rate: dict[int, float] = defaultdict(float)
    for file in files:
        at_rate[file.true_rate] += file.duration_seconds
    # Take the rate of most of the material: a higher rate adds nothing to learn, a lower one loses highs.
    sample_rate = min(max(max(at_rate, key=at_rate.__getitem__), 8000), 48000)
    most = float(np.percentile(seconds, 90))
    fronts = np.array([file.num_front / file.sample_rate for file in files])
    if most > 4 and np.median(fronts) <= 4:  # hits with long tails that are nearly silent
        most = min(float(np.percentile(fronts, 90)), 4.0)
    one_shots = most <= 4
    clip_seconds = most if one_shots else 1.0
    hits = [file.hits for file in files if file.hits.count]
    # Weighted by duration: one take of a walk outweighs single steps.
    of_hits = sum(file.duration_seconds for file in files if file.hits.count) > 0.5 * seconds.sum()
    if of_hits:
        one_shots = True
        clip_seconds = min(max(hit.most_seconds for hit in hits), 4.0)
    clip_length = fitting_clip_length(clip_seconds, sample_rate)
    return Advice(
        sample_rate=sample_rate,
        channels=2 if _are_stereo(files) else 1,
        clip_length=clip_length,
        slicing="onsets" if of_hits else "first" if one_shots else "random",
        clip_seconds=round(clip_seconds, 4),
        remarks=(
            *(_on_hits(hits) if of_hits else _on_amount(seconds, clip_length / sample_rate, one_shots)),
            *_on_sources(files, sample_rate),
        ),
    )


def _on_hits(hits: Sequence[HitSummary]) -> list[str]:
    count = sum(hit.count for hit in hits)
    typical = np.median([hit.median_seconds for hit in hits])
    takes = f"{len(hits)} long recordings" if len(hits) > 1 else "a long recording"
    found = f"{takes} of separate hits: about {count} would be cut, typically {typical:.2f} s long"
    return [f"{found}; 'fauxley cut' writes them as files to look at", *on_count(count)]


def _on_amount(seconds: np.ndarray, clip_seconds: float, one_shots: bool) -> list[str]:
    count = len(seconds) if one_shots else int(np.ceil(seconds / clip_seconds).sum())
    remarks = on_count(count)
    longer = int((seconds > 1.25 * clip_seconds).sum())
    if one_shots and longer:
        remarks.append(
            f"longer than a clip: {longer} of {len(seconds)} files; only their beginning is used "
            "(the slicing 'all' uses it all)"
        )
    return remarks


def on_count(count: int) -> list[str]:
    """Remarks on a number of clips, if it is small."""
    if count < 50:
        return [f"{_some_clips(count)} is very little: expect near copies of them; a few hundred are a start"]
    if count < 500:
        return [f"{_some_clips(count)} is little: enough for one kind of sound; stop early, and listen for copies"]
    return []


def _some_clips(count: int) -> str:
    return f"about {count} clips" if count > 1 else "one clip"


def _on_sources(files: Sequence[FileReport], sample_rate: int) -> list[str]:
    remarks = []
    if sample_rate > 16000:
        remarks.append(f"training at 16000 Hz is about {sample_rate / 16000:.1f} times as fast, but loses highs")
    low = [file.true_rate for file in files if file.true_rate < 0.9 * sample_rate]
    if low:
        remarks.append(f"upsampled: {len(low)} of {len(files)} files have nothing above {max(low) // 2} Hz")
    if _are_stereo(files):
        remarks.append("with one channel, for both commands, sounds are mixed to mono, which is learned faster")
    return remarks


def _are_stereo(files: Sequence[FileReport]) -> bool:
    """Whether most files have two channels, which should be kept."""
    return sum(file.channels == 2 for file in files) > len(files) / 2


def _sample(sounds: Sequence[Sound], most_files: int | None, most_bytes: int | None) -> Sequence[Sound]:
    """A sample of the sounds at equal distances in the list, at least one."""
    count = len(sounds) if most_files is None else min(most_files, len(sounds))
    total = sum(sound.num_bytes for sound in sounds)
    if most_bytes is not None and total > most_bytes:
        count = min(count, max(1, len(sounds) * most_bytes // total))
    return [sounds[number * len(sounds) // count] for number in range(count)]


def _measure_all(folder: Path, sounds: Sequence[Sound], progress: WorkerProgress) -> list[FileReport | Skipped]:
    reports: list[FileReport | Skipped] = []
    for done, sound in enumerate(sounds):
        reports.append(measure(folder, sound.file, sound.label, sound.warning, progress.within(done)))
    progress.write(len(sounds))
    return reports


def _find_duplicates(files: Sequence[FileReport]) -> tuple[tuple[str, ...], ...]:
    same = defaultdict(list)
    for file in files:
        same[file.sha256].append(file.file)
    return tuple(tuple(group) for group in same.values() if len(group) > 1)
