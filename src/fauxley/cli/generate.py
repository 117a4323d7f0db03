"""`fauxley generate`: makes new sounds as files."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fauxley.cli.shared.options import ClusterAddress, Flat, Model
from fauxley.cli.shared.places import read_knobs, read_latents, teller
from fauxley.errors import UsageError
from fauxley.latents.choice import Choice
from fauxley.machine import Device, choose_device, importing, keep_freed_memory, require_memory
from fauxley.rendering.output import Output

if TYPE_CHECKING:
    from torch import Tensor

    from fauxley.models.synthesizer import Synthesizer
    from fauxley.rendering.batches import LabelWish, SoundRequest

_BYTES_A_NUMBER = 16  # memory for each number of a latent and what belongs to it


def generate(
    model: Model,
    out: Path,
    count: int | None = None,
    seed: int = 0,
    latents: Path | None = None,
    label: tuple[str, ...] = (),
    truncation: float = 1.0,
    knob: tuple[str, ...] = (),
    choice: Annotated[Choice, Flat] = Choice(),  # noqa: B008 - frozen
    inversion: Literal["auto", "griffin-lim"] = "auto",
    device: Device = "auto",
    cluster: ClusterAddress = None,
    output: Annotated[Output, Flat] = Output(),  # noqa: B008 - frozen
) -> None:
    """Make new sounds. A seed gives the same sound, however many are made at once.

    (In float32, a sound may differ by a few steps of 16 bits on another machine, or with another count or batch size.
    Otherwise files are the same byte for byte.)

    An interrupted command resumes when it is run again.

    Example: fauxley generate runs/mine --out new-sounds --count 40 --clean

    Example, only snares, and sounds between kick and snare:
    fauxley generate runs/mine --out snares --label snare kick=0.7,snare=0.3

    Example, very many: fauxley generate runs/mine --out many --count 50000 --listing --no-sheet

    Example, nearly the same sounds of a WaveGAN in about half the time on a recent CPU:
    fauxley generate runs/wavegan --out quick --precision bfloat16

    Example, the ten brightest of 200, a little shorter than the model makes them:
    fauxley generate runs/mine --out bright --count 10 --pick brightest --from 200 --knob longer=-0.3

    Example, the better half: fauxley generate runs/mine --out better --count 40 --keep 0.5

    Example, the same sounds again: fauxley generate runs/mine --out again --latents new-sounds/latents.npy

    Args:
        model: A run folder (its best checkpoint if one is recorded, else its newest) or a model folder.
        out: Folder for the sounds, their latents.npy and sheet.png.
        count: Number of sounds; by default 20.
        seed: Seed of the first sound; the next ones have the next seeds.
        latents: A .npy file of shape (N, latent size): makes N sounds from these latents, in order.
        label: For a model with labels: one label, several that take turns, mixtures such as kick=0.7,snare=0.3, or all
            (the default), which makes every label equally often. Files are named after their label.
        truncation: Scales latents towards the middle by this factor; below 1 sounds are more typical and less varied.
        knob: Knobs to turn, as in brighter=0.5 longer=-0.3, from -1 to 1; 'fauxley knobs MODEL' lists them.
        choice: How sounds are chosen from more that are made.
        inversion: How a SpecGAN estimates phases; auto uses its network if it has one (see 'fauxley train-inversion').
        device: Device to compute on; auto uses a GPU if there is one.
        cluster: Compute on dask://HOST:PORT or ray://HOST:PORT, whose machines all see MODEL and OUT; they compute on
            their CPUs.
        output: How the files are written.
    """
    if latents is not None and (count is not None or choice):
        raise UsageError("give --latents, which are all used, or --count and how to choose, but not both")
    count = 20 if count is None else count
    if count < 1:
        raise UsageError(f"--count must be at least 1; got {count}")
    if seed < 0:
        raise UsageError(f"--seed must not be negative; got {seed}")
    if inversion == "griffin-lim" and cluster:
        raise UsageError("--inversion griffin-lim cannot be used with --cluster")
    positions = read_knobs(knob)
    keep_freed_memory()
    with importing():
        from fauxley.cli.shared.wishes import read_wishes
        from fauxley.models.synthesizer import Synthesizer
        from fauxley.rendering.batches import from_seeds
        from fauxley.rendering.folder import require_room, write_sounds
        from fauxley.rendering.resuming import require_place

    require_place(out, output.overwrite)
    synthesizer = Synthesizer.from_pretrained(model, choose_device(device))
    if inversion == "griffin-lim":
        synthesizer.representation.use_griffin_lim()
    wishes = read_wishes(label, synthesizer.labels)
    requests: Iterable[SoundRequest]
    made_from: dict[str, Any]
    if latents is None:
        seeds = range(seed, seed + choice.candidates(count))
        requests, made_from = from_seeds(synthesizer, seeds, wishes), {"first_seed": seed}
    else:
        rows = synthesizer.check_latents(read_latents(latents))
        requests = _from_latents(rows, wishes)
        count, made_from = len(rows), {"latents": hashlib.sha256(rows.numpy().tobytes()).hexdigest()}
    if wishes:
        made_from["label"] = [dict(each.shares) for each in wishes]
    if truncation != 1 or positions:
        of_label = wishes[0].shares if len(wishes) == 1 else None
        requests = _moved(synthesizer, requests, truncation, positions, of_label, output.quiet)
        made_from |= {"truncation": truncation, "knobs": positions}
    if choice:
        require_room(synthesizer, count, out, output)
        requests = _chosen(synthesizer, requests, count, choice, output)
    made_from |= choice.facts(count)
    write_sounds(synthesizer, model, requests, count, out, output, made_from=made_from, cluster=cluster)


def _from_latents(rows: "Tensor", wishes: "Sequence[LabelWish]") -> "Iterator[SoundRequest]":
    """A request for each row; labels take turns."""
    from fauxley.rendering.batches import SoundRequest

    for number, row in enumerate(rows):
        name = f"latent-{number:05d}"
        yield wishes[number % len(wishes)].request(row, name, {}) if wishes else SoundRequest(row, name, {})


def _moved(
    synthesizer: "Synthesizer",
    requests: "Iterable[SoundRequest]",
    truncation: float,
    positions: Mapping[str, float],
    of_label: Mapping[str, float] | None,
    quiet: bool,
) -> "Iterator[SoundRequest]":
    """The requests with their latents truncated and their knobs turned."""
    from fauxley.latents import moves
    from fauxley.latents.directions import Directions, check_positions
    from fauxley.terminal.progress import Stages

    if not 0 < truncation <= 1:
        raise UsageError(f"--truncation must be above 0 and at most 1; got {truncation:g}")
    facts: dict[str, Any] = {"truncation": truncation} if truncation < 1 else {}
    directions = None
    if positions:
        check_positions(positions)
        facts["knobs"] = positions
        with Stages(quiet) as stages:
            directions = Directions.fit(synthesizer, of_label, progress=teller(stages))

    def move(request: "SoundRequest") -> "SoundRequest":
        latent = moves.truncate(request.latent, truncation)
        latent = latent if directions is None else directions.move(latent, positions)
        return replace(request, latent=latent, facts={**request.facts, **facts})

    return map(move, requests)


def _chosen(
    synthesizer: "Synthesizer", candidates: "Iterable[SoundRequest]", count: int, choice: Choice, output: Output
) -> "list[SoundRequest]":
    """The requests of the sounds that are chosen, the best first."""
    import torch

    from fauxley.latents.choosing import choose
    from fauxley.terminal.progress import Stages

    needed = choice.candidates(count) * _BYTES_A_NUMBER * synthesizer.architecture.latent_size
    require_memory("choosing from so many sounds", needed, "lower --from, or --count")
    requests = list(candidates)
    latents, weights = (torch.stack([getattr(each, name) for each in requests]) for name in ("latent", "labels"))
    words = [str(request.facts["label"]) for request in requests if "label" in request.facts]
    asked = words if len(words) == len(requests) else None
    with Stages(output.quiet) as stages:
        chosen = choose(synthesizer, latents, count, choice, labels=weights, asked=asked, progress=teller(stages))
    if chosen.criteria and not output.quiet:
        print(f"kept {choice.keep:.0%} of {len(requests)} sounds by {', '.join(chosen.criteria)}")
    return [replace(requests[n], facts={**requests[n].facts, **chosen.facts[n]}) for n in chosen.indices]
