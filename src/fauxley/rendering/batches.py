"""Computing batches of sounds and writing their files, in this process or on a cluster.

A sound may differ by a rounding error when others surround it in its batch. So a batch is always the same sounds, and
is made anew as a whole: a job that was interrupted, or spread over a cluster, ends in the same bytes as any other.
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

_WRITERS = 4  # threads: they wait for the disk more than they compute
_WAITING = 8  # batches at most, between computing and the disk
_BATCHES_A_TASK = 4  # of a worker of a cluster
_IN_SIDECAR = 1024  # numbers of a latent; a WaveNet has one for each sample: those are in latents.npy only


@dataclass(frozen=True)
class SoundRequest:
    """A sound to make.

    Attributes:
        latent: (latent_size,).
        name: its file's, without ending.
        facts: what its sidecar adds.
        labels: weights (L,) of the labels that it is to have; of a model without labels there are none.
        group: the row of the sheet that it belongs to.
    """

    latent: Tensor
    name: str
    facts: Mapping[str, Any]
    labels: Tensor = field(default_factory=lambda: torch.zeros(0))
    group: str = "generated"


Batch = Sequence[SoundRequest]


@dataclass(frozen=True)
class LabelWish:
    """A label, or a mixture of labels, that sounds are to have: its name, weights (L,), and shares by label."""

    name: str
    weights: Tensor
    shares: Mapping[str, float]

    def request(self, latent: Tensor, number: str, facts: Mapping[str, Any]) -> SoundRequest:
        """A request for a sound of this label, whose name ends in a number."""
        told = {"label": self.name} if len(self.shares) == 1 else {"labels": dict(self.shares)}
        return SoundRequest(latent, f"{file_word(self.name)}-{number}", {**told, **facts}, self.weights, self.name)


def wish(shares: Mapping[str, float], known: Sequence[str]) -> LabelWish:
    """A wish for a mixture of labels, in proportion to the shares; for one of them, if it is the only one.

    Raises:
        UsageError: a label that the model does not know, or shares that are not positive numbers.
    """
    weights = label_mixture(shares, known)
    told = {label: round(float(weights[find_label(label, known)]), 6) for label in shares}
    return LabelWish("+".join(shares), weights, told)


def in_turn(known: Sequence[str]) -> tuple[LabelWish, ...]:
    """A wish for each of the labels."""
    return tuple(wish({label: 1.0}, known) for label in known)


def from_seeds(synthesizer: Synthesizer, seeds: range, wishes: Sequence[LabelWish] = ()) -> Iterator[SoundRequest]:
    """One request per seed, named by it; of a conditional model, by its label and by it.

    Args:
        wishes: the labels that the sounds of a conditional model take in turn, by seed; none: all that it knows.
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
    """The folder that sounds go to, the form that they are written in, and the facts for all their sidecars.

    Attributes:
        loudness: to bring all to, in LKFS, as far as their peaks allow; None: as the model makes them.
    """

    out: Path
    output: Output
    about: Mapping[str, Any]
    loudness: float | None = None

    def files(self, request: SoundRequest) -> list[str]:
        """The names of the files that a sound consists of."""
        return [f"{request.name}.{suffix}" for suffix in (self.output.format, *self.output.sidecar_suffixes)]

    def facts(self, request: SoundRequest) -> dict[str, Any]:
        """The facts in a sidecar."""
        latent = {"latent": request.latent.tolist()} if len(request.latent) <= _IN_SIDECAR else {}
        level = {} if self.loudness is None else {"loudness_lkfs": round(self.loudness, 2)}
        return {**self.about, **request.facts, **level, **latent}

    def write(self, batch: Batch, clips: np.ndarray, sample_rate: int) -> None:
        """Write the files of clips (B, C, T)."""
        for request, clip in zip(batch, clips, strict=True):
            self.write_clip(request.name, clip, sample_rate, self.facts(request))

    def write_clip(self, name: str, clip: np.ndarray, sample_rate: int, facts: Mapping[str, Any] | None) -> None:
        """Write one clip (C, T), with a sidecar of these facts if sidecars are wanted."""
        audio, rate = self.output.finish(clip, sample_rate)
        if self.loudness is not None:
            audio = at_loudness(audio, rate, self.loudness, LOUDEST_PEAK)
        path = self.out / f"{name}.{self.output.format}"
        sidecar = facts if self.output.sidecar_suffixes else None
        write_audio(path, audio, rate, self.output.subtype, sidecar, ceiling=self.output.ceiling)


def describe(synthesizer: Synthesizer, model: Path) -> dict[str, Any]:
    """The facts in the sidecars of all sounds of a model."""
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
    """Compute one batch after the other, and write each while the next ones are computed; gives their sizes."""
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
    """The same by joblib's workers, who write the files themselves, so that no one machine is the limit."""

    def tasks() -> Iterator[tuple[list[Batch], Path, str, Destination]]:
        pending = iter(batches)
        while task := list(islice(pending, _BATCHES_A_TASK)):
            yield task, model.absolute(), sha256, destination

    yield from in_order(_render, tasks(), None)


def _render(batches: list[Batch], model: Path, sha256: str, destination: Destination) -> int:
    synthesizer = load_verified(model, sha256).to(precision=destination.output.precision)
    return sum(render_here(batches, synthesizer, destination))


def compute(synthesizer: Synthesizer, batch: Batch) -> np.ndarray:
    """The clips (B, C, T) of a batch.

    Raises:
        FauxleyError: they are no finite numbers, or memory is too small.
    """
    latents = np.stack([request.latent.numpy() for request in batch])
    labels = torch.stack([request.labels for request in batch])
    with in_memory("lower the batch size"):
        clips = synthesizer.generate(latents=latents, labels=labels, batch_size=len(batch)).numpy()
    require_finite(clips)
    return clips


def require_finite(clips: np.ndarray, model: str = "this model") -> None:
    """Check that what a model has made are sounds.

    Raises:
        FauxleyError: they are no finite numbers.
    """
    if not np.isfinite(clips).all():
        raise FauxleyError(f"{model} makes no sounds: what comes out of it are not finite numbers")
