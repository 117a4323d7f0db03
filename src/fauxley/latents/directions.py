"""Knobs: directions among latents along which sounds become brighter, boomier, longer and so on.

A few hundred sounds of the model are described (see `descriptions.py`), and each property is regressed on the latents:

    p ≈ c + z · w,    w = (ZᵀZ + λI)⁻¹ Zᵀ(p - c)

The unit vector along w is the direction in which the linear part of the property changes fastest. λ is the one of a few
values that predicts each sound best from the others (leave-one-out errors, Allen's PRESS). In models with labels the
mean of each label is subtracted first, so that a knob changes a snare and does not turn snares into hats. Each knob is
then tested on sounds that were not used to find it.

There are also the principal directions of the generator's early activations, which have no words (GANSpace, Härkönen et
al. 2020): the principal components of the activations after its first convolution, each regressed on the latents in the
same way.

A knob's position is from -1 to 1. Position 1 moves a latent along the knob's direction by √3, three standard deviations
of the prior: about as far from the middle as the most extreme of a thousand latents.

Letters: N sounds, Z latent size, J knobs.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fauxley.errors import FauxleyError, UsageError
from fauxley.latents.descriptions import PROPERTIES, Description, Property, describe
from fauxley.latents.player import Player, Wanted
from fauxley.latents.work import Work, kept, recall
from fauxley.models.layers import ConvolutionLayer
from fauxley.models.synthesizer import Synthesizer

# Each word's property, and whether the knob raises it (1) or lowers it (-1).
WORDS: Mapping[str, tuple[Property, int]] = {
    "brighter": ("brightness", 1),
    "boomier": ("lowness", 1),
    "longer": ("length", 1),
    "noisier": ("noisiness", 1),
    "harder": ("attack", -1),
    "louder": ("loudness", 1),
}
FARTHEST = 1.0
_PRINCIPAL = 8
NAMES = (*WORDS, *(f"principal-{number}" for number in range(1, _PRINCIPAL + 1)))

_SPAN = math.sqrt(3)  # three standard deviations of a number uniform in [-1, 1]
_SOUNDS_A_NUMBER, _FEWEST, _MOST = 4, 64, 512  # sounds for finding knobs: for each number of the latent, least, most
_FRESH, _FRESH_SEED = 16, 2_000_003  # sounds for testing knobs, other than those
_PENALTIES = 10.0 ** np.arange(-3, 5)
_NOTHING = 1e-9
_FASTEST = 0.0005  # seconds; shorter attacks count as equal


@dataclass(frozen=True)
class Knob:
    """A direction among latents.

    Attributes:
        name: "brighter", or "principal-1" and so on.
        direction: (Z,), of length 1, or of length 0 if all sounds are alike in this property.
        changes: the property that it was found by; None for a principal direction.
        low, middle, high: the property's median over some test sounds with the knob at -1, 0 and 1, in the units of
            `Description`; NaN for a principal direction.
        works: the share of the test sounds that change in the right direction from -1 to 1.
        variance: for a principal direction, its share of the variance of early activations; otherwise NaN.
    """

    name: str
    direction: Tensor
    changes: Property | None
    low: float
    middle: float
    high: float
    works: float
    variance: float

    @property
    def travel(self) -> Tensor:
        """What turning the knob from 0 to 1 adds to a latent, (Z,)."""
        return _SPAN * self.direction


@dataclass(frozen=True)
class Directions:
    """The knobs of a model, by name: those with words first, then principal directions."""

    knobs: Mapping[str, Knob]

    @classmethod
    def fit(
        cls,
        synthesizer: Synthesizer,
        label: Wanted = None,
        *,
        progress: Callable[[str, int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> "Directions":
        """Find the knobs of a model, or take them from the user's cache.

        Args:
            synthesizer: a model whose latents have a meaning; not a WaveNet.
            label: a label, or the shares of a mixture, for whose sounds knobs are found; None for all labels.
            progress: is called with what is being done, and the numbers of steps done and to do.
            cancelled: is called repeatedly; if it returns True, the work ends.

        Raises:
            UsageError: the model does not have a label, or its latents have no meaning.
            FauxleyError: the model's sounds are silent.
            CalledOffError: the work was cancelled.
        """
        player, work = Player(synthesizer), Work(progress, cancelled)
        name = player.keyword("knobs", label)
        found = kept(synthesizer, name, lambda: _find(player, label, work))
        return cls({knob.name: knob for knob in _read(found)})

    @classmethod
    def recall(cls, synthesizer: Synthesizer, label: Wanted = None) -> "Directions | None":
        """The knobs of a model if they have been found before, at once; arguments as for `fit`.

        Raises:
            UsageError: as `fit`.
        """
        found = recall(synthesizer, Player(synthesizer).keyword("knobs", label))
        return None if found is None else cls({knob.name: knob for knob in _read(found)})

    def facts(self) -> list[dict[str, Any]]:
        """The knobs that have words and turn something, in plain numbers, as a page takes them.

        Each has a name, the property that it changes, that property's `low`, `middle` and `high` (see `Knob`), the
        share of sounds on which it `works`, and its `travel`.
        """
        return [
            {
                "name": knob.name,
                "changes": knob.changes,
                **{place: _finite(getattr(knob, place)) for place in ("low", "middle", "high", "works")},
                "travel": [round(value, 5) for value in knob.travel.tolist()],
            }
            for knob in self.knobs.values()
            if knob.changes is not None and knob.direction.any()
        ]

    def move(self, latents: Tensor, positions: Mapping[str, float]) -> Tensor:
        """Turn knobs to positions from -1 to 1: latents (N, Z) or (Z,) to the same shape.

        Numbers that would leave [-1, 1] stop at its edge.

        Raises:
            UsageError: there is no such knob, or a position is out of range.
        """
        check_positions(positions)
        moved = latents
        for name, position in positions.items():
            moved = moved + position * self.knobs[name].travel.to(latents)
        return moved.clamp(-1, 1)


def check_positions(positions: Mapping[str, float]) -> None:
    """Check names and positions of knobs. All models have the same knobs, so none has to be searched for this.

    Raises:
        UsageError: there is no such knob, or a position is out of range.
    """
    for name, position in positions.items():
        if name not in NAMES:
            near = difflib.get_close_matches(name[:60], NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
            raise UsageError(f"there is no knob {name!r:.40}; {hint}")
        if not abs(position) <= FARTHEST:
            raise UsageError(f"a knob goes from -{FARTHEST:g} to {FARTHEST:g}; got {position:g} for {name}")


def scale_of(name: Property, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a property on a scale that suits the ear: logarithms of frequencies, times and ratios."""
    match name:
        case "brightness" | "length" | "noisiness":
            return np.log(np.maximum(values, 1e-9))
        case "attack":
            return np.log(values + _FASTEST)
        case "lowness" | "loudness":
            return values


