"""What a model's own sounds are like, taken together: where to begin looking for one, and how far apart they are.

An atlas holds the points (see `likeness.py`) of the sounds of the model's first seeds. The nearest of them are where a
search for a real sound begins. And distances mean something only beside those between the model's own sounds: how far
two of them usually are apart, and how far a new one is from the nearest of the others.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fauxley.latents.likeness import Likeness
from fauxley.latents.player import Player, Wanted
from fauxley.latents.work import Work, kept

_SOUNDS = 256
_A_LABEL = 32


@dataclass(frozen=True)
class Atlas:
    """Sounds of a model, as points.

    Attributes:
        latents: of the sounds, (N, Z).
        weights: of their labels, (N, L).
        points: (N, P), float16, which is far more exact than the ear.
    """

    latents: Tensor
    weights: Tensor
    points: Tensor

    @property
    def typical(self) -> float:
        """How far two of the sounds usually are apart: the median, in dB."""
        count = len(self.points)
        return float(self._distances()[torch.triu(torch.ones(count, count), 1).bool()].median())

    @property
    def neighbour(self) -> float:
        """How far a sound usually is from the nearest of the others: the median, in dB."""
        return float(self._distances().fill_diagonal_(torch.inf).amin(1).median())

    def _distances(self) -> Tensor:
        return distances(self.points, self.points)


def atlas_of(player: Player, likeness: Likeness, wanted: Wanted, work: Work) -> Atlas:
    """The atlas of a model's sounds of all labels, or of those asked for.

    Raises:
        UsageError: labels that the model does not have.
        CalledOffError: the work is no longer wanted.
    """
    count = max(_SOUNDS, _A_LABEL * len(player.labels)) if wanted is None else _SOUNDS
    latents, weights = player.synthesizer.latents(range(count)), player.weights(wanted, count)

    def listen() -> dict[str, Tensor]:
        work.begin("listening to the model's own sounds", count)
        points = []
        for z, w in player.batches(latents, weights):
            with torch.no_grad():
                points.append(likeness.of_features(player.features(z, w)).half().cpu())
            work.advance(len(z))
        return {"points": torch.cat(points)}

    return Atlas(latents, weights, kept(player.synthesizer, player.keyword("atlas", wanted), listen)["points"])


def distances(first: Tensor, second: Tensor) -> Tensor:
    """How unlike points (N, P) and (M, P) are, in dB: (N, M)."""
    return torch.cdist(first.float().cpu(), second.float().cpu())
