"""The base classes of generators and critics, and the initialisation of their weights."""

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
    """A network whose convolutions may run in lower precision than its weights are stored in.

    Attributes:
        precision: of the signals between the layers. Inputs, outputs and the dense layers at the ends are float32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.precision = torch.float32

    def _narrow(self, x: Tensor) -> Tensor:
        """Convert a signal to the convolutions' precision."""
        return x if self.precision == torch.float32 else x.to(self.precision)

    def _widen(self, x: Tensor) -> Tensor:
        """Convert a signal that leaves the convolutions back to float32."""
        return x if self.precision == torch.float32 else x.float()


class Generator(Network, ABC):
    """A network that turns latents (B, latent_size), and labels (B, L) in a conditional model, into features."""

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    @abstractmethod
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate the features of latents (B, latent_size), and of labels (B, L) in a conditional model."""

    def given(self, labels: Tensor) -> "LabelledGenerator":
        """This generator, bound to the labels (B, L) of a batch of latents."""
        return LabelledGenerator(self, labels)


@dataclass(frozen=True)
class LabelledGenerator:
    """A conditional generator bound to the labels (B, L) of a batch; it is used like an unconditional one."""

    generator: Generator
    labels: Tensor

    @property
    def latent_size(self) -> int:
        return self.generator.latent_size

    def __call__(self, z: Tensor) -> Tensor:
        features: Tensor = self.generator(z, self.labels)
        return features


class DenseStart(Generator):
    """A generator that begins with a dense layer, to whose output a conditional one adds an embedding of its labels.

    Args:
        latent_size: numbers in a latent vector.
        out_features: of the dense layer.
        num_labels: L; 0 for an unconditional generator.
    """

    def __init__(self, latent_size: int, out_features: int, num_labels: int) -> None:
        super().__init__(latent_size)
        self.dense = nn.Linear(latent_size, out_features)
        self.num_labels = num_labels

    def add_embedding(self) -> None:
        """Create the label embedding, after all other layers, so that their initial weights are those without it."""
        if self.num_labels:
            self.embed = LabelEmbedding(self.num_labels, self.dense.out_features)

    def places_in(self, other: "DenseStart") -> Tensor:
        """For each feature of the first signal, the index of the matching one in another generator: (out_features,)."""
        return torch.arange(self.dense.out_features)

    def start(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The first signal, dense layer plus label embedding: (B, out_features).

        Raises:
            UsageError: the labels have not as many columns as the model has labels.
        """
        columns = 0 if labels is None else labels.shape[1]
        if columns != self.num_labels:
            raise UsageError(f"this generator takes weights of {self.num_labels} labels; got {columns}")
        x: Tensor = self.dense(z)
        return x + self.embed(labels) if columns else x


class AutoregressiveGenerator(Generator):
    """A generator that draws one sample after another, each from a distribution given the samples before it.

    The latent (B, T) holds the random number by which each of T samples is drawn. T may differ from the clip's length.
    """

    @abstractmethod
    def bits_per_sample(self, features: Tensor) -> Tensor:
        """Mean negative log₂ likelihood of each clip's samples, each given all samples before it: (B, ...) to (B,)."""

    @abstractmethod
    def naive(self, z: Tensor) -> Tensor:
        """`forward` without caching: everything is recomputed for each sample. A reference for tests."""


def initialize(module: ModuleT, draws: Draws | None) -> ModuleT:
    """Initialise weights by TensorFlow 1's default: Glorot's uniform distribution; biases are zero.

    The variance is 2 / (fan_in + fan_out), both counted over all taps, for transposed convolutions as for others.
    Without `draws` the module is returned as it is.
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
    """fan_in + fan_out of a weight: dense (out, in), audio (width, in, out) or images (·, ·, k, k)."""
    if len(shape) == 3:
        return shape[0] * (shape[1] + shape[2])
    return (shape[0] + shape[1]) * math.prod(shape[2:])
