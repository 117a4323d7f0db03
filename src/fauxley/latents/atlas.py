"""An atlas of a model's own sounds: where to start a search for a sound, and how far apart the model's sounds are.

An atlas holds the points (see `likeness.py`) of the sounds of the model's first seeds. The search for a real sound
starts from the nearest of them. And they give distances a scale: how far apart two of the model's sounds usually are,
and how far a sound usually is from its nearest neighbour.
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
        points: (N, P), float16, which is far more precise than the ear.
    """

    latents: Tensor
    weights: Tensor
    points: Tensor

    @property
    def typical(self) -> float:
        """The median distance between two of the sounds, in dB."""
        count = len(self.points)
        return float(self._distances()[torch.triu(torch.ones(count, count), 1).bool()].median())

    @property
    def neighbour(self) -> float:
        """The median distance from a sound to its nearest neighbour, in dB."""
        return float(self._distances().fill_diagonal_(torch.inf).amin(1).median())

    def _distances(self) -> Tensor:
        return distances(self.points, self.points)


def atlas_of(player: Player, likeness: Likeness, wanted: Wanted, work: Work) -> Atlas:
    """Make, or take from the user's cache, the atlas of a model's sounds.

    Args:
        wanted: the labels of the sounds; None for all.

    Raises:
        UsageError: the model does not have a label.
        CalledOffError: the work was cancelled.
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
    """The distances between points (N, P) and (M, P), in dB: (N, M)."""
    return torch.cdist(first.float().cpu(), second.float().cpu())
