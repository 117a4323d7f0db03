"""A model as one function from latents to audio, made of operations that every program for networks supports.

Two things that others do not support are replaced by something that computes the same:

- **Fast kernels** are replaced by plain convolutions: build and run the function within `fauxley.kernels.use("plain")`.
- **Complex numbers and fast Fourier transforms** are replaced by convolutions with sines and cosines. That takes about
  ten times as many products for a window of 256 samples.

Letters: B batch, C channels, N window length, H hop length, K = N/2 + 1 bins, F frames, T = (F - 1) H + N samples.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fauxley import __version__, kernels
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.models.network import AutoregressiveGenerator
from fauxley.models.phase_inversion import LearnedInversion
from fauxley.models.representations import Representation
from fauxley.models.synthesizer import Synthesizer
from fauxley.signal.stft import hann_window

_MOST_ITERATIONS = 256  # a graph contains each iteration separately
_MOMENTUM = 0.99  # of the iterations after a network that estimates phases


@dataclass(frozen=True)
class Agreement:
    """How near a graph's audio is to PyTorch's for several seeds: the largest difference, relative to the loudest
    sample, and the signal-to-error ratio in dB."""

    largest_difference: float
    signal_to_error_db: float

    def rounded(self) -> dict[str, float]:
        """The figures, rounded for a file."""
        difference = float(f"{self.largest_difference:.3g}")
        return {"largest_difference": difference, "signal_to_error_db": round(self.signal_to_error_db, 1)}


class PortableModel(nn.Module):
    """Turns latents (B, latent_size), and labels (B, L) in a conditional model, into audio (B, C, T).

    It shares its weights with the synthesizer that it is made from.

    Raises:
        UsageError: the model draws one sample after another, or needs very many iterations.
    """

    def __init__(self, synthesizer: Synthesizer) -> None:
        super().__init__()
        if isinstance(synthesizer.generator, AutoregressiveGenerator):
            raise UsageError(
                "a model that draws one sample after another is no graph of fixed size; export a WaveGAN or a SpecGAN"
            )
        self.generator = synthesizer.generator
        self.to_audio = _portable(synthesizer.representation)
        self.eval()

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.generator(latents) if labels is None else self.generator(latents, labels)
        audio: Tensor = self.to_audio(features)
        return audio


@dataclass(frozen=True)
class Inputs:
    """The inputs of a graph: latents (N, latent_size) and, for a conditional model, labels (N, L)."""

    latents: Tensor
    labels: Tensor

    @classmethod
    def of_seeds(cls, synthesizer: Synthesizer, seeds: range) -> "Inputs":
        """The inputs for seeds; labels take turns, as they do by default."""
        return cls(synthesizer.latents(seeds), synthesizer.label_weights(None, len(seeds), seeds.start))

    def __getitem__(self, place: slice) -> "Inputs":
        return Inputs(self.latents[place], self.labels[place])

    @property
    def named(self) -> dict[str, Tensor]:
        """The tensors by the names of a graph's inputs, in order."""
        return {"latents": self.latents, **({"labels": self.labels} if self.labels.shape[1] else {})}

    def reference(self, synthesizer: Synthesizer) -> NDArray[np.float32]:
        """PyTorch's sounds for these inputs: (N, C, T)."""
        audio: NDArray[np.float32] = synthesizer.generate(latents=self.latents, labels=self.labels).numpy()
        return audio


def _portable(representation: Representation) -> nn.Module:
    if isinstance(representation, LogSpectrogram):
        return PortableSpectrogram(representation)
    return _ToAudio(representation)


class _ToAudio(nn.Module):
    """The `to_audio` of a representation."""

    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.representation = representation

    def forward(self, features: Tensor) -> Tensor:
        return self.representation.to_audio(features)


