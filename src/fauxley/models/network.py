"""What every network offers to training and synthesis, and how its weights begin."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.models.conditioning import LabelEmbedding, LabelProjection
from fauxley.models.draws import Draws

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class Network(nn.Module):
    """A network whose convolutions can be computed in less precision than its weights are kept in.

    Attributes:
        precision: of the signals between the layers; everything before the first and after the last is in float32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.precision = torch.float32

    def _narrow(self, x: Tensor) -> Tensor:
        """A signal on its way into the convolutions."""
        return x if self.precision == torch.float32 else x.to(self.precision)

    def _widen(self, x: Tensor) -> Tensor:
        """A signal that leaves them."""
        return x if self.precision == torch.float32 else x.float()


class Generator(Network, ABC):
    """A network that turns latents (B, latent_size), and weights of labels if it knows any, into features."""

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    @abstractmethod
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Features of latents (B, latent_size); of a conditional model with labels (B, L)."""

    def given(self, labels: Tensor) -> "LabelledGenerator":
        """This generator for latents whose labels are these (B, L)."""
        return LabelledGenerator(self, labels)


@dataclass(frozen=True)
class LabelledGenerator:
    """A conditional generator with the labels (B, L) of a batch: a function of latents alone, as others are."""

    generator: Generator
    labels: Tensor

    @property
    def latent_size(self) -> int:
        return self.generator.latent_size

    def __call__(self, z: Tensor) -> Tensor:
        features: Tensor = self.generator(z, self.labels)
        return features


class DenseStart(Generator):
    """A generator that begins with a dense layer, to whose output a conditional one adds the labels' embedding.

    Args:
        out_features: of the dense layer.
        num_labels: L; 0: it is not conditional.
    """

    def __init__(self, latent_size: int, out_features: int, num_labels: int) -> None:
        super().__init__(latent_size)
        self.dense = nn.Linear(latent_size, out_features)
        self.num_labels = num_labels

    def add_embedding(self) -> None:
        """Add the embedding, behind all other layers, so that these begin as they would without."""
        if self.num_labels:
            self.embed = LabelEmbedding(self.num_labels, self.dense.out_features)

    def places_in(self, other: "DenseStart") -> Tensor:
        """For each number of the first signal, its place in that of another generator of this kind: (out_features,)."""
        return torch.arange(self.dense.out_features)

    def start(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The first signal (B, out_features).

        Raises:
            UsageError: labels of another number than the model has.
        """
        columns = 0 if labels is None else labels.shape[1]
        if columns != self.num_labels:
            raise UsageError(f"this generator takes weights of {self.num_labels} labels; got {columns}")
        x: Tensor = self.dense(z)
        return x + self.embed(labels) if columns else x


class AutoregressiveGenerator(Generator):
    """A generator of sample after sample, each drawn from a distribution given those before.

    The latent (B, T) is what each of T samples is drawn by: any T, not only the clip's length.
    """

    @abstractmethod
    def bits_per_sample(self, features: Tensor) -> Tensor:
        """Mean negative log₂ likelihood of the samples of real features (B, ...), each given all before it: (B,)."""

    @abstractmethod
    def naive(self, z: Tensor) -> Tensor:
        """What `forward` gives, with everything computed anew for each sample: to compare with."""


def initialize(module: ModuleT, draws: Draws | None) -> ModuleT:
    """Set weights as TensorFlow 1 does by default: Glorot's uniform distribution, biases zero.

    The variance is 2 / (fan_in + fan_out), both counted over all taps, whatever the direction of the convolution.
    """
    if draws is None:
        return module
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                limit = math.sqrt(6 / _fans(parameter.shape))
                parameter.copy_(draws.uniform(parameter.shape, limit))
            elif name.endswith("bias"):
                parameter.zero_()
        for each in module.modules():
            if isinstance(each, (LabelEmbedding, LabelProjection)):
                each.begin()
    return module


def _fans(shape: torch.Size) -> int:
    """Connections in and out of a weight, added: dense (out, in), audio's (width, in, out), images' (·, ·, k, k)."""
    if len(shape) == 3:
        return shape[0] * (shape[1] + shape[2])
    return (shape[0] + shape[1]) * math.prod(shape[2:])
