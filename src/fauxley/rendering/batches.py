"""Computing batches of sounds and writing their files, in this process or on a cluster.

A sound may change by a rounding error when other sounds share its batch. So a batch always consists of the same sounds
and is always recomputed as a whole: a job that was interrupted, or ran on a cluster, produces the same bytes.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fauxley.errors import FauxleyError
from fauxley.machine import in_memory
from fauxley.models.conditioning import file_word, find_label, label_mixture
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import load_verified
from fauxley.parallel import in_order
from fauxley.rendering.output import LOUDEST_PEAK, Output
from fauxley.signal.cleaning import at_loudness
from fauxley.sounds.writing import write_audio

_WRITERS = 4  # threads, because writers mostly wait for the disk
_WAITING = 8  # computed batches that may wait for the disk
_BATCHES_A_TASK = 4  # for a worker of a cluster
_IN_SIDECAR = 1024  # longer latents (a WaveNet's has a number for each sample) are in latents.npy only


@dataclass(frozen=True)
class SoundRequest:
    """A sound to make.

    Attributes:
        latent: (latent_size,).
        name: of its file, without the ending.
        facts: what its sidecar adds to the facts of all.
        labels: weights (L,) of its labels; empty for a model without labels.
        group: the row of the sheet on which it is drawn.
    """

    latent: Tensor
    name: str
    facts: Mapping[str, Any]
    labels: Tensor = field(default_factory=lambda: torch.zeros(0))
    group: str = "generated"


Batch = Sequence[SoundRequest]


@dataclass(frozen=True)
class LabelWish:
    """A label, or a mixture of labels, for sounds to make: a name, weights (L,), and shares by label."""

    name: str
    weights: Tensor
    shares: Mapping[str, float]

    def request(self, latent: Tensor, number: str, facts: Mapping[str, Any]) -> SoundRequest:
        """A request for a sound with this label; `number` ends its name."""
        told = {"label": self.name} if len(self.shares) == 1 else {"labels": dict(self.shares)}
        return SoundRequest(latent, f"{file_word(self.name)}-{number}", {**told, **facts}, self.weights, self.name)


def wish(shares: Mapping[str, float], known: Sequence[str]) -> LabelWish:
    """A wish for a mixture of labels in proportion to the shares; a mixture of one is that label.

    Raises:
        UsageError: the model does not know a label, or a share is not a positive number.
    """
    weights = label_mixture(shares, known)
    told = {label: round(float(weights[find_label(label, known)]), 6) for label in shares}
    return LabelWish("+".join(shares), weights, told)


def in_turn(known: Sequence[str]) -> tuple[LabelWish, ...]:
    """One wish for each of the labels."""
    return tuple(wish({label: 1.0}, known) for label in known)


def from_seeds(synthesizer: Synthesizer, seeds: range, wishes: Sequence[LabelWish] = ()) -> Iterator[SoundRequest]:
    """One request for each seed, named after the seed and, in a conditional model, the label.

    Args:
        wishes: the labels that the sounds of a conditional model have in turn, by seed; by default all labels.
    """
    wishes = wishes or in_turn(synthesizer.labels)
    for seed in seeds:
        latent = synthesizer.latents([seed])[0]
        if wishes:
            yield wishes[seed % len(wishes)].request(latent, f"{seed:04d}", {"seed": seed})
        else:
            yield SoundRequest(latent, f"seed-{seed:08d}", {"seed": seed})


@dataclass(frozen=True)
class Destination:
    """The folder for sounds, the form of their files, and the facts for all their sidecars.

    Attributes:
        loudness: in LKFS, which all sounds get as far as their peaks allow; None leaves levels as they are.
    """

    out: Path
    output: Output
    about: Mapping[str, Any]
    loudness: float | None = None

    def files(self, request: SoundRequest) -> list[str]:
        """The names of the files of a sound."""
        return [f"{request.name}.{suffix}" for suffix in (self.output.format, *self.output.sidecar_suffixes)]

    def facts(self, request: SoundRequest) -> dict[str, Any]:
        """The content of a sound's sidecar."""
        latent = {"latent": request.latent.tolist()} if len(request.latent) <= _IN_SIDECAR else {}
        level = {} if self.loudness is None else {"loudness_lkfs": round(self.loudness, 2)}
        return {**self.about, **request.facts, **level, **latent}

    def write(self, batch: Batch, clips: np.ndarray, sample_rate: int) -> None:
        """Write the files of clips (B, C, T)."""
        for request, clip in zip(batch, clips, strict=True):
            self.write_clip(request.name, clip, sample_rate, self.facts(request))

    def write_clip(self, name: str, clip: np.ndarray, sample_rate: int, facts: Mapping[str, Any] | None) -> None:
        """Write one clip (C, T), and these facts beside it if there are any and sidecars are wanted."""
        audio, rate = self.output.finish(clip, sample_rate)
        if self.loudness is not None:
            audio = at_loudness(audio, rate, self.loudness, LOUDEST_PEAK)
        path = self.out / f"{name}.{self.output.format}"
        sidecar = facts if self.output.sidecar_suffixes else None
        write_audio(path, audio, rate, self.output.subtype, sidecar, ceiling=self.output.ceiling)


def describe(synthesizer: Synthesizer, model: Path) -> dict[str, Any]:
    """The facts for the sidecars of all sounds of a model."""
    source = synthesizer.provenance
    return {
        "model": str(model),
        "preset": source.preset,
        "step": source.step,
        "dataset": source.dataset,
        "license_of_training_data": source.license,
        "fauxley_version": source.fauxley_version,
    }


def render_here(batches: Iterable[Batch], synthesizer: Synthesizer, destination: Destination) -> Iterator[int]:
    """Compute batches one after another, while threads write those before; yields the size of each finished batch."""
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_WRITERS) as writers:
        for batch in batches:
            clips = compute(synthesizer, batch)
            waiting.append(writers.submit(destination.write, batch, clips, synthesizer.sample_rate))
            while len(waiting) > _WAITING:
                waiting.popleft().result()
            yield len(batch)
        for written in waiting:
            written.result()


def render_on_cluster(batches: Iterable[Batch], model: Path, sha256: str, destination: Destination) -> Iterator[int]:
    """Compute batches by joblib's workers, which also write the files, so that no single machine is the bottleneck."""

    def tasks() -> Iterator[tuple[list[Batch], Path, str, Destination]]:
        pending = iter(batches)
        while task := list(islice(pending, _BATCHES_A_TASK)):
            yield task, model.absolute(), sha256, destination

    yield from in_order(_render, tasks(), None)


def _render(batches: list[Batch], model: Path, sha256: str, destination: Destination) -> int:
    synthesizer = load_verified(model, sha256).to(precision=destination.output.precision)
    return sum(render_here(batches, synthesizer, destination))


def compute(synthesizer: Synthesizer, batch: Batch) -> np.ndarray:
    """Compute the clips (B, C, T) of a batch.

    Raises:
        FauxleyError: samples are not finite, or there is not enough memory.
    """
    latents = np.stack([request.latent.numpy() for request in batch])
    labels = torch.stack([request.labels for request in batch])
    with in_memory("lower the batch size"):
        clips = synthesizer.generate(latents=latents, labels=labels, batch_size=len(batch)).numpy()
    require_finite(clips)
    return clips


def require_finite(clips: np.ndarray, model: str = "this model") -> None:
    """Check that all samples of a model's sounds are finite.

    Raises:
        FauxleyError: they are not.
    """
    if not np.isfinite(clips).all():
        raise FauxleyError(f"{model} makes no sounds: its samples are not finite numbers")