def _finite(value: float) -> float:
    """A number that JSON has a word for: silence is as loud as -200 LKFS."""
    return float(np.nan_to_num(value, neginf=-200.0))


def _find(player: Player, label: Wanted, work: Work) -> dict[str, Tensor]:
    size = player.synthesizer.architecture.latent_size
    count = min(max(_SOUNDS_A_NUMBER * size, _FEWEST), _MOST)
    latents, weights = player.synthesizer.latents(range(count)), player.weights(label, count)
    turns = 2 * len(WORDS) + 1
    work.begin("finding the model's knobs", count + _FRESH * turns)
    described = _described(player, latents, weights, work)
    heard = np.isfinite(described).all(1)
    if heard.sum() < count // 2:
        raise FauxleyError("most of this model's sounds are silent, so it has no knobs")
    z = _without_means(latents.numpy()[heard], weights.numpy()[heard])
    directions = []
    for name, sign in WORDS.values():
        values = scale_of(name, described[heard, PROPERTIES.index(name)])
        directions.append(sign * _ridge(z, _without_means(values[:, None], weights.numpy()[heard]))[0][:, 0])
    components, shares = _principal(player, latents, weights)
    rows = torch.from_numpy(np.stack([_unit(each) for each in (*directions, *components)])).float()
    return {"directions": rows, "shares": torch.from_numpy(shares), **_tried(player, label, rows[: len(WORDS)], work)}


def _read(found: Mapping[str, Tensor]) -> list[Knob]:
    rows, tried = found["directions"], found["tried"].tolist()
    nan = math.nan
    knobs = [
        Knob(word, row, name, low, middle, high, works, nan)
        for (word, (name, _)), row, (low, middle, high, works) in zip(WORDS.items(), rows, tried, strict=False)
    ]
    return knobs + [
        Knob(f"principal-{number}", row, None, nan, nan, nan, nan, share)
        for number, (row, share) in enumerate(zip(rows[len(WORDS) :], found["shares"].tolist(), strict=True), start=1)
    ]


