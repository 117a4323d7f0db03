"""From a model's latents to a folder of sounds: any number of them, in constant memory, resumably."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from fauxley.apps.cluster import cluster_backend
from fauxley.apps.job import begin
from fauxley.apps.output import Output
from fauxley.apps.rendering import Batch, Destination, Request, describe, from_seeds, render_here, render_on_cluster
from fauxley.atomic import atomic_file
from fauxley.audio.sheet import write_sheet
from fauxley.models.cost import require_playable
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import checksum

__all__ = ["Output", "Request", "from_seeds", "write_sounds"]

_ON_SHEET = 32
_LATENTS, _SHEET, _LISTING = "latents.npy", "sheet.png", "sounds.jsonl"


def write_sounds(
    synthesizer: Synthesizer,
    model: Path,
    requests: Iterable[Request],
    count: int,
    out: Path,
    output: Output,
    *,
    made_from: Mapping[str, Any] | None = None,
    cluster: str | None = None,
) -> None:
    """Make the sounds of `count` requests and write them, `latents.npy` and a sheet into the folder `out`.

    Args:
        made_from: what the requests follow from, such as their seeds. With it, a job that was interrupted is gone on
            with when it is asked for again; without, nothing is known of what a folder holds.
        cluster: where to compute, on machines that all see `model` and `out`; see `fauxley.apps.cluster`.

    Raises:
        UsageError: `out` has something else in it and is not to be overwritten, or the sounds are too long at the
            sample rate that is asked for.
    """
    sizes = synthesizer.architecture
    require_playable(sizes.clip_length, sizes.channels, synthesizer.sample_rate, output.sample_rate)
    synthesizer.to(precision=output.precision)
    sha256 = checksum(synthesizer)
    job = {"model": sha256, "count": count, **(made_from or {}), "options": output.decisive()}
    about = {**describe(synthesizer, model), "precision": output.precision}
    to = Destination(out.absolute(), output, about)
    console = Console(stderr=True)
    with ExitStack() as stack:
        done = stack.enter_context(begin(out, job, made_from is not None, output.overwrite))
        stack.enter_context(cluster_backend(cluster))
        progress = stack.enter_context(Progress(console=console, disable=output.quiet or not console.is_terminal))
        advance = partial(progress.advance, progress.add_task("", total=count))

        pending = _recording(requests, to, (count, synthesizer.architecture.latent_size))
        first = list(islice(pending, _ON_SHEET)) if output.sheet and _SHEET not in done else []
        batches = _unfinished(chain(first, pending), to, done, len(first), advance)
        if cluster:
            made = render_on_cluster(batches, model, sha256, to, len(first))
        else:
            made = render_here(batches, synthesizer, to)
        shown: list[np.ndarray] = []
        for clips in made:
            advance(len(clips))
            shown.extend(clips[: len(first) - len(shown)])
        if first:
            captions = {"generated": [request.name for request in first]}
            write_sheet(out / _SHEET, {"generated": np.stack(shown)}, synthesizer.sample_rate, captions=captions)
    if not output.quiet:
        print(f"{count} sounds in {out}")


def _recording(requests: Iterable[Request], to: Destination, shape: tuple[int, int]) -> Iterator[Request]:
    """Pass requests on; write their latents to latents.npy and, if that is wanted, a line of each to sounds.jsonl."""
    # A line is on its way to the disk before its sound is: one that is there is never without.
    listing = (
        (to.out / _LISTING).open("w", buffering=1, encoding="utf-8", errors="backslashreplace")
        if to.output.listing
        else None
    )
    with (
        nullcontext() if listing is None else listing,
        atomic_file(to.out / _LATENTS) as unfinished,
        unfinished.open("wb") as latents,
    ):
        np.lib.format.write_array_header_1_0(latents, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for request in requests:
            latents.write(request.latent.numpy().astype("<f4").tobytes())
            if listing is not None:
                facts = {"file": to.files(request)[0], **to.facts(request)}
                listing.write(json.dumps(facts, ensure_ascii=False) + "\n")
            yield request


def _unfinished(
    requests: Iterable[Request], to: Destination, done: Container[str], anew: int, passed: Callable[[int], None]
) -> Iterator[Batch]:
    """The batches of which something is missing, or that hold one of the first `anew` sounds; tells of the others."""
    pending = iter(requests)
    number = 0
    while batch := list(islice(pending, to.output.batch_size)):
        if number < anew or any(file not in done for request in batch for file in to.files(request)):
            yield batch
        else:
            passed(len(batch))
        number += len(batch)
