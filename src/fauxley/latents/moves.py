"""Moves among latents: variations around one, paths between two, squares between four, truncation.

Every number of a latent is uniform in [-1, 1], and a model's sounds outside that cube are undefined, so no move leaves
it. A step that would leave is reflected at the wall, which keeps uniform latents uniform; clamping would collect them
on the walls.

Letters: N latents, Z numbers in each.
"""

from typing import Literal

import torch
from torch import Tensor

from fauxley.errors import UsageError
from fauxley.models.draws import Draws, Purpose

PathKind = Literal["linear", "spherical"]

_NEARLY_PARALLEL = 1e-4  # sine of the angle between latents; below it an arc is computed as a line


def vary(latent: Tensor, count: int, radius: float = 0.1, seed: int = 0) -> Tensor:
    """Latents around `latent` (Z,): (count, Z).

    Each number moves by a step uniform within ± 2 `radius` in a cube that is 2 wide. With radius 0 all variations are
    `latent` itself; with radius 1 they are latents like any others.

    Args:
        latent: the middle, (Z,), in [-1, 1].
        count: the number of variations. Variation n is a function of `latent`, `radius`, `seed` and n alone.
        radius: from 0 to 1.
        seed: 0 or more; another seed gives other variations.

    Raises:
        UsageError: an argument is out of range.
    """
    if not 0 <= radius <= 1:
        raise UsageError(f"radius must be from 0 (no change) to 1 (any sound); got {radius}")
    if count < 0 or seed < 0:
        raise UsageError(f"count and seed must be 0 or more; got {count} and {seed}")
    _check_inside(latent)
    steps = [Draws(Purpose.VARIATIONS, seed, number).latents(1, latent.shape[-1]) for number in range(count)]
    return _reflect(latent + 2 * radius * torch.cat([torch.empty(0, latent.shape[-1]), *steps]).to(latent))


def path(start: Tensor, end: Tensor, steps: int, kind: PathKind = "spherical") -> Tensor:
    """Latents from `start` to `end`, (Z,) each, both included, at equal distances: (steps, Z).

    Args:
        steps: the number of latents; a path of 1 is `start` alone.
        kind: a linear path is straight; a spherical one follows an arc, on which latents keep their length. The middle
            of a straight path is nearer to the centre than most latents, and therefore sounds duller.

    Raises:
        UsageError: there is less than one step.
    """
    if steps < 1:
        raise UsageError(f"a path needs 1 step or more; got {steps}")
    return torch.stack([between(start, end, float(share), kind) for share in torch.linspace(0, 1, steps)])


def square(corners: Tensor, rows: int, columns: int, kind: PathKind = "spherical") -> Tensor:
    """Latents between four corners (4, Z), top left, top right, bottom left and bottom right: (rows, columns, Z).

    Raises:
        UsageError: there are not four corners, or there is less than one row or column.
    """
    if corners.dim() != 2 or len(corners) != 4:
        raise UsageError(f"a square has four corners, (4, latent size); got {tuple(corners.shape)}")
    left, right = path(corners[0], corners[2], rows, kind), path(corners[1], corners[3], rows, kind)
    return torch.stack([path(*ends, columns, kind) for ends in zip(left, right, strict=True)])


def between(start: Tensor, end: Tensor, share: float, kind: PathKind = "spherical") -> Tensor:
    """The latent at `share`, from 0 to 1, of the path from `start` to `end`, (Z,) each: (Z,).

    An arc (Shoemake 1985) may leave the cube of latents; it is then moved to the nearest point of the cube.
    """
    if kind == "linear" or share in (0, 1):  # so that both ends are exact
        return torch.lerp(start, end, share)
    angle = torch.arccos(torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1))
    if angle.sin() < _NEARLY_PARALLEL:
        return torch.lerp(start, end, share)
    arc = (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / angle.sin()
    largest = torch.maximum(start.abs().max(), end.abs().max()).clamp(
        min=1
    )  # latents of a WaveNet, or a user's own, may be outside of the cube
    return arc.clamp(-largest, largest)


def truncate(latents: Tensor, share: float) -> Tensor:
    """Scale latents (N, Z) towards the centre by the factor `share`, which makes sounds more typical and less varied.

    This is the truncation trick (Brock, Donahue and Simonyan 2019) for a uniform prior, which then ends at ±`share`.

    Raises:
        UsageError: `share` is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise UsageError(f"truncation must be above 0 and at most 1 (no change); got {share}")
    return share * latents


def _reflect(latents: Tensor) -> Tensor:
    """Fold numbers beyond -1 and 1 back: a triangle wave of period 4."""
    folded = (torch.remainder(latents - 1, 4) - 2).abs() - 1
    return torch.where(latents.abs() > 1, folded, latents)


def _check_inside(latent: Tensor) -> None:
    if latent.dim() != 1 or not torch.isfinite(latent).all() or (latent.abs() > 1).any():
        raise UsageError(f"a latent must be (Z,), numbers from -1 to 1; got {tuple(latent.shape)}")
