"""`fauxley vary`: makes variations of a model's sound, or of a recording."""

from pathlib import Path
from typing import Annotated

import tyro

from fauxley.cli.shared.options import Flat, Model
from fauxley.cli.shared.places import check_place, places, read_knobs, say_nearness, teller
from fauxley.errors import UsageError, printable
from fauxley.machine import Device, choose_device, importing, keep_freed_memory
from fauxley.rendering.output import Output


def vary(
    model: Model,
    sound: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOUND_OR_SEED")],
    out: Path,
    count: int = 8,
    radius: float = 0.1,
    seed: int = 0,
    label: str | None = None,
    knob: tuple[str, ...] = (),
    equal_loudness: bool = True,
    device: Device = "auto",
    output: Annotated[Output, Flat] = Output(),  # noqa: B008 - frozen
) -> None:
    """Make variations of a sound of the model, or of a recording, for which the model's nearest sound is sought.

    For a recording, OUT contains the part of it that was compared (original), the model's nearest sound (resynthesis),
    and the variations, and a message says how near the two are. All are equally loud, so that they can be played in
    turn.

    Example: fauxley vary runs/mine 7 --out around-7

    Example: fauxley vary runs/mine my-snare.wav --out like-my-snare --count 16 --radius 0.2 --clean

    Example, brighter and shorter variations: fauxley vary runs/mine 7 --out bright --knob brighter=0.5 longer=-0.5

    Args:
        model: A run folder (its best checkpoint if one is recorded, otherwise its newest) or a model folder.
        sound: A seed such as 7, a recording, or a .npy file with one latent.
        out: Folder for the sounds, their latents.npy and sheet.png.
        count: Number of variations.
        radius: How different they are: 0 all the same, 0.1 takes of one sound, 0.3 relatives, 1 any sounds.
        seed: Seed of the variations; another seed gives others.
        label: For a model with labels: a label, or a mixture such as kick=0.7,snare=0.3. By default a seed has the
            label that 'fauxley generate' gives it, and for a recording the labels are found by the search.
        knob: Knobs to turn first, as in brighter=0.5, from -1 to 1; 'fauxley knobs MODEL' lists them.
        equal_loudness: Make all sounds equally loud.
        device: Device to compute on; auto uses a GPU if there is one.
        output: How the files are written.
    """
    if count < 1:
        raise UsageError(f"--count must be at least 1; got {count}")
    if seed < 0 or not 0 <= radius <= 1:
        raise UsageError(f"--seed must not be negative, and --radius from 0 to 1; got {seed} and {radius:g}")
    check_place(sound)
    positions = read_knobs(knob)
    keep_freed_memory()
    with importing():
        from fauxley.cli.shared.wishes import read_wishes
        from fauxley.latents import moves
        from fauxley.latents.directions import Directions, check_positions
        from fauxley.models.synthesizer import Synthesizer
        from fauxley.rendering.batches import SoundRequest
        from fauxley.rendering.folder import require_room, write_sounds
        from fauxley.rendering.resuming import require_place
        from fauxley.terminal.progress import Stages

    check_positions(positions)
    require_place(out, output.overwrite)
    synthesizer = Synthesizer.from_pretrained(model, choose_device(device))
    require_room(synthesizer, count + 2, out, output)
    with Stages(output.quiet) as stages:
        wishes = read_wishes([label], synthesizer.labels) if label is not None else ()
        if len(wishes) > 1:
            raise UsageError("variations are of one sound; give one label, or a mixture, as in kick=0.7,snare=0.3")
        found = places(synthesizer, sound, wishes[0] if wishes else None, stages)
        if len(found) != 1:
            raise UsageError(f"{printable(sound)} holds {len(found)} latents; give a file with one")
        (place,) = found
        middle = place.latent
        if positions:
            shares = wishes[0].shares if wishes else None
            middle = Directions.fit(synthesizer, shares, progress=teller(stages)).move(middle, positions)
    from_file = place.inversion is not None
    knobs = {"knobs": positions} if positions else {}
    name, title = ("resynthesis", "a recording, and the nearest sound") if from_file else (place.name, place.name)
    requests = [SoundRequest(middle, name, place.facts | knobs, place.weights, title)]
    for number, latent in enumerate(moves.vary(middle, count, radius, seed), start=1):
        facts = {"variation_of": place.facts | knobs, "radius": radius, "variation_seed": seed, "variation": number}
        requests.append(SoundRequest(latent, f"variation-{number:04d}", facts, place.weights, "variations"))
    write_sounds(
        synthesizer,
        model,
        requests,
        len(requests),
        out,
        output,
        made_from={"sound": place.identity, "radius": radius, "seed": seed, **knobs},
        one_loudness=equal_loudness,
        beside={} if place.inversion is None else {"original": place.inversion.target.numpy()},
    )
    if not output.quiet:
        print(say_nearness(place), end="")
