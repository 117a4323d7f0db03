"""The nearest latent to a real sound, and honest words for how near it is.

1. The sound is placed where the model's sounds have their onset: as it is, and at every step up to there.
2. Of an atlas of the model's sounds the nearest, under whichever of the places, are where the search begins.
3. From each of them, latent and weights of labels go down the gradient of the squared distance (Adam), kept where
   latents live: numbers in [-1, 1], weights that are positive and add up to 1. After a quarter of the steps the worse
   three quarters of the searches are given up.

Distances are those of `likeness.py`. What they mean is told by three others of the same model: how near a sound comes
that the model made itself (sought in the same way, with fewer steps), how near two of its sounds come by chance, and
how far apart they usually are.

Inversion by optimisation goes back to Zhu et al. (2016) and Lipton and Tripathi (2017); that searches from a good start
beat those from anywhere, to all who have tried it.

Letters: B searches, Z latent size, L labels, P coordinates of a point, C channels, T samples.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fauxley.errors import UsageError
from fauxley.latents.atlas import Atlas, atlas_of, distances
from fauxley.latents.likeness import Likeness
from fauxley.latents.player import Player, Wanted
from fauxley.latents.work import Work, kept
from fauxley.models.synthesizer import Synthesizer

STARTS, STEPS = 6, 80

_RATE = 0.05  # of Adam, at first; falls to nothing
_LABEL_RATE = 0.2  # of that: at full speed all sounds end as mixtures of labels that mean nothing to anybody
_ONSET = 0.1  # of the peak
_FARTHEST = 1 / 3  # of a clip: where onsets are looked for
_PLACES = 64
_SILENCE = 2.0**-15
_OWN_SOUNDS, _OWN_SEED = 4, 1_000_003  # beyond those of the atlas
_OWN_STARTS, _OWN_STEPS = 2, 40


@dataclass(frozen=True)
class Yardstick:
    """Distances between a model's own sounds, in dB, beside which others mean something.

    Attributes:
        reach: of a sound that the model made from the nearest that a search finds.
        neighbour: from the nearest of a few hundred others.
        typical: of two sounds.
    """

    reach: float
    neighbour: float
    typical: float

    def verdict(self, distance: float) -> "Verdict":
        """What a distance amounts to."""
        if distance <= max(1.1 * self.reach, self.reach + 0.1 * (self.neighbour - self.reach)):
            return "same"
        if distance <= self.neighbour:
            return "near"
        return "alike" if distance <= (self.neighbour + self.typical) / 2 else "unlike"


Verdict = Literal["same", "near", "alike", "unlike"]
_WORDS: dict[Verdict, str] = {
    "same": "as near as the model comes to sounds of its own: practically the same sound",
    "near": "near: closer than one of the model's sounds usually is to the next",
    "alike": "only alike: further away than one of the model's sounds usually is from the next",
    "unlike": "this model has nothing like it: about as far away as its own sounds are from one another",
}


@dataclass(frozen=True)
class Inversion:
    """The sound of a model that is nearest to a given one.

    Attributes:
        latent: (Z,).
        weights: of the labels, (L,).
        labels: the same by label, those that are worth naming.
        audio: the model's sound, (C, T), at the level at which the model makes it.
        target: the given sound as it was compared, (C, T): moved in time, cut or filled to the clip's length.
        distance: between both, in dB.
        yardstick: other distances of this model.
    """

    latent: Tensor
    weights: Tensor
    labels: dict[str, float]
    audio: Tensor
    target: Tensor
    distance: float
    yardstick: Yardstick

    @property
    def verdict(self) -> Verdict:
        """How near that is, in a word."""
        return self.yardstick.verdict(self.distance)

    @property
    def words(self) -> str:
        """How near that is, in a sentence with its figures."""
        y = self.yardstick
        return (
            f"{_WORDS[self.verdict]} ({self.distance:.1f} dB; this model's own sounds: {y.reach:.1f} dB when they are "
            f"sought, {y.neighbour:.1f} dB from one to the next, {y.typical:.1f} dB between any two)"
        )


def invert(
    synthesizer: Synthesizer,
    audio: ArrayLike,
    *,
    labels: Wanted = None,
    starts: int = STARTS,
    steps: int = STEPS,
    progress: Callable[[str, int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Inversion:
    """Look for the latent whose sound is nearest to `audio`.

    What is found out about the model on the way is kept in the user's cache; the first search of a model takes two to
    three times as long as later ones.

    Args:
        synthesizer: a model whose latents mean something; not a WaveNet.
        audio: (C, T) at the model's sample rate and of its channels, or (T,) for one; any length and level. What comes
            before its onset does not count, nor what does not fit into a clip.
        labels: a label, or the shares of a mixture, to look among; None looks among all, and finds the weights, too.
        starts: searches begun.
        steps: of the searches that are carried through.
        progress: is told what is being done, and how many steps of how many are done.
        cancelled: asked at every step whether the search is no longer wanted.

    Raises:
        UsageError: silence, numbers that are not finite, other channels, or a model that has no such latents.
        CalledOffError: it was called off.
    """
    if starts < 1 or steps < 1:
        raise UsageError(f"a search takes 1 start and 1 step or more; got {starts} and {steps}")
    architecture = synthesizer.architecture
    sound = _checked(audio, architecture.channels)
    player, work = Player(synthesizer), Work(progress, cancelled)
    likeness = Likeness(synthesizer.representation, synthesizer.sample_rate, architecture.clip_length)
    atlas = atlas_of(player, likeness, labels, work)
    yardstick = _yardstick(player, likeness, atlas, labels, work)
    places = _places(sound, architecture.clip_length, likeness)
    points = likeness.of_audio(places.to(player.device))
    nearest = distances(atlas.points, points).min(1)  # of each sound of the atlas, under its best place
    chosen = nearest.values.argsort()[:starts]
    work.begin("looking for the nearest sound", steps)
    search = _Search(player, likeness, free_weights=labels is None)
    found = search.run(atlas.latents[chosen], atlas.weights[chosen], points[nearest.indices[chosen]], steps, work)
    origin = chosen[found.row]
    return Inversion(
        latent=found.latent,
        weights=found.weights,
        labels=player.words(found.weights),
        audio=player.render(found.latent[None], found.weights[None])[0],
        target=places[nearest.indices[origin]],
        distance=found.distance,
        yardstick=yardstick,
    )


@dataclass(frozen=True)
class _Found:
    """The best of several searches: which one it was, where it ended, and how far from its target."""

    row: int
    latent: Tensor
    weights: Tensor
    distance: float


@dataclass(frozen=True)
class _Search:
    """Descends from latents (B, Z) and weights (B, L) towards points (B, P)."""

    player: Player
    likeness: Likeness
    free_weights: bool

    def run(self, latents: Tensor, weights: Tensor, targets: Tensor, steps: int, work: Work) -> _Found:
        """The best end of all."""
        rows = torch.arange(len(latents))
        first = steps // 4
        for part in (first, steps - first):
            latents, weights, reached = self.descend(latents, weights, targets, part, work)
            order = reached.argsort()[: -(-len(rows) // 4)]
            rows, latents, weights, targets = rows[order], latents[order], weights[order], targets[order]
        return _Found(int(rows[0]), latents[0], weights[0], float(reached.min()))

    def descend(
        self, latents: Tensor, weights: Tensor, targets: Tensor, steps: int, work: Work
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best latents and weights on each way, and their distances (B,)."""
        device = self.player.device
        z, w, targets = (each.to(device, torch.float32).clone() for each in (latents, weights, targets))
        moved = {z.requires_grad_(): _RATE}
        if self.free_weights and w.shape[1]:
            moved[w.requires_grad_()] = _LABEL_RATE * _RATE
        optimizer = torch.optim.Adam([{"params": [each], "lr": rate} for each, rate in moved.items()])
        best_z, best_w, best = z.detach().clone(), w.detach().clone(), torch.full((len(z),), torch.inf, device=device)
        for step in range(steps + 1):
            distance = (self.likeness.of_features(self.player.features(z, w)) - targets).norm(dim=1)
            better = distance.detach() < best
            best = torch.where(better, distance.detach(), best)
            best_z, best_w = (
                torch.where(better[:, None], now.detach(), before) for now, before in ((z, best_z), (w, best_w))
            )
            if step == steps:
                break
            gradients = torch.autograd.grad(distance.square().sum(), [*moved])
            for (each, rate), group, gradient in zip(moved.items(), optimizer.param_groups, gradients, strict=True):
                each.grad = gradient
                group["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
            optimizer.step()
            with torch.no_grad():
                z.clamp_(-1, 1)
                if self.free_weights and w.shape[1]:
                    w.copy_(_onto_simplex(w))
            work.advance(1)
        return best_z.cpu(), best_w.cpu(), best.cpu()


def _yardstick(player: Player, likeness: Likeness, atlas: Atlas, wanted: Wanted, work: Work) -> Yardstick:
    """The yardstick of a model, for sounds of these labels."""

    def measure() -> dict[str, Tensor]:
        latents = player.synthesizer.latents(range(_OWN_SEED, _OWN_SEED + _OWN_SOUNDS))
        targets = likeness.of_audio(
            player.render(latents, player.weights(wanted, len(latents), _OWN_SEED)).to(player.device)
        )
        begun = distances(targets, atlas.points).topk(_OWN_STARTS, largest=False).indices.flatten()
        work.begin("looking for some of the model's own sounds, to compare with", _OWN_STEPS)
        search = _Search(player, likeness, free_weights=wanted is None)
        starts = atlas.latents[begun], atlas.weights[begun], targets.repeat_interleave(_OWN_STARTS, 0)
        *_, reached = search.descend(*starts, _OWN_STEPS, work)
        reach = reached.view(_OWN_SOUNDS, _OWN_STARTS).amin(1).median()
        return {"yardstick": torch.stack([reach, torch.tensor(atlas.neighbour), torch.tensor(atlas.typical)])}

    found = kept(player.synthesizer, player.keyword("yardstick", wanted), measure)["yardstick"]
    return Yardstick(*found.tolist())


def _places(sound: Tensor, clip_length: int, likeness: Likeness) -> Tensor:
    """A sound (C, T) as clips (S, C, clip_length): as it is, and with its onset at one step after another."""
    onset = int((sound.abs().amax(0) >= _ONSET * sound.abs().max()).int().argmax())
    steps = range(0, round(_FARTHEST * clip_length), likeness.step)[:_PLACES]
    shifts = [0, *(lead - onset for lead in steps)]
    return torch.stack([_shifted(sound, shift, clip_length) for shift in shifts])


def _shifted(sound: Tensor, shift: int, length: int) -> Tensor:
    """The sound `shift` samples later, or earlier, cut or filled to `length`."""
    late = torch.nn.functional.pad(sound, (shift, length))
    return late[:, :length]


def _onto_simplex(weights: Tensor) -> Tensor:
    """The nearest weights (B, L) that are not negative and add up to 1 (Duchi et al. 2008, figure 1)."""
    falling = weights.sort(1, descending=True).values
    excess = falling.cumsum(1) - 1
    count = torch.arange(1, weights.shape[1] + 1, device=weights.device)
    last = (falling * count > excess).sum(1, keepdim=True)
    return (weights - excess.gather(1, last - 1) / last).clamp(min=0)


def _checked(audio: ArrayLike, channels: int) -> Tensor:
    samples: NDArray[np.float32] = np.atleast_2d(np.asarray(audio, np.float32))
    if samples.ndim != 2 or len(samples) != channels or not np.isfinite(samples).all():
        raise UsageError(f"a sound for this model must be finite numbers, ({channels}, T); got {samples.shape}")
    if not samples.size or np.abs(samples).max() <= _SILENCE:
        raise UsageError("the sound is silent: there is nothing to look for")
    return torch.from_numpy(np.ascontiguousarray(samples))
