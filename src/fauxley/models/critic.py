"""Critics, and the two ways to compute their scores and gradients.

A `Critic` is any network that scores clips; its gradients come from automatic differentiation of `forward`. The critics
of WaveGAN and SpecGAN are `ConvolutionalCritic`s, a list of stages and a readout:

    h ← phase_shuffle(leaky_relu(norm(layer(h))))       for each layer; only the first `shuffled_layers` are shuffled
    D(x) = dense(h)

That is `forward`. For critics without norms `kernels.sweep` computes the same from the same layers, faster. It does not
call `forward`, so it is used only as long as the critic is unaltered: if the `forward` of the critic or of a layer is
overridden, a layer is replaced, or a hook is registered, automatic differentiation takes over and trains the addition.

The critic of a conditional model also receives the labels (B, L) of the examples that it scores (see `conditioning`).
Batches that are scored together, real and generated, have the same labels.
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
    """A network that maps the features of each clip to one score.

    Args:
        shuffled_layers: number of layers followed by phase shuffle.
        shuffle_radius: largest shift, in samples or frames.
        shuffle_per_example: whether each example has a shift of its own; otherwise a batch has one shift.
        mixes_examples: whether an example's score depends on the others in the batch (batch normalisation).
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
        """This critic, bound to the labels (B, L) of the batches that it is to score."""
        return LabelledCritic(self, labels)

    def score(self, *batches: Tensor, draws: Draws, labels: Tensor | None = None) -> tuple[Tensor, ...]:
        """Score several batches, each with its own phase shuffle; in one pass, unless examples are mixed."""
        return self.score_with_gradients(*batches, penalized=(), draws=draws, labels=labels)[0]

    def score_with_gradients(
        self, *batches: Tensor, penalized: Sequence[Tensor], draws: Draws, labels: Tensor | None = None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Score `batches` and `penalized`, and differentiate the scores of the penalized batches by their examples.

        Args:
            labels: (B, L), the same for each batch; only for a conditional model.

        Returns:
            The scores (B,) of all batches in order, and a gradient of the shape of each penalized batch.
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
        """Score a batch, and differentiate the scores of its last `count` examples by these examples.

        Returns:
            Scores (B,) and gradients (count, ...). Both are differentiable by the weights, and the scores by the
            features, too.
        """
        return self.differentiate_by_autograd(features, shifts, count, labels)

    def differentiate_by_autograd(
        self, features: Tensor, shifts: Tensor, count: int, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`differentiate`, by automatic differentiation of `forward`."""
        first = len(features) - count

        def told(rows: slice) -> tuple[Tensor, ...]:  # a critic without labels need not have that parameter
            return (shifts[:, rows],) if labels is None else (shifts[:, rows], labels[rows])

        if not count:
            return self(features, *told(slice(None))), features[first:]
        scores = [self(features[:first], *told(slice(first)))] if first else []
        others = features[first:].detach().requires_grad_()
        with kernels.use("plain"):  # the fast kernels have no second derivatives
            scores.append(self(others, *told(slice(first, None))))
            (gradients,) = torch.autograd.grad(scores[-1].sum(), others, create_graph=True)
        return torch.cat(scores), gradients


@dataclass(frozen=True)
class LabelledCritic:
    """A conditional critic bound to the labels (B, L) of its batches; it is used like an unconditional one."""

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

    It multiplies and sums (pairwise summation) instead of using a matrix product, because scores are small differences
    of large sums.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__(in_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum(1) + self.bias


class ConvolutionalCritic(Critic):
    """A critic of convolutions, each followed by a norm, a leaky ReLU and possibly phase shuffle; then a readout.

    Args:
        layers: the convolutions.
        norms: the norm after each convolution; `nn.Identity` for none.
        dense: maps the flattened last signal (B, in), time slowest and channels fastest, to the score.
        time_dim: the dimension of a signal that is time.
        shuffled_layers, shuffle_radius, shuffle_per_example, mixes_examples: see `Critic`; radius 0: no phase shuffle.
        num_labels: L; 0 for an unconditional critic.
        channels: of the last signal; the projection of labels needs them.
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
        """Convert features to the layout of the first layer's input."""

    @abstractmethod
    def to_features(self, signal: Tensor) -> Tensor:
        """Convert a signal in the layout of the first layer's input to the layout of features."""

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
        """Whether sweeps compute what `forward` would: fast kernels are in use, and the critic is unaltered."""
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


# The definitions that the sweeps reproduce, taken at import: a class that is patched later has another `forward`.
_CRITIC, _LAYER = ConvolutionalCritic.forward, ConvolutionLayer.forward
_NOTHING, _READOUT, _PROJECTION = nn.Identity.forward, Readout.forward, LabelProjection.forward
