"""A kit: sounds on the keys of a sampler, independent of the format in which it is written.

A key has one or more layers, for how hard it is struck, and each layer has takes that are played in turn. The files of
a kit are ready to play: trimmed, faded, below full scale and equally loud, and then shaped by the pad's knobs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fauxley.errors import FauxleyError, UsageError
from fauxley.export.general_midi import HATS, assign_keys, is_hat
from fauxley.export.shaping import Shaping
from fauxley.signal.cleaning import Cleaning, loudness

KitFormat = Literal["sfz", "decentsampler", "folder"]

_CLEANING = Cleaning(normalize="none")
_SILENCE = 2.0**-15  # one step of 16 bits
_PEAK = 10 ** (-1 / 20)
_QUIETEST_LKFS = -24.0  # the lowest loudness of a kit, if one of its sounds cannot be louder
_VELOCITIES = (1, 127)
_CANDIDATES = 3  # variations made for each that is kept, if layers are to be found among them


@dataclass(frozen=True)
class OneShot:
    """A sound and its origin.

    Args:
        audio: (C, T) in [-1, 1].
        sample_rate: in Hz.
        name: of the sound and its file.
        label: what it is, in a word; "" if unknown.
        latent: (latent_size,), if a model made it.
        label_weights: (L,), if a conditional model made it.
        seed: of the latent; None if it is not that of a seed.
        model, license: the model that made it, and the licence of the model's training data.
    """

    audio: NDArray[np.float32]
    sample_rate: int
    name: str
    label: str = ""
    latent: NDArray[np.float32] | None = None
    label_weights: NDArray[np.float32] | None = None
    seed: int | None = None
    model: str = ""
    license: str = ""


Layer = Sequence[OneShot]
"""Takes of one sound for about the same velocity."""


@dataclass(frozen=True)
class Variations:
    """How the takes of a sound are made."""

    takes: int = 3
    """Round robin: number of variations of each sound that are played in turn, including itself."""
    layers: int = 2
    """The most velocity layers; there are fewer if a model's variations are all about equally bright."""
    radius: float = 0.1
    """How far variations may be from their sound, as a share of the latents' range."""

    def __post_init__(self) -> None:
        if not 1 <= self.takes <= 16:
            raise UsageError(f"takes must be from 1 to 16; got {self.takes}")
        if not 1 <= self.layers <= 4:
            raise UsageError(f"layers must be from 1 to 4; got {self.layers}")
        if not 0 < self.radius <= 1:
            raise UsageError(f"radius must be more than 0 and at most 1; got {self.radius}")

    @property
    def sounds(self) -> int:
        """The number of sounds that are made for each sound."""
        kept = self.takes * self.layers
        return kept if self.layers == 1 else _CANDIDATES * kept


@dataclass(frozen=True)
class Zone:
    """The takes that are played in turn if a key is struck within these velocities (both included)."""

    lowest: int
    highest: int
    takes: tuple[OneShot, ...]
    files: tuple[str, ...]
    """The takes' files, each `FOLDER/NAME.wav`, with names that every file system and every sampler allows."""


@dataclass(frozen=True)
class Pad:
    """A key (MIDI note number) and what it plays. Pads of one choke group cut each other off ("": no group).

    The takes are already shaped.
    """

    key: int
    name: str
    label: str
    choke: str
    zones: tuple[Zone, ...]
    shaping: Shaping


@dataclass(frozen=True)
class Kit:
    """Pads in the order of their keys.

    Args:
        about: facts for the kit's card, such as the model and its training data's licence.
        left_out: names of sounds that are silent, and have no key.
    """

    name: str
    sample_rate: int
    pads: tuple[Pad, ...]
    about: dict[str, str]
    left_out: tuple[str, ...] = ()


