"""From a model's latents to files in a folder, one batch after another in constant memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import soxr
import tyro
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from fauxley.apps.devices import in_memory
from fauxley.atomic import atomic_file
from fauxley.audio.cleaning import Cleaning
from fauxley.audio.files import write_audio
from fauxley.audio.plots import write_sheet
from fauxley.errors import UsageError
from fauxley.models.synthesizer import Synthesizer

_ON_SHEET = 32
_IN_SIDECAR = 1024  # numbers of a latent; a WaveNet has one for each sample: those are in latents.npy only


@dataclass(frozen=True)
class Output:
    """How sounds become files."""

    format: Literal["wav", "flac", "ogg"] = "wav"
    """Kind of file."""
    subtype: Literal["PCM_16", "PCM_24", "FLOAT", "VORBIS"] | None = None
    """Encoding; by default 16 bits, or Vorbis for ogg."""
    sample_rate: int | None = None
    """Hz; by default the model's."""
    clean: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Make usable one-shots: DC removed, silence trimmed, end faded, peak at -1 dB; see --cleaning."""
    cleaning: Cleaning = field(default_factory=Cleaning)
    """What --clean does."""
    sheet: bool = True
    """Draw the first sounds on sheet.png."""
    sidecars: bool = True
    """Write a JSON file beside each sound: model, seed, latent, licence."""
    batch_size: int = 32
    """Sounds computed at a time."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write into a folder that has something in it, replacing files of the same name."""
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Say nothing."""

    def __post_init__(self) -> None:
        if self.sample_rate is not None and not 1000 <= self.sample_rate <= 384_000:
            raise UsageError(f"sample_rate must be from 1000 to 384000 Hz; got {self.sample_rate}")
        if self.batch_size < 1:
            raise UsageError(f"batch_size must be at least 1; got {self.batch_size}")

    def finish(self, clip: np.ndarray, sample_rate: int) -> tuple[np.ndarray, int]:
        """A generated clip (C, T) as it is to be written, and its sample rate."""
        if self.clean:
            clip = self.cleaning.apply(clip, sample_rate)
        if self.sample_rate is None or self.sample_rate == sample_rate:
            return clip, sample_rate
        return soxr.resample(clip.T, sample_rate, self.sample_rate, quality="HQ").T, self.sample_rate


@dataclass(frozen=True)
class Request:
    """A sound to make: its latent (latent_size,), its file's name without ending, and what its sidecar adds."""

    latent: Tensor
    name: str
    facts: Mapping[str, Any]


def write_sounds(
    synthesizer: Synthesizer, model: Path, requests: Iterable[Request], count: int, out: Path, output: Output
) -> list[Path]:
    """Make the sounds of `count` requests and write them, `latents.npy` and a sheet into the folder `out`.

    Raises:
        UsageError: `out` has something in it and is not to be overwritten.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not output.overwrite:
        raise UsageError(f"{out} has something in it; choose another --out, or give --overwrite")
    out.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    latents: list[np.ndarray] = []
    shown: list[np.ndarray] = []
    rate = synthesizer.sample_rate
    console = Console(stderr=True)
    with Progress(console=console, disable=output.quiet or not console.is_terminal) as progress:
        for request, clip in progress.track(_make(synthesizer, requests, output.batch_size), total=count):
            path = out / f"{request.name}.{output.format}"
            audio, audio_rate = output.finish(clip, rate)
            facts = _sidecar(synthesizer, model, request) if output.sidecars else None
            write_audio(path, audio, audio_rate, output.subtype, facts)
            paths.append(path)
            latents.append(request.latent.numpy())
            if len(shown) < _ON_SHEET:
                shown.append(clip)
    with atomic_file(out / "latents.npy") as partial:
        np.save(partial, np.array(latents, np.float32).reshape(len(latents), -1))
    if output.sheet and shown:
        captions = {"generated": [path.stem for path in paths[: len(shown)]]}
        write_sheet(out / "sheet.png", {"generated": np.stack(shown)}, rate, captions=captions)
    if not output.quiet:
        print(f"{len(paths)} sounds in {out}")
    return paths


def _make(
    synthesizer: Synthesizer, requests: Iterable[Request], batch_size: int
) -> Iterator[tuple[Request, np.ndarray]]:
    """Each request with its clip (C, T)."""
    pending = iter(requests)
    while batch := list(islice(pending, batch_size)):
        with in_memory("lower --batch-size"):
            clips = synthesizer.generate(latents=np.stack([request.latent.numpy() for request in batch]))
        yield from zip(batch, clips.numpy(), strict=True)


def _sidecar(synthesizer: Synthesizer, model: Path, request: Request) -> dict[str, Any]:
    source = synthesizer.provenance
    return {
        "model": str(model),
        "preset": source.preset,
        "step": source.step,
        "dataset": source.dataset,
        "license_of_training_data": source.license,
        "fauxley_version": source.fauxley_version,
        **request.facts,
        **({"latent": request.latent.tolist()} if len(request.latent) <= _IN_SIDECAR else {}),
    }
