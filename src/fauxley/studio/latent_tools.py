"""Moves among latents as requests ask for them: lists of numbers, places in a square, and labels that move along.

Z numbers in a latent.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from fauxley.latents import moves
from fauxley.studio.instruments import Float, Mixture


def vary(latent: Float, count: int, radius: float, seed: int) -> Float:
    """`count` latents (count, Z) around one, (Z,); see `fauxley.latents.moves.vary`.

    Raises:
        UsageError: it is no latent of numbers from -1 to 1.
    """
    found: Float = moves.vary(torch.from_numpy(latent), count, radius, seed).numpy()
    return found


def grid(rows: int, columns: int) -> list[tuple[float, float]]:
    """Places (x, y) in [0, 1] of a grid, row by row."""
    xs, ys = np.linspace(0, 1, columns), np.linspace(0, 1, rows)
    return [(float(x), float(y)) for y in ys for x in xs]


def at(corners: Float, x: float, y: float) -> Float:
    """The latent (Z,) at a place between two corners (2, Z), or in the square of four, (4, Z), row by row."""
    places = torch.from_numpy(corners)
    middle = moves.between(places[0], places[1], x)
    if len(corners) == 4:
        middle = moves.between(middle, moves.between(places[2], places[3], x), y)
    found: Float = middle.numpy()
    return found


def mix(labels: Sequence[Mixture], x: float, y: float) -> Mixture:
    """The mixture of labels at the same place; empty where no labels are given."""
    if not labels or not any(labels):
        return {}
    shares = [1 - x, x] if len(labels) == 2 else [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y]
    words = dict.fromkeys(word for mixture in labels for word in mixture)
    mixed: Mapping[str, float] = {
        word: sum(share * mixture.get(word, 0.0) for share, mixture in zip(shares, labels, strict=True))
        for word in words
    }
    return {word: weight for word, weight in mixed.items() if weight > 0}
