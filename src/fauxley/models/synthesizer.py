"""The synthesizer: generator, representation and sample rate, which is all that making sounds needs.

A model is saved and shared as a folder of two files: `config.json` with its sizes and origin, and `model.safetensors`
with its weights. Both hold data only: opening a stranger's folder never runs the stranger's code.
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
    """The origin of a model. It is saved with the model and beside every sound that the model makes."""

    preset: str = ""
    step: int = 0
    dataset: str = ""
    license: str = ""
    fauxley_version: str = ""
    begun_from: str = ""
    """The model that training started from; empty if it started from random weights."""


@dataclass
class Synthesizer:
    """Makes sounds from latents, and from labels if the model is conditional.

    Args:
        architecture: the sizes of the networks.
        generator: turns latents (B, latent_size) into features.
        representation: turns features into audio.
        sample_rate: of the audio, in Hz.
        provenance: the origin of the model.
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
        """The labels that a conditional model knows; empty for an unconditional one."""
        return self.architecture.known_labels

    @property
    def device(self) -> torch.device:
        """The device on which sounds are computed."""
        return next(self.generator.parameters()).device

    def to(self, device: torch.device | str | None = None, *, precision: Precision | None = None) -> "Synthesizer":
        """Move the networks to a device, or choose the generator's precision, and return self.

        Args:
            device: to compute on; None leaves it as it is.
            precision: of the signals between the generator's layers; None leaves it as it is. "bfloat16" takes half the
                time on processors that support it and makes nearly, not exactly, the same sounds; weights stay in
                float32. "auto" chooses bfloat16 where it is fast, and float32 otherwise, and for models that search for
                phases (Griffin-Lim), which turns rounding errors into other samples.

        Raises:
            UsageError: the device is not on this machine; there is no such precision, or the model does not support it.
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
        """The precision of the signals between the generator's layers."""
        narrow = isinstance(self.generator, Network) and self.generator.precision == torch.bfloat16
        return "bfloat16" if narrow else "float32"

    def _compute_in(self, precision: Precision) -> None:
        if isinstance(self.generator, AutoregressiveGenerator):
            if precision not in ("auto", "float32"):
                raise UsageError(
                    "models that draw one sample after another compute in float32 only; leave precision out"
                )
            return
        choice = choose_precision(precision, self.device, self.representation.searches_phases)
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

        Sound n depends only on `seed + n` and its label, so a seed gives the same sound however many are made at once.

        Args:
            count: N. By default one sound for each row of `latents` or each label of a sequence, otherwise one.
            seed: of the first sound, 0 or more.
            latents: (N, latent_size), instead of seeds.
            labels: for a conditional model: one label for all sounds, a sequence of N labels, a mapping from labels to
                the shares of a mixture for all sounds, or weights (N, L) whose rows sum to 1. None or "all" takes the
                labels in turn, by seed or row: seed s has label s modulo L.
            batch_size: sounds computed at a time. It affects memory and speed, and sounds only by rounding errors. 16
                suits a CPU, more suits a GPU.

        Raises:
            UsageError: count or seed is negative, latents have a wrong shape, or the model does not have a label.
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
        """Make the sounds of latents (N, latent_size) in constant memory, batch by batch: (<= batch_size, C, T)."""
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
        """Convert labels to weights (count, L).

        Args:
            labels: see `generate`.
            count: the number of sounds.
            first: the seed of the first sound.

        Raises:
            UsageError: the model does not have a label.
        """
        return label_weights(labels, self.labels, count, first)

    def latents(self, seeds: Sequence[int]) -> Tensor:
        """The latents of seeds: (N, latent_size)."""
        if any(seed < 0 for seed in seeds):
            raise UsageError(f"seeds must be 0 or more; got {min(seeds)}")
        size = self.architecture.latent_size
        return torch.cat([torch.empty(0, size), *(Draws(seed).latents(1, size) for seed in seeds)])

    def save(self, folder: Path | str, stored: Stored = "float32") -> Path:
        """Write a model folder, completely or not at all.

        Args:
            folder: a new or empty folder.
            stored: the precision of the weights in the file; float16 halves it and makes nearly the same sounds.

        Raises:
            FileExistsError: `folder` is not empty.
            FauxleyError: a weight is too large for float16.
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
            FauxleyError: there is no model, it has another format version, or its files are damaged.
            UsageError: the device is not on this machine; there is no such precision, or the model does not support it.
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
        """Check latents and convert them to float32 (N, latent_size).

        Raises:
            UsageError: the shape is another, or a number is not finite.
        """
        z = torch.as_tensor(latents)
        size = self.architecture.latent_size
        if z.dim() != 2 or z.shape[1] != size or not (z.is_floating_point() and torch.isfinite(z).all()):
            raise UsageError(f"latents must be finite numbers of shape (N, {size}); got {z.dtype} {tuple(z.shape)}")
        return z.float()

    def _shape(self) -> tuple[int, int]:
        return self.architecture.channels, self.architecture.clip_length


def load(path: Path | str, device: torch.device | str = "cpu", precision: Precision = "auto") -> Synthesizer:
    """Load a model from a run folder (its best checkpoint if one is recorded, otherwise the newest) or a model folder.

    A model that makes samples computes in bfloat16 where that is fast, which makes nearly the same sounds in half the
    time. With `precision="float32"`, and always if it searches for phases, its sounds are the same on every machine,
    except for rounding errors. See `Synthesizer.to`.
    """
    return Synthesizer.from_pretrained(path, device, precision)


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json` of a model folder.

    Raises:
        FauxleyError: it is damaged, or this program does not read its version.
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
        # No storage yet: what a stranger's sizes ask for is allocated only if the weight file holds as much.
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
