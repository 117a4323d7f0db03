"""Models opened for playing: what the page is told of them, and what may be asked of them.

Shapes: N sounds, Z numbers in a latent, C channels, T samples.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.errors import UsageError, printable
from fauxley.machine import in_memory
from fauxley.models.architecture import AutoregressiveArchitecture
from fauxley.models.synthesizer import Synthesizer
from fauxley.rendering.batches import require_finite

Float = NDArray[np.float32]
Mixture = Mapping[str, float]
"""Shares of labels; empty for a model without labels, and, where there are labels, for each of them in turn."""

_MOST_WORK = 10**11  # multiplications for one sound: about ten seconds of a processor, more is no playing


@dataclass(frozen=True)
class Instrument:
    """A model that can be played.

    Attributes:
        id: what requests call it; unlike that of the others.
        name: what people call it.
        synthesizer: the model.
    """

    id: str
    name: str
    synthesizer: Synthesizer

    @property
    def labels(self) -> tuple[str, ...]:
        """The kinds of sounds that can be asked for; none where the model knows of no kinds."""
        return self.synthesizer.labels

    @property
    def latent_size(self) -> int:
        return self.synthesizer.architecture.latent_size

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and samples of a sound."""
        return self.synthesizer.architecture.channels, self.synthesizer.architecture.clip_length

    def is_called(self, model: str) -> bool:
        """Whether a model's name or folder, as a file beside a sound has it, means this one."""
        return bool(model) and self.name in (model, _name_of(Path(model)))

    def latents_of(self, seeds: Sequence[int]) -> Float:
        """The latents of seeds, (N, Z)."""
        return self.synthesizer.latents(seeds).numpy()

    def check(self, latents: Float) -> None:
        """Whether sounds can be made of latents (N, Z).

        Raises:
            UsageError: they are another model's.
        """
        if latents.ndim != 2 or latents.shape[1] != self.latent_size:
            raise UsageError(f"a latent of {self.name} has {self.latent_size} numbers; got {latents.shape[-1]}")

    def mixtures(self, wanted: Mixture, count: int, first: int = 0) -> list[Mixture]:
        """The labels of `count` sounds, of which `first` is the first one's seed: those wanted, or all in turn.

        Raises:
            UsageError: labels that the model does not have.
        """
        weights = self.synthesizer.label_weights(wanted or None, count, first)
        return [
            {word: share for word, share in zip(self.labels, row, strict=True) if share} for row in weights.tolist()
        ]

    def render(self, latents: Float, mixtures: Sequence[Mixture]) -> Float:
        """Sounds (N, C, T) of latents (N, Z), each with its labels.

        Raises:
            FauxleyError: the model makes no finite numbers, or there is too little memory.
        """
        weights = torch.cat([self.synthesizer.label_weights(mixture or None, 1) for mixture in mixtures])
        with in_memory("ask for fewer sounds"):
            clips = self.synthesizer.generate(latents=torch.from_numpy(latents), labels=weights).numpy()
        require_finite(clips, self.name)
        return clips


def open_instruments(paths: Sequence[Path], device: torch.device) -> tuple[Instrument, ...]:
    """Open models, each under a name of its own.

    Raises:
        FauxleyError: one is no model, or damaged.
        UsageError: one takes too long for playing.
    """
    opened: dict[str, Instrument] = {}
    for path in paths:
        synthesizer = Synthesizer.from_pretrained(path, device)
        work = synthesizer.architecture.generator_cost() + synthesizer.architecture.representation_cost()
        if isinstance(synthesizer.architecture, AutoregressiveArchitecture) or work.work > _MOST_WORK:
            raise UsageError(
                f"{printable(path)} takes too long for each sound to be played; make sounds with 'fauxley generate'"
            )
        name = _name_of(path.resolve())
        identifier = _unlike(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model", opened)
        opened[identifier] = Instrument(identifier, name, synthesizer)
    return tuple(opened.values())


def _name_of(path: Path) -> str:
    """What people call a model: its folder's name, or that of the folder around it where it says nothing."""
    says_nothing = re.compile(r"run|model|checkpoints|step-\d+")
    return next((part for part in reversed(path.parts) if not says_nothing.fullmatch(part)), path.name)


def _unlike(name: str, others: Mapping[str, object]) -> str:
    number, free = 2, name
    while free in others:
        free, number = f"{name}-{number}", number + 1
    return free
