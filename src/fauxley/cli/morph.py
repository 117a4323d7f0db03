"""`fauxley morph`: the sounds between sounds."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from fauxley.cli.shared.options import Flat, Model
from fauxley.errors import UsageError
from fauxley.machine import Device, choose_device, importing, keep_freed_memory
from fauxley.rendering.output import Output

if TYPE_CHECKING:
    from torch import Tensor


def morph(
    model: Model,
    out: Path,
    seeds: tuple[int, ...],
    count: int = 8,
    path: Literal["linear", "spherical"] = "linear",
    label: tuple[str, ...] = (),
    device: Device = "auto",
    output: Annotated[Output, Flat] = Output(),  # noqa: B008 - frozen
) -> None:
    """Make the sounds on the way from one seed to the next, both included.

    Example: fauxley morph runs/mine --out morph --seeds 3 17 --count 12

    Args:
        model: A run folder (its best checkpoint if one is recorded, else its newest) or a model folder.
        out: Folder for the sounds, their latents.npy and sheet.png.
        seeds: Two or more seeds, passed in this order.
        count: How many sounds to make in all.
        path: Which way to take between latents: linear goes straight, spherical on an arc that keeps their length.
        label: For a model that has learnt labels: one, or a mixture such as kick=0.7,snare=0.3, for all sounds; or one
            for each seed, between which sounds are mixtures. Without it, seeds have the labels that 'fauxley generate'
            gives them.
        device: Where to compute; auto takes a GPU if there is one.
        output: How the files are written.
    """
    if len(seeds) < 2:
        raise UsageError(f"--seeds takes two or more numbers; got {len(seeds)}")
    if min(seeds) < 0:
        raise UsageError(f"--seeds must not be negative; got {min(seeds)}")
    if any(first == second for first, second in pairwise(seeds)):
        raise UsageError(
            f"nothing lies between a seed and itself; give --seeds that differ, not {' '.join(map(str, seeds))}"
        )
    if count < len(seeds):
        raise UsageError(f"--count must be at least the number of seeds, {len(seeds)}; got {count}")
    keep_freed_memory()
    with importing():
        import torch

        from fauxley.cli.shared.wishes import read_wishes
        from fauxley.models.synthesizer import Synthesizer
        from fauxley.rendering.batches import SoundRequest
        from fauxley.rendering.folder import write_sounds

    synthesizer = Synthesizer.from_pretrained(model, choose_device(device))
    between = spherical if path == "spherical" else torch.lerp
    latents = synthesizer.latents(seeds)
    wishes = read_wishes(label, synthesizer.labels)
    if label and len(wishes) not in (1, len(seeds)):
        raise UsageError(f"--label takes one label, or one for each of the {len(seeds)} seeds; got {len(wishes)}")
    places = [wishes[(place if label else seed) % len(wishes)] for place, seed in enumerate(seeds)] if wishes else []

    def requests() -> Iterator[SoundRequest]:
        for number, place in enumerate(np.linspace(0, len(seeds) - 1, count)):
            start = min(int(place), len(seeds) - 2)
            share = float(place) - start
            latent = between(latents[start], latents[start + 1], share)
            facts: dict[str, Any] = {"between_seeds": [seeds[start], seeds[start + 1]], "share": share, "path": path}
            name = f"morph-{number:04d}"
            if not places:
                yield SoundRequest(latent, name, facts)
                continue
            first, second = places[start : start + 2]
            facts["between_labels"] = [first.name, second.name]
            yield SoundRequest(latent, name, facts, torch.lerp(first.weights, second.weights, share))

    made_from: dict[str, Any] = {"seeds": seeds, "path": path}
    if places:
        made_from["label"] = [dict(each.shares) for each in places]
    write_sounds(synthesizer, model, requests(), count, out, output, made_from=made_from)


def spherical(start: "Tensor", end: "Tensor", share: float) -> "Tensor":
    """Spherical interpolation (Shoemake 1985) of two latents (latent_size,)."""
    import torch

    angle = torch.arccos(torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1))
    if angle.sin() < 1e-4:
        return torch.lerp(start, end, share)
    return (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / angle.sin()
