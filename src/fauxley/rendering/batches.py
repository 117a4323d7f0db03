"""Computing batches of sounds and writing their files, in this process or on a cluster.

A sound may differ by a rounding error when others surround it in its batch. So a batch is always the same sounds, and
is made anew as a whole: a job that was interrupted, or spread over a cluster, ends in the same bytes as any other.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fauxley.errors import FauxleyError
from fauxley.machine import in_memory
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import load_verified
from fauxley.parallel import in_order
from fauxley.rendering.output import Output
from fauxley.sounds.writing import write_audio

_WRITERS = 4  # threads: they wait for the disk more than they compute
_WAITING = 8  # batches at most, between computing and the disk
_BATCHES_A_TASK = 4  # of a worker of a cluster
_IN_SIDECAR = 1024  # numbers of a latent; a WaveNet has one for each sample: those are in latents.npy only


@dataclass(frozen=True)
class SoundRequest:
    """A sound to make: its latent (latent_size,), its file's name without ending, and what its sidecar adds."""

    latent: Tensor
    name: str
    facts: Mapping[str, Any]


Batch = Sequence[SoundRequest]


def from_seeds(synthesizer: Synthesizer, seeds: range) -> Iterator[SoundRequest]:
    """One request per seed, named by it."""
    for seed in seeds:
        yield SoundRequest(synthesizer.latents([seed])[0], f"seed-{seed:08d}", {"seed": seed})


@dataclass(frozen=True)
class Destination:
    """The folder that sounds go to, the form that they are written in, and the facts for all their sidecars."""

    out: Path
    output: Output
    about: Mapping[str, Any]

    def files(self, request: SoundRequest) -> list[str]:
        """The names of the files that a sound consists of."""
        return [f"{request.name}.{suffix}" for suffix in (self.output.format, *self.output.sidecar_suffixes)]

    def facts(self, request: SoundRequest) -> dict[str, Any]:
        """The facts in a sidecar."""
        latent = {"latent": request.latent.tolist()} if len(request.latent) <= _IN_SIDECAR else {}
        return {**self.about, **request.facts, **latent}

    def write(self, batch: Batch, clips: np.ndarray, sample_rate: int) -> None:
        """Write the files of clips (B, C, T)."""
        for request, clip in zip(batch, clips, strict=True):
            audio, rate = self.output.finish(clip, sample_rate)
            facts = self.facts(request) if self.output.sidecar_suffixes else None
            path = self.out / f"{request.name}.{self.output.format}"
            write_audio(path, audio, rate, self.output.subtype, facts, ceiling=self.output.ceiling)


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
            clips = _compute(synthesizer, batch)
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


def _compute(synthesizer: Synthesizer, batch: Batch) -> np.ndarray:
    latents = np.stack([request.latent.numpy() for request in batch])
    with in_memory("lower --batch-size"):
        clips = synthesizer.generate(latents=latents, batch_size=len(batch)).numpy()
    if not np.isfinite(clips).all():
        raise FauxleyError("this model makes no sounds: what comes out of it are not finite numbers")
    return clips