class PortableSpectrogram(nn.Module):
    """The `to_audio` of a `LogSpectrogram`, of bins or bands: features to audio (B, C, clip_length)."""

    phases: Tensor
    analysis: Tensor
    synthesis: Tensor
    gain: Tensor

    def __init__(self, representation: LogSpectrogram) -> None:
        super().__init__()
        inversion = representation.inversion
        iterations = representation.iterations if inversion is None else inversion.iterations
        if iterations > _MOST_ITERATIONS:
            raise UsageError(f"{iterations} iterations of Griffin-Lim are too many for a graph: {_MOST_ITERATIONS} are")
        self.representation = representation
        self.iterations = iterations
        self.momentum = representation.momentum if inversion is None else _MOMENTUM
        self.hop_length = representation.hop_length
        length = representation.window_length
        window = hann_window(length, torch.empty(0, dtype=torch.float64))
        bins, samples = torch.arange(length // 2 + 1), torch.arange(length)
        angle = (bins[:, None] * samples % length).double() * (2 * math.pi / length)
        waves = torch.cat([torch.cos(angle), -torch.sin(angle)]) * window  # (2K, N), real parts first
        # An inverse transform counts all bins except the first and the last twice, for their mirror images.
        share = torch.full((len(bins),), 2 / length, dtype=torch.float64)
        share[0] = share[-1] = 1 / length
        gain = torch.ones(1, dtype=torch.float64)
        if representation.compensate or inversion is not None:
            frames = torch.ones(1, 1, representation.frames, dtype=torch.float64)
            gain = 1 / F.conv_transpose1d(frames, window.square()[None, None], stride=self.hop_length).clamp(min=1e-3)
            if inversion is None:  # Griffin-Lim keeps the lead silent
                gain[..., : representation.lead] = 0
        phases = representation.first_phases(torch.empty(representation.frames, len(bins)))
        for name, value in (
            ("phases", torch.zeros(len(bins), 1) if phases is None else phases.T),
            ("analysis", waves[:, None]),
            ("synthesis", (share.repeat(2)[:, None] * waves)[:, None]),
            ("gain", gain),
        ):
            self.register_buffer(name, value.float(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        magnitude = self.representation.to_magnitude(features)  # (B, C, F, K)
        inversion = self.representation.inversion
        wanted = magnitude.flatten(0, 1).transpose(1, 2)  # (B·C, K, F)
        if inversion is None:
            spectrum = torch.cat([wanted * self.phases.cos(), wanted * self.phases.sin()], dim=1)
        else:
            spectrum = self._first(inversion, magnitude, wanted)
        audio = self._griffin_lim(spectrum, wanted)
        return self.representation.to_clip(audio.view(-1, features.shape[1], audio.shape[-1]))

    def _first(self, inversion: LearnedInversion, magnitude: Tensor, wanted: Tensor) -> Tensor:
        """The spectrum (B·C, 2K, F) with the phases of a network."""
        vectors = inversion.vectors(magnitude).flatten(0, 1)  # (B·C, F, 2, K)
        return _with_magnitude(vectors.flatten(2).transpose(1, 2), wanted)

    def _griffin_lim(self, spectrum: Tensor, magnitude: Tensor) -> Tensor:
        """`fauxley.signal.griffin_lim`, with real parts above imaginary parts: (B·C, 2K, F) to (B·C, T)."""
        previous = torch.zeros_like(spectrum)
        for _ in range(self.iterations):
            consistent = self._stft(self._istft(spectrum))
            ahead = consistent + self.momentum * (consistent - previous) if self.momentum else consistent
            spectrum = _with_magnitude(ahead, magnitude)
            previous = consistent
        return self._istft(spectrum)[:, 0]

    def _stft(self, audio: Tensor) -> Tensor:
        """(B·C, 1, T) to (B·C, 2K, F)."""
        return F.conv1d(audio, self.analysis, stride=self.hop_length)

    def _istft(self, spectrum: Tensor) -> Tensor:
        """(B·C, 2K, F) to (B·C, 1, T)."""
        return F.conv_transpose1d(spectrum, self.synthesis, stride=self.hop_length) * self.gain


def _with_magnitude(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """A spectrum (B·C, 2K, F) with its phases and other magnitudes (B·C, K, F)."""
    real, imaginary = spectrum.chunk(2, dim=1)
    scale = magnitude * (real * real + imaginary * imaginary).clamp(min=1e-16).rsqrt()
    return torch.cat([real * scale, imaginary * scale], dim=1)


def describe(synthesizer: Synthesizer) -> dict[str, Any]:
    """The description of a model for players."""
    architecture, about = synthesizer.architecture, synthesizer.provenance
    return {
        "made_by": f"fauxley {__version__}",
        "architecture": type(architecture).__name__,
        "sample_rate": synthesizer.sample_rate,
        "channels": architecture.channels,
        "clip_length": architecture.clip_length,
        "latent_size": architecture.latent_size,
        "latent_prior": "uniform in [-1, 1]",
        "labels": list(synthesizer.labels),
        "preset": about.preset,
        "step": about.step,
        "training_data": about.dataset,
        "license_of_training_data": about.license,
    }


def allowed_difference(synthesizer: Synthesizer, inputs: Inputs) -> float:
    """How far audio for these inputs may be from PyTorch's if another program computes it.

    The limit is ten times the change by rounding to float32, and at least 1e-4 of the loudest sample. Rounding hardly
    matters after convolutions, but iterations of Griffin-Lim amplify it where a spectrum is nearly zero.
    """
    doubles = [each.double().to(synthesizer.device) for each in inputs.named.values()]
    with kernels.use("plain"), torch.no_grad():
        exact = copy.deepcopy(PortableModel(synthesizer)).double()(*doubles)
    rounding = agreement_of(exact.cpu().numpy(), inputs.reference(synthesizer))
    return max(1e-4, 10 * rounding.largest_difference)


def require_agreement(agreement: Agreement, synthesizer: Synthesizer, inputs: Inputs, where: str) -> None:
    """Check that another program's audio equals PyTorch's except for rounding.

    Raises:
        FauxleyError: it differs by more than `allowed_difference`.
    """
    if not agreement.largest_difference <= allowed_difference(synthesizer, inputs):
        raise FauxleyError(
            f"{where} makes other sounds with this model than PyTorch: they differ by "
            f"{agreement.largest_difference:.1g} of the loudest sample; nothing was written"
        )


def agreement_of(audio: NDArray[np.floating[Any]], reference: NDArray[np.float32]) -> Agreement:
    """How near audio is to a reference of the same shape."""
    error = audio.astype(np.float64) - reference
    loudest = max(float(np.abs(reference).max()), 1e-30)
    power, noise = float(np.square(reference, dtype=np.float64).sum()), float(np.square(error).sum())
    return Agreement(float(np.abs(error).max()) / loudest, 10 * math.log10(max(power, 1e-30) / max(noise, 1e-30)))
