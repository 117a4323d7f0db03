"""Critics: what they are, and the two ways in which their scores and gradients are computed.

`Critic` is any network that scores clips; automatic differentiation of its `forward` finds gradients. The critics of
WaveGAN and SpecGAN are a `ConvolutionalCritic`, a list of stages and a readout:

    h ← phase_shuffle(leaky_relu(norm(layer(h))))       for each layer; the first `shuffled_layers` are shuffled
    D(x) = dense(h)

Its `forward` says so. Without norms there is a faster way, `kernels.sweep`, which computes the same from the same
layers. It does not call `forward`, so it is taken only while the critic is as it was defined: where someone has
overridden the critic's `forward` or a layer's, replaced a layer or hung a hook on one, automatic differentiation takes
over, and what was added is trained.

The critic of a conditional model is also told the labels (B, L) of what it scores (see `conditioning`): batches that
are scored together, real and generated, have the same ones.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from fauxley import kernels
from fauxley.errors import UsageError
from fauxley.kernels.torch_private import is_unaltered
from fauxley.models.conditioning import LabelProjection
from fauxley.models.draws import Draws
from fauxley.models.layers import ConvolutionLayer
from fauxley.models.network import Network


class Critic(Network):
    """A network that gives features one score a clip.

    Args:
        shuffled_layers: number of layers followed by phase shuffle.
        shuffle_radius: largest shift in samples or frames.
        shuffle_per_example: a shift for each example, not one for each batch.
        mixes_examples: an example's score depends on the others in the batch (batch normalisation).
    """

    def __init__(
        self, shuffled_layers: int, shuffle_radius: int, shuffle_per_example: bool, mixes_examples: bool
    ) -> None:
        super().__init__()
        self.shuffled_layers = shuffled_layers
        self.shuffle_radius = shuffle_radius
        self.shuffle_per_example = shuffle_per_example
        self.mixes_examples = mixes_examples

    @abstractmethod
    def forward(self, features: Tensor, shifts: Tensor, labels: Tensor | None = None) -> Tensor:
        """Score a batch: (B,). `shifts` holds, for each shuffled layer, the shift of each example: (layers, B)."""

    def given(self, labels: Tensor) -> "LabelledCritic":
        """This critic for batches whose labels are these (B, L)."""
        return LabelledCritic(self, labels)

    def score(self, *batches: Tensor, draws: Draws, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Score several batches, each with phase shuffle drawn for itself, in one pass wherever that is the same."""
        return self.score_with_gradients(*batches, penalized=(), draws=draws, labels=labels)[0]

    def score_with_gradients(
        self, *batches: Tensor, penalized: Sequence[Tensor], draws: Draws, labels: Tensor | None = None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Score several batches and then those `penalized`, and differentiate the scores of the latter by them.

        Args:
            labels: (B, L), the same for each of the batches, of a conditional model.

        Returns:
            Scores (B,), batch by batch, and gradients like the batches `penalized`.
        """
        together = (*batches, *penalized)
        sizes = [len(batch) for batch in together]
        options = self.shuffle_radius, self.shuffle_per_example
        shifts = [draws.shifts(self.shuffled_layers, size, *options).to(together[0].device) for size in sizes]
        if self.mixes_examples:
            counts = [0] * len(batches) + sizes[len(batches) :]
            found = [self.differentiate(*each, labels) for each in zip(together, shifts, counts, strict=True)]
            return tuple(scores for scores, _ in found), tuple(gradients for _, gradients in found[len(batches) :])
        features = torch.cat(together) if len(together) > 1 else together[0]
        of_all = None if labels is None else labels.repeat(len(together), 1)
        scores, gradients = self.differentiate(features, torch.cat(shifts, 1), sum(sizes[len(batches) :]), of_all)
        return torch.split(scores, sizes), torch.split(gradients, sizes[len(batches) :]) if penalized else ()

    def differentiate(
        self, features: Tensor, shifts: Tensor, count: int, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Score examples, whose labels are (B, L), and differentiate the scores of the last `count` ones by them.

        Returns:
            Scores (B,) and gradients (count, ...). Both can be differentiated by the weights, and the scores by the
            features.
        """
        return self.differentiate_by_autograd(features, shifts, count, labels)

    def differentiate_by_autograd(
        self, features: Tensor, shifts: Tensor, count: int, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Do what `differentiate` does, by automatic differentiation of `forward`."""
        first = len(features) - count

        def told(rows: slice) -> tuple[Tensor, ...]:  # critics that know no labels need not take any
            return (shifts[:, rows],) if labels is None else (shifts[:, rows], labels[rows])

        if not count:
            return self(features, *told(slice(None))), features[first:]
        scores = [self(features[:first], *told(slice(first)))] if first else []
        others = features[first:].detach().requires_grad_()
        with kernels.use("plain"):  # whose derivatives can be differentiated again
            scores.append(self(others, *told(slice(first, None))))
            (gradients,) = torch.autograd.grad(scores[-1].sum(), others, create_graph=True)
        return torch.cat(scores), gradients


@dataclass(frozen=True)
class LabelledCritic:
    """A conditional critic with the labels (B, L) of the batches that it is to score: used as others are."""

    critic: Critic
    labels: Tensor

    def score(self, *batches: Tensor, draws: Draws) -> tuple[Tensor, ...]:
        """See `Critic.score`."""
        return self.critic.score(*batches, draws=draws, labels=self.labels)

    def score_with_gradients(
        self, *batches: Tensor, penalized: Sequence[Tensor], draws: Draws
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """See `Critic.score_with_gradients`."""
        return self.critic.score_with_gradients(*batches, penalized=penalized, draws=draws, labels=self.labels)


class Readout(nn.Linear):
    """A dense layer from signals (B, in) to scores (B,).

    It sums in pairs, not as a matrix product, for scores are small differences of large sums.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum(1) + self.bias


class ConvolutionalCritic(Critic):
    """A critic of convolutions, each followed by a norm, a leaky ReLU and perhaps phase shuffle, and a readout.

    Args:
        layers: the convolutions.
        norms: what stands behind each; `nn.Identity` for nothing.
        dense: reads the score out of the last signal (B, in), time slowest, channels fastest.
        time_dim: the dimension of a signal that is time.
        shuffled_layers, shuffle_radius, shuffle_per_example, mixes_examples: see `Critic`; a radius of 0: no shuffle.
        num_labels: L; 0: it is not conditional.
        channels: of the last signal, for labels to be read out of.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        norms: Sequence[nn.Module],
        dense: Readout,
        *,
        time_dim: int,
        shuffled_layers: int,
        shuffle_radius: int,
        shuffle_per_example: bool,
        mixes_examples: bool,
        num_labels: int = 0,
        channels: int = 0,
    ) -> None:
        super().__init__(shuffled_layers if shuffle_radius else 0, shuffle_radius, shuffle_per_example, mixes_examples)
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(norms)
        self.dense = dense
        self.time_dim = time_dim
        self.num_labels = num_labels
        if num_labels:
            self.projection = LabelProjection(num_labels, channels)

    @abstractmethod
    def to_signal(self, features: Tensor) -> Tensor:
        """Bring features into the layout of the first layer's input."""

    @abstractmethod
    def to_features(self, signal: Tensor) -> Tensor:
        """Bring a signal in the layout of the first layer's input into that of features."""

    def forward(self, features: Tensor, shifts: Tensor, labels: Tensor | None = None) -> Tensor:
        self._check(labels)
        x = self.to_signal(self._narrow(features))
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = kernels.leaky_relu(norm(layer(x)))
            if number < len(shifts):
                x = kernels.phase_shuffle(x, shifts[number], self.shuffle_radius, self.time_dim)
        signal = self._widen(x.transpose(1, self.time_dim).flatten(1))
        scores: Tensor = self.dense(signal)
        return scores + self.projection(signal, labels) if self.num_labels else scores

    def differentiate(
        self, features: Tensor, shifts: Tensor, count: int, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        compute = self._differentiate_by_sweeps if self.is_swept else self.differentiate_by_autograd
        return compute(features, shifts, count, labels)

    @property
    def is_swept(self) -> bool:
        """Whether sweeps may compute what `forward` does: fast kernels are in use, the critic is as it was defined."""
        return (
            kernels.is_fast()
            and is_unaltered(self, _CRITIC)
            and all(
                isinstance(layer, ConvolutionLayer)
                and layer.convolution in kernels.SWEPT
                and is_unaltered(layer, _LAYER)
                for layer in self.layers
            )
            and all(is_unaltered(norm, _NOTHING) for norm in self.norms)
            and is_unaltered(self.dense, _READOUT)
            and (not self.num_labels or is_unaltered(self.projection, _PROJECTION))
        )

    def _check(self, labels: Tensor | None) -> None:
        columns = 0 if labels is None else labels.shape[1]
        if columns != self.num_labels:
            raise UsageError(f"this critic takes weights of {self.num_labels} labels; got {columns}")

    def _differentiate_by_sweeps(
        self, features: Tensor, shifts: Tensor, count: int, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        self._check(labels)
        layers = [cast(ConvolutionLayer, layer) for layer in self.layers]
        shuffles: list[Tensor | None] = [*shifts, *[None] * (len(layers) - len(shifts))]
        stages = [
            kernels.Stage(*layer.operands, shuffle, self.shuffle_radius, self.time_dim)
            for layer, shuffle in zip(layers, shuffles, strict=True)
        ]
        x = self.to_signal(self._narrow(features))
        readout: Tensor = self.dense.weight
        offset: Tensor = self.dense.bias
        if labels is not None and self.num_labels:
            readout, offset = self.projection.readouts(readout, labels), offset + labels @ self.projection.bias
        scores, gradients = kernels.sweep(x, stages, readout, offset, count)
        return scores, self.to_features(gradients)


# The definitions that the sweeps were written for; a class that is altered later has another.
_CRITIC, _LAYER = ConvolutionalCritic.forward, ConvolutionLayer.forward
_NOTHING, _READOUT, _PROJECTION = nn.Identity.forward, Readout.forward, LabelProjection.forward