def make_kit(
    name: str, sounds: Sequence[Sequence[Layer]], about: dict[str, str], shapings: Sequence[Shaping] | None = None
) -> Kit:
    """Clean sounds, make them equally loud, shape them, and assign each to a key. Silent ones are left out.

    Args:
        name: of the kit.
        sounds: for each pad its layers, the softest first. The pad is named after the first take of the hardest layer.
        about: see `Kit`.
        shapings: how each pad plays its sounds; None plays all as they are.

    Raises:
        UsageError: there are no sounds, more than keys, or several sample rates.
        FauxleyError: all of them are silent.
    """
    if not sounds:
        raise UsageError("a kit needs at least one sound")
    rates = {take.sample_rate for pad in sounds for layer in pad for take in layer}
    if len(rates) > 1:
        raise UsageError(
            f"the sounds of a kit need one sample rate; these have {', '.join(map(str, sorted(rates)))} Hz"
        )
    heard = [_heard([[_clean(take) for take in layer] for layer in pad]) for pad in sounds]
    left_out = tuple(pad[-1][0].name for pad, layers in zip(sounds, heard, strict=True) if not layers)
    if len(left_out) == len(sounds):
        raise FauxleyError("all of these sounds are silent, and make no kit; choose others")
    asked = shapings or [Shaping()] * len(sounds)
    kept = [(layers, shaping) for layers, shaping in zip(heard, asked, strict=True) if layers]
    shaped = _shaped(_equally_loud([layers for layers, _ in kept]), [shaping for _, shaping in kept])
    keys = assign_keys([pad[-1][0].label for pad in shaped])
    pads = [_pad(key, layers, shaping) for key, layers, (_, shaping) in zip(keys, shaped, kept, strict=True)]
    return Kit(name, rates.pop(), tuple(sorted(pads, key=lambda pad: pad.key)), about, left_out)


def _clean(take: OneShot) -> OneShot:
    return replace(take, audio=_CLEANING.apply(take.audio, take.sample_rate))


def _heard(pad: Sequence[Layer]) -> list[list[OneShot]]:
    """The layers of a pad without takes that are silent; none if all are."""
    layers = [[take for take in layer if np.abs(take.audio).max() > _SILENCE] for layer in pad]
    return [layer for layer in layers if layer]


def _shaped(pads: Sequence[Sequence[Layer]], shapings: Sequence[Shaping]) -> list[list[list[OneShot]]]:
    """Pads as their knobs have them; all of them softer by the same, should one else exceed the highest peak."""
    shaped = [
        [[replace(take, audio=shaping.apply(take.audio, take.sample_rate)) for take in layer] for layer in pad]
        for pad, shaping in zip(pads, shapings, strict=True)
    ]
    highest = max(float(np.abs(take.audio).max()) for pad in shaped for layer in pad for take in layer)
    gain = min(1.0, _PEAK / highest)
    return [[[replace(take, audio=gain * take.audio) for take in layer] for layer in pad] for pad in shaped]


def _equally_loud(sounds: Sequence[Sequence[Layer]]) -> list[list[list[OneShot]]]:
    """Make sounds equally loud, at the highest loudness that all can have; those that cannot reach it get their own.

    The takes of one pad are always equally loud, because a difference between them is heard at once.
    """
    reachable = [[[_loudest(take) for take in layer] for layer in pad] for pad in sounds]
    of_pads = [min(min(layer) for layer in pad) for pad in reachable]
    common = max(min(of_pads), _QUIETEST_LKFS)
    return [
        [
            [_with_gain(take, min(common, of_pad) - highest) for take, highest in zip(layer, of_layer, strict=True)]
            for layer, of_layer in zip(pad, of_layers, strict=True)
        ]
        for pad, of_layers, of_pad in zip(sounds, reachable, of_pads, strict=True)
    ]


def _loudest(take: OneShot) -> float:
    """The loudness of a sound at the highest peak that is allowed, in LKFS."""
    return max(loudness(take.audio * (_PEAK / np.abs(take.audio).max()), take.sample_rate), -200.0)


def _with_gain(take: OneShot, decibels: float) -> OneShot:
    """A take at `decibels` below the highest peak that is allowed."""
    gain = _PEAK / np.abs(take.audio).max() * 10 ** (decibels / 20)
    return replace(take, audio=(take.audio * gain).astype(np.float32))


def _pad(key: int, layers: Sequence[Layer], shaping: Shaping) -> Pad:
    head = layers[-1][0]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", head.name).strip("-_")[:60] or "sound"
    lowest, highest = _VELOCITIES
    bounds = [lowest + round(place * (highest + 1 - lowest) / len(layers)) for place in range(len(layers) + 1)]
    zones = []
    for number, takes in enumerate(layers):
        softer = len(layers) - 1 - number
        stem = f"{key:03d}-{name}/{name}{f'-soft{softer}' if softer else ''}"
        files = tuple(f"{stem}-{take}.wav" for take in range(1, len(takes) + 1))
        zones.append(Zone(bounds[number], bounds[number + 1] - 1, tuple(takes), files))
    choke = f"group-{shaping.choke}" if shaping.choke else HATS if is_hat(head.label) else ""
    return Pad(key, name, head.label, choke, tuple(zones), shaping)