def _tried(player: Player, label: Wanted, directions: Tensor, work: Work) -> dict[str, Tensor]:
    """Test knobs (J, Z): the medians of each property at -1, 0 and 1, and the share of sounds that change rightly."""
    latents = player.synthesizer.latents(range(_FRESH_SEED, _FRESH_SEED + _FRESH))
    weights = player.weights(label, _FRESH, _FRESH_SEED)
    middle = _described(player, latents, weights, work)
    outcomes = []
    for (name, sign), direction in zip(WORDS.values(), directions, strict=True):
        column = PROPERTIES.index(name)
        low, high = (
            _described(player, (latents + side * _SPAN * direction).clamp(-1, 1), weights, work)[:, column]
            for side in (-1, 1)
        )
        works = float((sign * (high - low) > 0).mean())
        outcomes.append([*(float(np.median(each)) for each in (low, middle[:, column], high)), works])
    return {"tried": torch.tensor(outcomes)}


def _described(player: Player, latents: Tensor, weights: Tensor, work: Work) -> NDArray[np.float64]:
    """The properties of sounds: (N, 6). The loudness of silence is -inf."""
    rows: list[Description] = []
    for z, w in player.batches(latents, weights):
        clips = np.nan_to_num(player.render(z.cpu(), w.cpu()).numpy())
        rows += [describe(clip, player.synthesizer.sample_rate) for clip in clips]
        work.advance(len(z))
    return np.array([[getattr(row, name) for name in PROPERTIES] for row in rows])


def _principal(
    player: Player, latents: Tensor, weights: Tensor
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """The principal directions, up to eight of (Z,), and their shares of the variance."""
    rows = []
    for z, w in player.batches(latents, weights):
        rows.append(_early(player, z, w).flatten(1).cpu())
    activations = _without_means(torch.cat(rows).double().numpy(), weights.numpy())
    gram = activations @ activations.T  # (N, N), smaller than the covariance: there are fewer sounds than activations
    variances, vectors = np.linalg.eigh(gram)
    largest = np.argsort(variances)[::-1][:_PRINCIPAL]
    coordinates = vectors[:, largest] * np.sqrt(np.maximum(variances[largest], 0))
    directions, _ = _ridge(_without_means(latents.numpy(), weights.numpy()), coordinates)
    return list(directions.T), variances[largest] / max(variances.sum(), 1e-30)


def _early(player: Player, latents: Tensor, weights: Tensor) -> Tensor:
    """The activations after a generator's first convolution, or its output if it has no convolution."""
    first = next((each for each in player.generator.modules() if isinstance(each, ConvolutionLayer)), None)
    seen: list[Tensor] = []

    def look(_: nn.Module, __: object, out: Tensor) -> None:
        seen.append(out.float())

    hook = None if first is None else first.register_forward_hook(look)
    with torch.no_grad():
        features = player.features(latents, weights)
    if hook is not None:
        hook.remove()
    return seen[0] if seen else features


def _ridge(z: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights (Z, J) that predict centred values (N, J) from centred latents (N, Z), and the penalty chosen.

    With the singular values s of Z, the leave-one-out error of sound n is e_n / (1 - h_n), where h is the diagonal of
    U diag(s² / (s² + λ)) Uᵀ (Golub, Heath and Wahba 1979).
    """
    u, s, vt = np.linalg.svd(z, full_matrices=False)
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for penalty in _PENALTIES:
        shrunk = s**2 / (s**2 + penalty)
        residual = values - (u * shrunk) @ (u.T @ values)
        left_out = residual / np.maximum(1 - np.square(u) @ shrunk, 1e-6)[:, None]
        error = float(np.square(left_out).sum())
        if best is None or error < best[0]:
            best = error, float(penalty), vt.T @ ((s / (s**2 + penalty))[:, None] * (u.T @ values))
    assert best is not None
    return best[2], best[1]


def _without_means(values: NDArray[np.floating[Any]], weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Subtract from values (N, J) their mean, or the part that weights of labels (N, L) predict."""
    x = np.asarray(values, np.float64)
    if not weights.shape[1]:
        return np.asarray(x - x.mean(0))
    by_label = np.linalg.lstsq(np.asarray(weights, np.float64), x, rcond=None)[0]
    return np.asarray(x - weights @ by_label)


def _unit(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale a direction to length 1; it stays 0 if the property is the same in all sounds."""
    length = float(np.linalg.norm(direction))
    return np.asarray(direction / length if length > _NOTHING else np.zeros_like(direction))
