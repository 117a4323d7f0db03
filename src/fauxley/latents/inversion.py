"""The search for the latent whose sound is nearest to a real sound, and a verdict on how near it is.

1. The sound is shifted in time so that its onset is where the model's sounds have theirs: it is tried as it is, and
   with the onset at every step up to there.
2. The search starts from the sounds in an atlas of the model that are nearest to the sound, under the best shift for
   each.
3. From each start, gradient descent (Adam) on latent and weights of labels lowers the squared distance. Latents stay in
   [-1, 1]; weights stay positive and sum to 1. After a quarter of the steps the worse three quarters of the searches
   are dropped.

Distances are those of `likeness.py`. Three other distances of the same model give them a meaning: how near a search
comes to a sound that the model made itself (with fewer steps), how far a sound is from its nearest neighbour by chance,
and how far apart two sounds usually are.

Inversion by optimisation goes back to Zhu et al. (2016) and Lipton and Tripathi (2017), who already found that good
starts are better than random ones.

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

_RATE = 0.05  # of Adam, at the start; it falls to zero
_LABEL_RATE = 0.2  # relative to it; at the full rate all sounds end as mixtures of labels without a meaning
_ONSET = 0.1  # of the peak
_FARTHEST = 1 / 3  # of a clip: onsets are sought up to here
_PLACES = 64
_SILENCE = 2.0**-15
_OWN_SOUNDS, _OWN_SEED = 4, 1_000_003  # seeds beyond those of the atlas
_OWN_STARTS, _OWN_STEPS = 2, 40


@dataclass(frozen=True)
class Yardstick:
    """Distances between a model's own sounds, in dB, with which other distances are compared.

    Attributes:
        reach: from a sound that the model made to the nearest that a search finds.
        neighbour: from a sound to the nearest of a few hundred others.
        typical: between two sounds.
    """

    reach: float
    neighbour: float
    typical: float

    def verdict(self, distance: float) -> "Verdict":
        """What a distance means, in a word."""
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
        labels: those weights by label, without negligible ones.
        audio: the model's sound, (C, T), at the level at which the model makes it.
        target: the given sound as it was compared, (C, T): shifted, and cut or padded to the clip's length.
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
        """What the distance means, in a word."""
        return self.yardstick.verdict(self.distance)

    @property
    def words(self) -> str:
        """What the distance means, in a sentence with figures."""
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
    """Search for the latent whose sound is nearest to `audio`.

    Measurements of the model are kept in the user's cache, so the first search with a model takes two to three times as
    long as later ones.

    Args:
        synthesizer: a model whose latents have a meaning; not a WaveNet.
        audio: (C, T) at the model's sample rate and with its channels, or (T,) for one channel; of any length and
            level. What precedes its onset is ignored, and so is what does not fit into a clip.
        labels: a label, or the shares of a mixture, to search; None searches all and finds the weights, too.
        starts: the number of searches.
        steps: of each search that is not dropped.
        progress: is called with what is being done, and the numbers of steps done and to do.
        cancelled: is called at every step; if it returns True, the search ends.

    Raises:
        UsageError: the sound is silent, not finite, or has other channels, or the model's latents have no meaning.
        CalledOffError: the search was cancelled.
    """
    if starts < 1 or steps < 1:
        raise UsageError(f"a search needs 1 start and 1 step or more; got {starts} and {steps}")
    architecture = synthesizer.architecture
    sound = _checked(audio, architecture.channels)
    player, work = Player(synthesizer), Work(progress, cancelled)
    likeness = Likeness(synthesizer.representation, synthesizer.sample_rate, architecture.clip_length)
    atlas = atlas_of(player, likeness, labels, work)
    yardstick = _yardstick(player, likeness, atlas, labels, work)
    places = _places(sound, architecture.clip_length, likeness)
    points = likeness.of_audio(places.to(player.device))
    nearest = distances(atlas.points, points).min(1)  # for each sound of the atlas, the best shift
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
    """The best of several searches: its number, where it ended, and its distance from the target."""

    row: int
    latent: Tensor
    weights: Tensor
    distance: float


@dataclass(frozen=True)
class _Search:
    """Gradient descent from latents (B, Z) and weights (B, L) towards points (B, P)."""

    player: Player
    likeness: Likeness
    free_weights: bool

    def run(self, latents: Tensor, weights: Tensor, targets: Tensor, steps: int, work: Work) -> _Found:
        """The best result of all searches."""
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
        """The best latents and weights of each search, and their distances (B,)."""
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
    """The yardstick of a model for sounds of these labels."""

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
    """A sound (C, T) as clips (S, C, clip_length): as it is, and shifted so that its onset is at each of some steps."""
    onset = int((sound.abs().amax(0) >= _ONSET * sound.abs().max()).int().argmax())
    steps = range(0, round(_FARTHEST * clip_length), likeness.step)[:_PLACES]
    shifts = [0, *(lead - onset for lead in steps)]
    return torch.stack([_shifted(sound, shift, clip_length) for shift in shifts])


def _shifted(sound: Tensor, shift: int, length: int) -> Tensor:
    """Shift the sound by `shift` samples (positive delays), and cut or pad it to `length`."""
    late = torch.nn.functional.pad(sound, (shift, length))
    return late[:, :length]


def _onto_simplex(weights: Tensor) -> Tensor:
    """Project onto the nearest weights (B, L) that are not negative and sum to 1 (Duchi et al. 2008, figure 1)."""
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
        raise UsageError("the sound is silent")
    return torch.from_numpy(np.ascontiguousarray(samples))
