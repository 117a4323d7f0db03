"""Moving among latents: the one place where the studio leans on other parts of fauxley for it.

Z numbers in a latent.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fauxley.studio.instruments import Float, Mixture

_LIMIT = 1.0  # latents are uniform in [-1, 1]


def vary(latent: Float, count: int, radius: float, seed: int) -> Float:
    """`count` latents (count, Z) around one, (Z,): each number moves by up to `radius`, and is reflected at ±1."""
    moves = np.random.default_rng(seed).uniform(-radius, radius, (count, len(latent)))
    moved = np.clip(latent, -_LIMIT, _LIMIT) + moves
    moved = np.where(moved > _LIMIT, 2 * _LIMIT - moved, moved)
    moved = np.where(moved < -_LIMIT, -2 * _LIMIT - moved, moved)
    return np.clip(moved, -_LIMIT, _LIMIT).astype(np.float32)


def grid(rows: int, columns: int) -> list[tuple[float, float]]:
    """Places (x, y) in [0, 1] of a grid, row by row."""
    xs, ys = np.linspace(0, 1, columns), np.linspace(0, 1, rows)
    return [(float(x), float(y)) for y in ys for x in xs]


def at(corners: Float, x: float, y: float) -> Float:
    """The latent (Z,) at a place between two corners (2, Z), or in the square of four, (4, Z), row by row."""
    if len(corners) == 2:
        return between(corners[0], corners[1], x)
    return between(between(corners[0], corners[1], x), between(corners[2], corners[3], x), y)


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


def between(a: Float, b: Float, share: float) -> Float:
    """Spherical interpolation (Shoemake 1985) of latents (Z,)."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    angle = float(np.arccos(np.clip(float(a @ b) / norms, -1, 1))) if norms else 0.0
    if np.sin(angle) < 1e-4:
        shares = (1 - share, share)
    else:
        shares = (float(np.sin((1 - share) * angle) / np.sin(angle)), float(np.sin(share * angle) / np.sin(angle)))
    found: Float = np.asarray(shares[0] * a + shares[1] * b, np.float32)
    return found
