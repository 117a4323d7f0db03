"""A synthesizer is all that making a sound needs: generator, representation and sample rate.

It is what is saved, shared and served, as a folder of two files: `config.json` says what it is, and
`model.safetensors` holds the weights, which are data and nothing else. Whoever opens a stranger's folder runs none of
the stranger's code.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fauxley.errors import FauxleyError, UsageError
from fauxley.machine import usable
from fauxley.models.architecture import Architecture
from fauxley.models.conditioning import Labels, label_weights
from fauxley.models.cost import require_affordable, require_playable
from fauxley.models.draws import Draws
from fauxley.models.network import AutoregressiveGenerator, Network
from fauxley.models.packed import PackedLayers
from fauxley.models.precision import DTYPES, Precision, Settled, choose_precision
from fauxley.models.representations import Representation
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.models.weights import Stored, read_weights, write_weights
from fauxley.runs import MODEL_CONFIG_FILE, MODEL_WEIGHTS_FILE, model_folders
from fauxley.serialization import UnknownFieldError, from_json, read_versioned, reading, to_json
from fauxley.storage import atomic_folder

FORMAT_VERSION = 1
ARCHITECTURES = (WaveGAN, SpecGAN, WaveNet)
_MOST_CONFIG = 1 << 20  # bytes


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from; travels with it and with every sound it makes."""

    preset: str = ""
    step: int = 0
    dataset: str = ""
    license: str = ""
    fauxley_version: str = ""
    begun_from: str = ""
    """The model that its training began from, if it was not random weights."""


@dataclass
class Synthesizer:
    """Makes sounds from latents, and from labels if the model has learnt any.

    Args:
        architecture: sizes of the networks.
        generator: latents (B, latent_size) to features.
        representation: features to audio.
        sample_rate: of the audio, in Hz.
    """

    architecture: Architecture
    generator: nn.Module
    representation: Representation
    sample_rate: int
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        self.generator.eval()
        self._packed = PackedLayers()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that sounds can be asked for; none: the model is not conditional."""
        return self.architecture.known_labels

    @property
    def device(self) -> torch.device:
        """Where sounds are computed."""
        return next(self.generator.parameters()).device

    def to(self, device: torch.device | str | None = None, *, precision: Precision | None = None) -> "Synthesizer":
        """Move the networks to a device, or choose how exactly the generator computes, and return self.

        Args:
            precision: of the signals between the generator's layers. "bfloat16" takes half the time on processors that
                have it and makes nearly the same sounds, not the very same; weights stay as they are. "auto" is
                bfloat16 where it is fast, else float32: which one, `precision` tells.

        Raises:
            UsageError: no such device here; no such precision, or not for this model.
        """
        if device is not None:
            device = usable(device)
            self.generator.to(device)
            self.representation.to(device)
        if precision is not None:
            self._compute_in(precision)
        return self

    @property
    def precision(self) -> Settled:
        """What the signals between the generator's layers are computed in."""
        narrow = isinstance(self.generator, Network) and self.generator.precision == torch.bfloat16
        return "bfloat16" if narrow else "float32"

    def _compute_in(self, precision: Precision) -> None:
        if isinstance(self.generator, AutoregressiveGenerator):
            if precision not in ("auto", "float32"):
                raise UsageError(
                    "models that make one sample after another compute in float32 only; leave precision out"
                )
            return
        choice = choose_precision(precision, self.device)
        if choice.warning:
            warnings.warn(choice.warning, stacklevel=3)
        if isinstance(self.generator, Network):
            self.generator.precision = DTYPES[choice.precision]

    def generate(
        self,
        count: int | None = None,
        seed: int = 0,
        *,
        latents: Tensor | np.ndarray | None = None,
        labels: Labels | None = None,
        batch_size: int = 16,
    ) -> Tensor:
        """Make sounds: (N, C, T) float32 on the CPU.

        Sound n is a function of `seed + n` and its label alone, so the same seed is the same sound however many are
        asked for.

        Args:
            count: N; without it, one sound for each row of `latents` or each of a sequence of labels, or one.
            seed: of the first sound, 0 or more.
            latents: (N, latent_size), instead of seeds.
            labels: of the sounds, if the model has learnt any: a label for all, a sequence of N labels, a mapping from
                labels to the shares of a mixture for all, or weights (N, L) whose rows sum to 1. None, or "all": the
                labels in turn, by seed or row, so that seed s has label s modulo L.
            batch_size: sounds computed at a time; changes memory and speed, and sounds by rounding errors alone. 16
                suits a CPU, more suits a GPU.

        Raises:
            UsageError: a negative count or seed, latents of another shape, or labels that the model does not have.
        """
        if latents is None:
            if count is None:
                count = 1 if labels is None or isinstance(labels, (str, Mapping)) else len(labels)
            latents = self.latents(range(seed, seed + _at_least(0, count, "count")))
            labels = self.label_weights(labels, len(latents), seed)
        elif count is not None:
            raise UsageError("give count or latents, not both")
        return torch.cat([*self.stream(latents, batch_size, labels), torch.empty(0, *self._shape())])

    def stream(
        self, latents: Tensor | np.ndarray, batch_size: int = 16, labels: Labels | None = None
    ) -> Iterator[Tensor]:
        """`generate` for any number of latents (N, latent_size) in constant memory: audio (<= batch_size, C, T)."""
        z = self.check_latents(latents)
        weights = self.label_weights(labels, len(z))
        _at_least(1, batch_size, "batch_size")
        batches = zip(torch.split(z, batch_size), torch.split(weights, batch_size), strict=True) if len(z) else ()
        for batch in batches:
            with torch.inference_mode():
                generator = self._packed.copy(self.generator)
                inputs = [part.to(self.device) for part in (batch if self.labels else batch[:1])]
                audio: Tensor = self.representation.to_audio(generator(*inputs))
            yield audio.to("cpu", copy=True)  # a tensor that training may use, which those of inference mode are not

    def label_weights(self, labels: Labels | None, count: int, first: int = 0) -> Tensor:
        """The weights (count, L) of the labels of sounds, of which `first` is the first one's seed.

        Args:
            labels: see `generate`.

        Raises:
            UsageError: labels that the model does not have.
        """
        return label_weights(labels, self.labels, count, first)

    def latents(self, seeds: Sequence[int]) -> Tensor:
        """The latent of each seed: (N, latent_size)."""
        if any(seed < 0 for seed in seeds):
            raise UsageError(f"seeds must be 0 or more; got {min(seeds)}")
        size = self.architecture.latent_size
        return torch.cat([torch.empty(0, size), *(Draws(seed).latents(1, size) for seed in seeds)])

    def save(self, folder: Path | str, stored: Stored = "float32") -> Path:
        """Write a model folder, whole or not at all.

        Args:
            stored: how weights are kept in the file; float16 halves it and makes nearly the same sounds.

        Raises:
            FileExistsError: `folder` has something in it.
            FauxleyError: weights too large for float16.
        """
        with atomic_folder(Path(folder)) as partial:
            self.write(partial, stored)
        return Path(folder)

    def write(self, folder: Path, stored: Stored = "float32") -> None:
        """Write the files of a model into an existing folder."""
        sha256 = write_weights(folder / MODEL_WEIGHTS_FILE, _modules(self.generator, self.representation), stored)
        config = {
            "format_version": FORMAT_VERSION,
            "architecture": to_json(self.architecture),
            "sample_rate": self.sample_rate,
            "weights": stored,
            "weights_sha256": sha256,
            "provenance": to_json(self.provenance),
        }
        (folder / MODEL_CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls, path: Path | str, device: torch.device | str = "cpu", precision: Precision = "float32"
    ) -> "Synthesizer":
        """Load a model folder, or a run folder: its recorded best checkpoint, else the newest good one.

        Args:
            precision: see `to`.

        Raises:
            FauxleyError: nothing there, another format version, or damaged files.
            UsageError: no such device here; no such precision, or not for this model.
        """
        candidates = model_folders(Path(path))
        for folder in candidates[:-1]:
            try:
                found = _read(folder)
            except FauxleyError as error:
                kind = "checkpoint of another version" if isinstance(error, UnknownFieldError) else "damaged checkpoint"
                warnings.warn(f"passing over a {kind}: {error}", stacklevel=2)
            else:
                return found.to(device, precision=precision)
        return _read(candidates[-1]).to(device, precision=precision)

    def check_latents(self, latents: Tensor | np.ndarray) -> Tensor:
        """The latents as float32 (N, latent_size).

        Raises:
            UsageError: another shape, or numbers that are not finite.
        """
        z = torch.as_tensor(latents)
        size = self.architecture.latent_size
        if z.dim() != 2 or z.shape[1] != size or not (z.is_floating_point() and torch.isfinite(z).all()):
            raise UsageError(f"latents must be finite numbers of shape (N, {size}); got {z.dtype} {tuple(z.shape)}")
        return z.float()

    def _shape(self) -> tuple[int, int]:
        return self.architecture.channels, self.architecture.clip_length


