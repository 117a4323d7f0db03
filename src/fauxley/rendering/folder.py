"""Rendering a folder of sounds from a model's latents: any number of them, in constant memory, resumably."""

import json
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from fauxley.machine import require_disk, require_memory
from fauxley.models.cost import require_playable
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import checksum
from fauxley.parallel import cluster_backend
from fauxley.pictures.sheet import write_sheet
from fauxley.rendering.batches import (
    Batch,
    Destination,
    SoundRequest,
    compute,
    describe,
    render_here,
    render_on_cluster,
)
from fauxley.rendering.output import Output, common_loudness
from fauxley.rendering.resuming import LATENTS_FILE, LISTING_FILE, begin_or_resume, begun_precision
from fauxley.storage import atomic_file
from fauxley.terminal.formatting import counted
from fauxley.terminal.progress import Stages

_ON_SHEET = 32
_OF_A_LABEL, _ROWS = 8, 64  # sounds in a row, and rows, on a sheet of labels
_BYTES_A_SAMPLE = 8  # in memory: computed, and converted for writing
_LEAST_BYTES = 4096  # of a file, however short its sound: a block on most disks
_SHEET = "sheet.png"


def write_sounds(
    synthesizer: Synthesizer,
    model: Path,
    requests: Iterable[SoundRequest],
    count: int,
    out: Path,
    output: Output,
    *,
    made_from: Mapping[str, Any] | None = None,
    cluster: str | None = None,
    one_loudness: bool = False,
    beside: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Make the sounds of `count` requests and write them, `latents.npy` and a sheet to the folder `out`.

    Args:
        made_from: facts that determine the requests, such as their seeds. With them, an interrupted job can be resumed
            by repeating the call; without them it cannot.
        cluster: address of a cluster to compute on, whose machines all see `model` and `out`; see `fauxley.parallel`.
        one_loudness: give all sounds one loudness, as far as their peaks allow; this computes all sounds twice.
        beside: other clips (C, T) at the model's rate, by name, to be written and drawn before the first sound.

    Raises:
        UsageError: `out` has other content and is not to be overwritten, or sounds would be too long at the sample rate
            of the files.
    """
    sizes = synthesizer.architecture
    require_playable(sizes.clip_length, sizes.channels, synthesizer.sample_rate, output.sample_rate)
    require_room(synthesizer, count, out, output)
    precision = output.precision
    if precision == "auto" and made_from is not None and not output.overwrite:
        precision = begun_precision(out) or "auto"
    output = replace(output, precision=synthesizer.to(precision=precision).precision)
    sha256 = checksum(synthesizer)
    job = {"model": sha256, "count": count, **(made_from or {}), "options": output.decisive()}
    job |= {"one_loudness": True} if one_loudness else {}
    about = {**describe(synthesizer, model), "precision": output.precision}
    destination = Destination(out.absolute(), output, about)
    others = beside or {}
    with ExitStack() as stack:
        done = stack.enter_context(begin_or_resume(out, job, made_from is not None, output.overwrite))
        stack.enter_context(cluster_backend(cluster))
        stages = stack.enter_context(Stages(output.quiet))
        if one_loudness:
            requests = list(requests)
            stages.begin("measuring loudness", count)
            clips = chain(others.values(), _heard(synthesizer, requests, output.batch_size, stages.advance))
            loudness = common_loudness(clips, synthesizer.sample_rate, output)
            destination = replace(destination, loudness=loudness)
        stages.begin("making sounds", count)
        shown: dict[str, list[str]] = {}
        if others:
            requests = list(requests)
            shown[requests[0].group] = list(others)
        for name, clip in others.items():
            destination.write_clip(name, clip, synthesizer.sample_rate, None)
        shape = (count, synthesizer.architecture.latent_size)
        recorded = stack.enter_context(closing(_recording(requests, destination, shape)))
        batches = _unfinished(_names_by_row(recorded, shown), destination, done, stages.advance)
        made = (
            render_on_cluster(batches, model, sha256, destination)
            if cluster
            else render_here(batches, synthesizer, destination)
        )
        for number in made:
            stages.advance(number)
        if output.sheet and _SHEET not in done:
            _draw_sheet(out, shown, output.format)
    if not output.quiet:
        print(f"{counted(count, 'sound')} in {out}, computed in {output.precision}")


def require_room(synthesizer: Synthesizer, count: int, out: Path, output: Output) -> None:
    """Check by arithmetic that the disk has room for `count` sounds, and memory for a batch of them.

    Raises:
        FauxleyError: there is not enough room.
    """
    architecture = synthesizer.architecture
    samples = architecture.channels * architecture.clip_length
    batch = min(count, output.batch_size)
    require_memory("a batch of so many sounds", batch * samples * _BYTES_A_SAMPLE, "lower the batch size")
    ratio = (output.sample_rate or synthesizer.sample_rate) / synthesizer.sample_rate
    whole = output.format == "wav" and not output.clean
    each = max(_LEAST_BYTES, round(2 * samples * ratio) if whole else 0) + 4 * architecture.latent_size
    require_disk(
        f"making {counted(count, 'sound')}", count * each, out, "make fewer, or choose a folder with more room"
    )


def _recording(
    requests: Iterable[SoundRequest], destination: Destination, shape: tuple[int, int]
) -> Generator[SoundRequest, None, None]:
    """Pass requests on; write their latents to latents.npy and, if a listing is wanted, a line each to sounds.jsonl."""
    # A line is flushed to the disk before its sound is written, so a sound that is there always has its line.
    listing = (
        (destination.out / LISTING_FILE).open("w", buffering=1, encoding="utf-8", errors="backslashreplace")
        if destination.output.listing
        else None
    )
    with (
        nullcontext() if listing is None else listing,
        atomic_file(destination.out / LATENTS_FILE) as unfinished,
        unfinished.open("wb") as latents,
    ):
        np.lib.format.write_array_header_1_0(latents, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for request in requests:
            latents.write(request.latent.numpy().astype("<f4").tobytes())
            if listing is not None:
                facts = {"file": destination.files(request)[0], **destination.facts(request)}
                listing.write(json.dumps(facts, ensure_ascii=False) + "\n")
            yield request


def _heard(
    synthesizer: Synthesizer, requests: Iterable[SoundRequest], batch_size: int, advance: Callable[[int], None]
) -> Iterator[np.ndarray]:
    """The clip (C, T) of each request."""
    pending = iter(requests)
    while batch := list(islice(pending, batch_size)):
        yield from compute(synthesizer, batch)
        advance(len(batch))


def _names_by_row(requests: Iterable[SoundRequest], names: dict[str, list[str]]) -> Iterator[SoundRequest]:
    """Pass requests on; add the names of those that go onto the sheet to `names`, by row."""
    for request in requests:
        row = names.get(request.group, [])
        if len(row) < _ON_SHEET and (row or len(names) < _ROWS):
            names[request.group] = [*row, request.name]
        yield request


def _unfinished(
    requests: Iterable[SoundRequest], destination: Destination, done: Container[str], passed: Callable[[int], None]
) -> Iterator[Batch]:
    """The batches in which a sound is missing; `passed` is told the sizes of the others."""
    pending = iter(requests)
    while batch := list(islice(pending, destination.output.batch_size)):
        if any(file not in done for request in batch for file in destination.files(request)):
            yield batch
        else:
            passed(len(batch))


def _draw_sheet(out: Path, names: Mapping[str, Sequence[str]], suffix: str) -> None:
    """Draw a sheet of the files that were written, with a row for each label."""
    rows, rate, most = {}, 0, max(_OF_A_LABEL, _ON_SHEET // len(names))
    for title in sorted(names):
        clips = []
        for name in names[title][:most]:
            content = BytesIO((out / f"{name}.{suffix}").read_bytes())
            audio, rate = soundfile.read(content, dtype="float32", always_2d=True)
            clips.append(audio.T)
        longest = max(clip.shape[1] for clip in clips)
        rows[title] = np.stack([np.pad(clip, ((0, 0), (0, longest - clip.shape[1]))) for clip in clips])
    write_sheet(out / _SHEET, rows, rate, captions=names)
