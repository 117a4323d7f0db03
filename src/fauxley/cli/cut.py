"""`fauxley cut`: writes the hits of long recordings as files, to look at, to keep, or to train on."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import astuple, fields
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import numpy as np
import soundfile

from fauxley.cli.shared.options import Flat, Folder, Switch
from fauxley.dataset.cutting import Cutting
from fauxley.dataset.hit_files import HitFile, file_stems, write_hits
from fauxley.dataset.parts import complain
from fauxley.errors import UsageError, printable
from fauxley.parallel import check_jobs, in_order
from fauxley.pictures.cut_picture import SHOWN_SECONDS, CutRecording, write_cut_picture
from fauxley.pictures.sheet import write_sheet
from fauxley.sounds.catalogue import Sound, list_sounds
from fauxley.sounds.finding import Skipped
from fauxley.sounds.reading import open_audio
from fauxley.storage import atomic_folder
from fauxley.terminal.formatting import duration
from fauxley.terminal.progress import file_progress

_ON_SHEET, _IN_PICTURE = 48, 3  # hits; recordings
_LONGEST_ON_SHEET = 3.0  # seconds


def cut(
    folder: Folder,
    /,
    out: Path,
    where: tuple[str, ...] = (),
    format: Literal["wav", "flac"] = "wav",  # noqa: A002 - the name of the flag
    cutting: Annotated[Cutting, Flat] = Cutting(),  # noqa: B008 - frozen
    sheet: bool = True,
    jobs: int = -1,
    quiet: Switch = False,
) -> None:
    """Cut long recordings of footsteps, claps, drums into their hits, each of which becomes a file.

    Rate, channels and levels stay as they are; hits with a label go to a sub-folder of that name. cuts.csv says where
    each hit was, cuts.png shows the cuts in the first recordings, and sheet.png some of the hits. OUT appears when
    everything is done; no existing file is changed.

    'fauxley train --slicing onsets' and 'fauxley prepare --slicing onsets' cut in the same way by themselves.

    For example:

      fauxley cut walks --out steps

      fauxley cut drumming --out drums --min-gap-seconds 0.05 --sensitivity 2 --max-length-seconds 1.5 --format flac

    Args:
        folder: Folder of recordings; sub-folders are searched, too.
        out: New folder for the hits.
        where: Only files with these labels, such as label=steps, or with these values in columns of the folder's
            manifest.csv, such as split=train.
        format: Format of the files.
        cutting: How hits are found and cut.
        sheet: Draw the pictures.
        jobs: Number of parallel workers; -1 for one on each core.
        quiet: Print no progress and no summary.
    """
    check_jobs(jobs)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{printable(out)} exists and has something in it; choose another --out")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{printable(out)} is inside the folder of the recordings; choose an --out elsewhere")
    catalogue = list_sounds(folder, where)
    skipped = list(catalogue.skipped)
    hits: list[HitFile] = []
    with atomic_folder(out.absolute()) as partial:
        tasks = (
            (folder.absolute(), sound, stem, partial, format, cutting)
            for sound, stem in zip(catalogue.sounds, file_stems(catalogue.sounds), strict=True)
        )
        workers = jobs if len(catalogue.sounds) > 1 else 1
        with file_progress("cutting", quiet) as progress, closing(in_order(write_hits, tasks, workers)) as results:
            for done, result in enumerate(results, 1):
                if isinstance(result, Skipped):
                    skipped.append(result)
                else:
                    hits += result
                progress(done, len(catalogue.sounds))
        if not hits:
            complain(skipped)
        _write_table(partial / "cuts.csv", hits)
        if sheet:
            _draw(partial, folder, catalogue.sounds, hits)
    if not quiet:
        print(_summary(out, hits, skipped))


def _write_table(path: Path, hits: Sequence[HitFile]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(HitFile))
        writer.writerows(astuple(hit) for hit in hits)


def _draw(out: Path, folder: Path, sounds: Sequence[Sound], hits: Sequence[HitFile]) -> None:
    """Write cuts.png, of the first recordings, and sheet.png, of hits from all of them."""
    of = defaultdict(list)
    for hit in hits:
        of[hit.source].append(hit)
    recordings = [_beginning(folder / sound.file, of[sound.file]) for sound in sounds if len(of[sound.file]) > 1][
        :_IN_PICTURE
    ] or [_beginning(folder / hits[0].source, of[hits[0].source])]
    write_cut_picture(out / "cuts.png", recordings)
    rate = hits[0].sample_rate
    alike = [hit for hit in hits if hit.sample_rate == rate]
    chosen = [alike[i] for i in np.unique(np.linspace(0, len(alike) - 1, _ON_SHEET).round().astype(int))]
    longest = max(min(round(_LONGEST_ON_SHEET * rate), hit.num_samples) for hit in chosen)
    clips = np.zeros((len(chosen), 1, longest), np.float32)
    for clip, hit in zip(clips, chosen, strict=True):
        audio = soundfile.read(out / hit.file, frames=longest, dtype="float32", always_2d=True)[0].mean(axis=1)
        clip[0, : len(audio)] = audio / max(np.abs(audio).max(), 1e-9)
    captions = [f"{hit.start_seconds:.2f} s   {hit.peak_dbfs:.0f} dB" for hit in chosen]
    title = f"{len(chosen)} of {len(hits)} hits, each scaled to its peak"
    write_sheet(out / "sheet.png", {title: clips}, rate, captions={title: captions})


def _beginning(path: Path, hits: Sequence[HitFile]) -> CutRecording:
    parts, size = [], 0
    with open_audio(path) as source:
        rate = source.info.sample_rate
        for block in source.blocks():
            parts.append(block.mean(axis=1))
            size += len(block)
            if size >= SHOWN_SECONDS * rate:
                break
    audio = np.concatenate(parts)[None, : SHOWN_SECONDS * rate]
    kept = [(hit.start_sample, hit.start_sample + hit.num_samples) for hit in hits]
    return CutRecording(printable(hits[0].source), audio, rate, kept)


def _summary(out: Path, hits: Sequence[HitFile], skipped: Sequence[Skipped]) -> str:
    sources = len({hit.source for hit in hits})
    seconds = np.array([hit.seconds for hit in hits])
    shortest, middle, longest = np.percentile(seconds, (0, 50, 100))
    samples = round(middle * hits[0].sample_rate)
    what = f"{len(hits)} {'hits' if len(hits) > 1 else 'hit'} of {sources} {'files' if sources > 1 else 'file'}"
    typical = f"{duration(middle)} ({samples} samples at {hits[0].sample_rate} Hz)"
    lines = [
        f"{what} in {printable(out)}",
        f"  lengths: shortest {duration(shortest)}, median {typical}, longest {duration(longest)}",
    ]
    lines += [f"  not cut: {printable(skip.file)}: {printable(skip.reason)}" for skip in skipped[:5]]
    if len(skipped) > 5:
        lines.append(f"  ... {len(skipped)} not cut in all")
    lines.append(
        "  look at cuts.png and sheet.png there; --sensitivity and --min-gap-seconds change what counts as a hit"
    )
    lines.append(f"  train on them:  fauxley train --data {quote(str(out))} --run RUN")
    return "\n".join(lines)