def load(path: Path | str, device: torch.device | str = "cpu", precision: Precision = "auto") -> Synthesizer:
    """Load a model: a run folder (its best checkpoint if one is recorded, else the newest) or a model folder.

    It computes in bfloat16 where that is fast, which makes nearly the same sounds in half the time, else in float32.
    Give `precision="float32"` for sounds that are the same on every machine but for rounding errors; see
    `Synthesizer.to`.
    """
    return Synthesizer.from_pretrained(path, device, precision)


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder, checked to be of a version this program reads.

    Raises:
        FauxleyError: it is damaged, or of another version.
    """
    return read_versioned(folder / MODEL_CONFIG_FILE, "model", (FORMAT_VERSION,), _MOST_CONFIG)


def _read(folder: Path) -> Synthesizer:
    config = read_config(folder)
    with reading(f"{folder} is not a usable model"):
        architecture: Architecture = from_json(config["architecture"], ARCHITECTURES)
        require_affordable(architecture)
        sample_rate = config["sample_rate"]
        if type(sample_rate) is not int:
            raise FauxleyError(f"sample_rate must be a whole number; got {sample_rate!r:.60}")
        require_playable(architecture.clip_length, architecture.channels, sample_rate)
        provenance: Provenance = from_json(config["provenance"], (Provenance,))
        # Without storage: what a stranger's sizes ask for is allocated only if the weight file holds as much.
        with torch.device("meta"):
            generator, representation = architecture.generator(), architecture.representation()
        modules, stored = _modules(generator, representation), config.get("weights", "float32")
        read_weights(folder / MODEL_WEIGHTS_FILE, modules, config["weights_sha256"], stored)
    return Synthesizer(architecture, generator, representation, sample_rate, provenance)


def _modules(generator: nn.Module, representation: nn.Module) -> dict[str, nn.Module]:
    return {"generator": generator, "representation": representation}


def _at_least(least: int, value: int, name: str) -> int:
    if value < least:
        raise UsageError(f"{name} must be at least {least}; got {value}")
    return value
