"""`fauxley prepare`: makes a dataset of a folder of sounds."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fauxley.cli.shared.options import ClusterAddress, Folder, Switch, clip_length_for, describe_fit
from fauxley.dataset.cutting import Cutting
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.download_cache import parse_size
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import find_finished, pack
from fauxley.errors import printable
from fauxley.parallel import cluster_backend
from fauxley.terminal.formatting import counted, duration
from fauxley.terminal.progress import file_progress


def prepare(
    folder: Folder,
    dataset: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")],
    /,
    sample_rate: int = 16000,
    channels: int = 1,
    clip_length: int = 16384,
    seconds: float | None = None,
    slicing: Literal["auto", "first", "all", "random", "onsets"] = "auto",
    overlap: float = 0.0,
    pad_end: bool = True,
    normalize: bool = True,
    where: tuple[str, ...] = (),
    cutting: Cutting = Cutting(),  # noqa: B008 - frozen
    strict: Switch = False,
    overwrite: Switch = False,
    shard_size: str | None = None,
    jobs: int = -1,
    cluster: ClusterAddress = None,
    quiet: Switch = False,
) -> None:
    """Decode a folder of sounds once, into a dataset that training reads quickly.

    Files that cannot be used are skipped, and listed with the reason in DATASET/skipped.csv. An interrupted command
    resumes when it is run again.

    For example:

      fauxley prepare my-sounds my-dataset

      fauxley prepare drums drums.dataset --sample-rate 44100 --clip-length 65536 --slicing first

      fauxley prepare speech train.dataset --where split=train

      fauxley prepare walks walks.dataset --slicing onsets --sample-rate 44100 --clip-length 16384

      fauxley prepare archive archive.dataset --shard-size 256MB

    Args:
        folder: Folder of sounds; sub-folders are searched, too.
        dataset: New folder for the dataset.
        sample_rate: Sample rate in Hz; sounds of other rates are resampled.
        channels: Number of channels; 1 averages the channels of stereo sounds, 2 copies mono sounds to both.
        clip_length: Samples in a clip; training can use another length of clip with the same dataset.
        seconds: Length of a clip in seconds, instead of --clip-length; a model's shortest possible length that holds it
            is used.
        slicing: Which clips are cut out of a file: the first one, all one after another, or random ones, which may
            start anywhere. auto is first if most files are at most 1.5 clips long or, like drums, have nearly all their
            energy in the first clip; otherwise random. onsets makes a clip of each hit in long recordings of footsteps,
            claps, drums: hits longer than a clip are cut off, and each is scaled to a peak of 1. 'fauxley cut' shows
            the hits first.
        overlap: Share of a clip that the next one repeats.
        pad_end: Pad the last clip of a file with zeros; otherwise it is dropped.
        normalize: Scale each file to a peak of 1.
        where: Only files with these labels, such as label=snare, or with these values in columns of the folder's
            manifest.csv, such as split=train.
        cutting: How hits are found and cut, for --slicing onsets.
        strict: Fail if any file cannot be used.
        overwrite: Replace an existing dataset.
        shard_size: Write the audio in several files of about this size, such as 256MB, with the sounds in random order.
            This is for data too large for one disk, to be copied to and read from a server.
        jobs: Number of parallel workers; -1 for one on each core.
        cluster: Decode on dask://HOST:PORT or ray://HOST:PORT, whose machines all see FOLDER and DATASET.
        quiet: Print no progress and no summary.
    """
    if seconds is not None:
        clip_length = clip_length_for(seconds, sample_rate)
        if not quiet:
            print(describe_fit(seconds, clip_length, sample_rate))
    settings = PackSettings(sample_rate, channels, normalize, clip_length, slicing, overlap, pad_end, where, cutting)
    shard_bytes = None if shard_size is None else parse_size(shard_size, "--shard-size")
    finished = None if overwrite else find_finished(folder, dataset, settings, shard_bytes)
    if finished is None:
        with cluster_backend(cluster), file_progress("preparing", quiet) as progress:
            prepared = pack(
                folder,
                dataset,
                settings,
                shard_bytes=shard_bytes,
                strict=strict,
                overwrite=overwrite,
                n_jobs=None if cluster else jobs,
                progress=progress,
            )
        head = "prepared"
    else:
        prepared, head = finished, "unchanged since it was prepared:"
    if not quiet:
        print(head, _summary(prepared))


def _summary(dataset: Dataset) -> str:
    info = dataset.info
    slicing = info.slicing
    labels = f", {counted(len(info.labels), 'label')}" if info.labels else ""
    channels = counted(info.channels, "channel")
    clips = f"{counted(dataset.num_clips(), 'clip')} of {slicing.clip_length} samples"
    sounds = counted(info.num_files, "hit" if slicing.mode == "onsets" else "file")
    head = f"{dataset.name}: {sounds}, {duration(dataset.duration_seconds)}"
    lines = [
        f"{head}, {info.sample_rate} Hz, {channels}{labels}",
        f"  slicing {slicing.mode}: {clips} ({slicing.clip_length / info.sample_rate:.2f} s)",
    ]
    skipped = dataset.skipped()
    lines += [f"  skipped {printable(skip.file)}: {printable(skip.reason)}" for skip in skipped[:5]]
    if len(skipped) > 5:
        lines.append(f"  ... {len(skipped)} skipped in all, see {dataset.name}/skipped.csv")
    kinds = Counter(
        part.split(":")[0].split(" as ")[0] for entry in dataset.entries for part in entry.warnings.split("; ")
    )
    del kinds[""]
    if kinds:
        found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        lines.append(f"  used, but unusual: {found}; see {dataset.name}/manifest.csv")
    return "\n".join(lines)
