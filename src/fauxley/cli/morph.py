"""`fauxley morph`: makes the sounds between sounds."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from fauxley.cli.shared.options import Flat, Model, Switch
from fauxley.cli.shared.places import check_place, places, say_nearness
from fauxley.errors import UsageError
from fauxley.machine import Device, choose_device, importing, keep_freed_memory
from fauxley.rendering.output import Output


def morph(
    model: Model,
    out: Path,
    seeds: tuple[int, ...] = (),
    between: tuple[str, ...] = (),
    count: int = 8,
    path: Literal["linear", "spherical"] = "linear",
    label: tuple[str, ...] = (),
    equal_loudness: Switch = False,
    device: Device = "auto",
    output: Annotated[Output, Flat] = Output(),  # noqa: B008 - frozen
) -> None:
    """Make the sounds on a path from one sound to the next, both included: seeds, latents or recordings.

    For a recording the path passes through the model's nearest sound; a message says how near that is.

    Example: fauxley morph runs/mine --out morph --seeds 3 17 --count 12

    Example: fauxley morph runs/mine --out morph --between my-kick.wav 17 my-snare.wav --count 24

    Args:
        model: A run folder (its best checkpoint if one is recorded, otherwise its newest) or a model folder.
        out: Folder for the sounds, their latents.npy and sheet.png.
        seeds: Two or more seeds, in the order of the path.
        between: Instead of seeds: two or more seeds, recordings or .npy files of latents, in the order of the path.
        count: Number of sounds in all.
        path: linear is straight; spherical follows an arc on which latents keep their length.
        label: For a model with labels: a label or a mixture such as kick=0.7,snare=0.3 for all sounds; or one for each
            of the sounds on the path, between which labels are mixed. By default seeds have the labels that
            'fauxley generate' gives them, and for recordings the labels are found by the search.
        equal_loudness: Make all sounds equally loud, as far as their peaks allow, instead of morphing levels, too.
        device: Device to compute on; auto uses a GPU if there is one.
        output: How the files are written.
    """
    stops = _stops(seeds, between, label)
    keep_freed_memory()
    with importing():
        import torch

        from fauxley.cli.shared.wishes import read_wishes
        from fauxley.latents import moves
        from fauxley.models.synthesizer import Synthesizer
        from fauxley.rendering.batches import SoundRequest
        from fauxley.rendering.folder import write_sounds
        from fauxley.rendering.resuming import require_place
        from fauxley.terminal.progress import Stages

    require_place(out, output.overwrite)
    synthesizer = Synthesizer.from_pretrained(model, choose_device(device))
    with Stages(output.quiet) as stages:
        wishes = read_wishes(label, synthesizer.labels) if label else ()
        if len(wishes) not in (0, 1, len(stops)):
            raise UsageError(f"--label takes one label, or one for each of {len(stops)} sounds; got {len(wishes)}")
        each = [wishes[number % len(wishes)] if wishes else None for number in range(len(stops))]
        passed = [
            place for stop, wish in zip(stops, each, strict=True) for place in places(synthesizer, stop, wish, stages)
        ]
    if not 2 <= len(passed) <= count:
        raise UsageError(f"--count must be at least the number of sounds on the path, {len(passed)}; got {count}")

    def requests() -> Iterator[SoundRequest]:
        for number, place in enumerate(np.linspace(0, len(passed) - 1, count)):
            start = min(int(place), len(passed) - 2)
            share = float(place) - start
            first, second = passed[start : start + 2]
            latent = moves.between(first.latent, second.latent, share, path)
            facts = {"between": [first.facts, second.facts], "share": share, "path": path}
            weights = torch.lerp(first.weights, second.weights, share)
            yield SoundRequest(latent, f"morph-{number:04d}", facts, weights)

    made_from = {"passing": [place.identity for place in passed], "path": path}
    write_sounds(synthesizer, model, requests(), count, out, output, made_from=made_from, one_loudness=equal_loudness)
    if not output.quiet:
        for place in passed:
            print(say_nearness(place), end="")


def _stops(seeds: tuple[int, ...], between: tuple[str, ...], label: tuple[str, ...]) -> list[str]:
    """The sounds on the path, in order, as words."""
    if bool(seeds) == bool(between):
        raise UsageError("give --seeds, two or more numbers, or --between, two or more sounds")
    if min(seeds, default=0) < 0:
        raise UsageError(f"--seeds must not be negative; got {min(seeds)}")
    stops = [*map(str, seeds), *between]
    for stop in stops:
        check_place(stop)
    if len(stops) < 2 and not stops[0].lower().endswith(".npy"):  # which may hold many
        raise UsageError(f"a path needs two or more sounds; got {len(stops)}")
    if len(label) < 2 and any(first == second for first, second in pairwise(stops)):
        raise UsageError(f"nothing lies between a sound and itself; give different ones, not {' '.join(stops)}")
    return stops
