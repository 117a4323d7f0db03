"""Nearest neighbours: whether a set is varied, and whether the model merely memorised its examples.

The search is exact. Squared distances of whole blocks are computed as a matrix product, |a - b|² = |a|² + |b|² - 2 a·b,
after centring, because rounding errors grow with the norms. The few best candidates are measured again directly, in
double precision. If rounding could have hidden a nearer clip among those that were dropped, the products are repeated
in double precision. Neither side needs to fit in memory: blocks are read where they are used, so features may be
memory-mapped.

In section 5.2 of the paper, |D|self is the mean distance to the nearest other clip of the same set, and |D|train that
to the nearest training clip. A |D|self far below that of real data means that the clips are alike; a |D|train far below
means that they are copies.

Letters: Q queries, N clips searched, D dimensions, k neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.evaluation.metrics.validation import check_features, check_values

Float = NDArray[np.floating[Any]]
Int = NDArray[np.int64]
Progress = Callable[[int], None]

_SPARE = 4  # candidates beyond k, in case rounding hides one
_BLOCK_BYTES = 1 << 26


def nearest(
    queries: Float,
    base: Float,
    k: int = 1,
    *,
    same: bool = False,
    device: torch.device | str = "cpu",
    progress: Progress = lambda done: None,
) -> tuple[NDArray[np.float64], Int]:
    """The k nearest of `base` (N, D) to each of `queries` (Q, D): Euclidean distances and indices, (Q, k), ascending.

    Args:
        same: whether query i is clip i of `base`, and thus not its own neighbour.
        progress: called with the number of queries just done.

    Raises:
        UsageError: there are fewer clips than neighbours, dimensions differ, or numbers are not finite.
    """
    check_features(1, searched=base, queried=queries)
    if not 1 <= k <= len(base) - same:
        raise UsageError(f"{len(base)} clips are too few for {k} neighbours")
    num_candidates = min(k + _SPARE, len(base) - same)
    rows = max(1, min(4096, _BLOCK_BYTES // (4 * queries.shape[1])))
    centre: Float = np.asarray(np.mean(base, axis=0, dtype=np.float64), np.result_type(queries, base))
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), rows):
        part = queries[start : start + rows]
        own = np.arange(start, start + len(part)) if same else None
        candidates, bound = _candidates(part - centre, base, centre, num_candidates, own, rows, device, torch.float32)
        found = _measure(part, base, candidates, k)
        doubtful = np.flatnonzero(np.square(found[0][:, -1]) > bound)
        if len(doubtful) and num_candidates < len(base) - same:
            mine = None if own is None else own[doubtful]
            wider, _ = _candidates(
                part[doubtful] - centre, base, centre, num_candidates, mine, rows, "cpu", torch.float64
            )
            for all_, some in zip(found, _measure(part[doubtful], base, wider, k), strict=True):
                all_[doubtful] = some
        distances[start : start + rows], indices[start : start + rows] = found
        progress(len(part))
    return distances, indices


def squared_distances(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared Euclidean distances of rows (N, D) and (M, D): (N, M). Centre both first: rounding grows with norms."""
    squared = np.square(x).sum(1)[:, None] + np.square(y).sum(1) - 2 * x @ y.T
    return np.asarray(np.maximum(squared, 0))


def _candidates(
    queries: Float,
    base: Float,
    centre: Float,
    num_candidates: int,
    own: Int | None,
    rows: int,
    device: torch.device | str,
    precision: torch.dtype,
) -> tuple[Int, NDArray[np.float64]]:
    """Find candidates for centred queries by matrix products.

    Returns:
        Indices of each query's nearest clips, (Q, num_candidates), and a lower bound, (Q,), of the squared distance to
        all other clips that holds despite rounding.
    """
    q = torch.from_numpy(np.asarray(queries)).to(device, precision)
    best = torch.full((len(q), num_candidates), torch.inf, device=device, dtype=precision)
    which = torch.zeros((len(q), num_candidates), dtype=torch.int64, device=device)
    longest = torch.zeros((), device=device, dtype=precision)
    mine = None if own is None else torch.from_numpy(own).to(device)
    for start in range(0, len(base), rows):
        block = torch.from_numpy(np.asarray(base[start : start + rows] - centre)).to(device, precision)
        norms = block.square().sum(1)
        longest = torch.maximum(longest, norms.max())
        # |q|² is the same for all clips of a row, so it is left out.
        squared = torch.addmm(norms, q, block.T, alpha=-2)
        if mine is not None:
            inside = (mine >= start) & (mine < start + len(block))
            squared[inside.nonzero().squeeze(1), mine[inside] - start] = torch.inf
        both = torch.cat([best, squared], 1)
        best, chosen = both.topk(num_candidates, 1, largest=False)
        ids = torch.cat([which, torch.arange(start, start + len(block), device=device).expand(len(q), -1)], 1)
        which = ids.gather(1, chosen)
    # The error of a sum of D products with varying signs grows like √D; four times that is never reached in practice.
    size = q.square().sum(1)
    error = 4 * q.shape[1] ** 0.5 * torch.finfo(precision).eps * (size.sqrt() + longest.sqrt()).square()
    bound = (best[:, -1] + size - error).double()
    return which.cpu().numpy(), bound.cpu().numpy()


def _measure(queries: Float, base: Float, candidates: Int, k: int) -> tuple[NDArray[np.float64], Int]:
    """The best k of each query's candidates, measured in double precision."""
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    rows = max(1, _BLOCK_BYTES // (8 * queries.shape[1] * candidates.shape[1]))
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        # Sorted by index first, so that ties go to the lower index and the result does not depend on the blocks.
        ids = np.sort(candidates[part], axis=1)
        exact = np.sqrt(np.square(np.asarray(base[ids], np.float64) - queries[part, None]).sum(2))
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        distances[part], indices[part] = np.take_along_axis(exact, order, 1), np.take_along_axis(ids, order, 1)
    return distances, indices


@dataclass(frozen=True)
class Memorisation:
    """Whether clips are closer to the training data than new real clips are.

    Attributes:
        closer: probability that a clip is closer to its nearest training clip than a held-out real clip is to its own:
            0.5 if generated clips are as new as real ones, 1 if they are copies.
        suspicious: share of clips closer than all but one in a hundred held-out clips; 0.01 is expected.
        threshold: the distance below which only one in a hundred held-out clips is.
        num_held_out: the number of held-out clips.
    """

    closer: float
    suspicious: float
    threshold: float
    num_held_out: int


def memorisation(generated: Float, held_out: Float) -> Memorisation:
    """Compare the distances to the training data of generated (N,) and held-out clips (M,). Ties count half.

    Raises:
        UsageError: a side has fewer than two, or numbers are not finite.
    """
    check_values(2, generated=generated, held_out=held_out)
    ranked = np.sort(held_out)
    below = np.searchsorted(ranked, generated, "left")
    up_to = np.searchsorted(ranked, generated, "right")
    closer = 1 - (below + up_to).mean() / (2 * len(ranked))
    threshold = float(np.quantile(ranked, 0.01))
    return Memorisation(float(closer), float((generated < threshold).mean()), threshold, len(ranked))
