"""Optimisers with TensorFlow 1's update rules, which are not quite PyTorch's.

An update has two parts. `prepare` computes on the host what changes from update to update, the step size, and puts it
into a tensor. `apply` performs the same operations every time, so that a CUDA graph can repeat it.

These classes do not derive from `torch.optim.Optimizer`, because that imports PyTorch's compiler, which costs a second
at every start and 72 MB of memory, and offers nothing else that is needed here.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.kernels.torch_private import fused_adam


@dataclass(frozen=True)
class Optimizer(ABC):
    """The settings of an optimiser."""

    learning_rate: float = 1e-4
    """Step size."""
    decay: Literal["none", "linear", "cosine"] = "none"
    """How the learning rate changes during training: none, linear to zero, or a cosine to a tenth."""
    warmup: int = 0
    """Steps over which the learning rate rises from zero."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"learning_rate must be positive; got {self.learning_rate}")
        if self.warmup < 0:
            raise UsageError(f"warmup must not be negative; got {self.warmup}")

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> "RepeatableOptimizer":
        """Make the optimiser of one network's weights."""

    def rate(self, step: int, progress: float) -> float:
        """The learning rate of the step after `step` steps, when a share `progress` of the training is done."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup))
        if self.decay == "linear":
            return rate * max(0.0, 1 - progress)
        return rate * falling(progress) if self.decay == "cosine" else rate


def falling(progress: float) -> float:
    """Half a cosine that falls from 1 to a tenth while `progress` goes from 0 to 1."""
    return 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, progress)))


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    beta1: float = 0.5
    """Decay rate of the mean of gradients."""
    beta2: float = 0.9
    """Decay rate of the mean of squared gradients."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 0 and less than 1; got {getattr(self, name)}")

    def build(self, parameters: Iterable[nn.Parameter]) -> "TensorFlowAdam":
        return TensorFlowAdam(parameters, self.learning_rate, self.beta1, self.beta2)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp by TensorFlow 1's rule: the mean square starts at one, so the first steps are small."""

    def build(self, parameters: Iterable[nn.Parameter]) -> "TensorFlowRMSProp":
        return TensorFlowRMSProp(parameters, self.learning_rate)


class RepeatableOptimizer(ABC):
    """An optimiser whose updates differ only in the contents of tensors.

    Args:
        parameters: the weights.
        learning_rate: the step size; it may be changed before any update.

    Attributes:
        moments: the names of the tensors kept for each weight, in its shape, each with the smallest possible value.
        state: those tensors by name, for each weight; empty until the weight has its first gradient.
        updates: the number of updates so far.
        rate: the step size of the next update, () on the weights' device.
    """

    moments: ClassVar[Mapping[str, float]]

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        self.weights = list(parameters)
        self.learning_rate = learning_rate
        self.state: dict[Tensor, dict[str, Tensor]] = {weight: {} for weight in self.weights}
        self.updates = 0
        self.rate = torch.zeros((), device=self.weights[0].device)

    def zero_grad(self) -> None:
        """Forget the weights' gradients."""
        for weight in self.weights:
            weight.grad = None

    def step(self) -> None:
        """Update every weight that has a gradient."""
        self.prepare()
        self.apply()

    def prepare(self) -> None:
        """Do the part of an update that runs on the host."""
        self.updates += 1
        self.rate.fill_(self._next_rate())

    @torch.no_grad()
    def apply(self) -> None:
        """Do the part of an update that runs on the device."""
        weights: list[Tensor] = [weight for weight in self.weights if weight.grad is not None]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight] = {name: self._first(name, weight) for name in self.moments}
        if weights:
            self._move(weights, gradients, *([self.state[weight][name] for weight in weights] for name in self.moments))

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's part of a checkpoint, in the form of PyTorch's optimisers."""
        kept = {number: self.state[weight] for number, weight in enumerate(self.weights) if self.state[weight]}
        return {"state": kept, "param_groups": [{"updates": self.updates, "params": list(range(len(self.weights)))}]}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Load what `state_dict` returned, after `fauxley.training.checkpoint` has checked it."""
        self.updates = saved["param_groups"][0].get("updates", 0)
        for number, weight in enumerate(self.weights):
            moments = saved["state"].get(number, {})
            self.state[weight] = {name: value.to(weight.device, copy=True) for name, value in moments.items()}

    def _next_rate(self) -> float:
        """The step size of update number `updates`."""
        return self.learning_rate

    def _first(self, name: str, weight: Tensor) -> Tensor:
        """The initial value of a moment."""
        return torch.zeros_like(weight)

    @abstractmethod
    def _move(self, weights: list[Tensor], gradients: list[Tensor], *moments: list[Tensor]) -> None:
        """Change the weights and the moments; the moments come in the order of their names."""


class TensorFlowAdam(RepeatableOptimizer):
    """Adam by TensorFlow's rule, which adds epsilon, 1e-8, to √v before bias correction, not after.

        m ← β1 m + (1 - β1) g,  v ← β2 v + (1 - β2) g²,  w -= lr · √(1 - β2ᵗ) / (1 - β1ᵗ) · m / (√v + 1e-8)

    Early in training, with β2 = 0.999 and small gradients, the difference is visible. The corrections are part of the
    step size, so that only the step size depends on t.
    """

    moments: ClassVar[Mapping[str, float]] = {"exp_avg": -math.inf, "exp_avg_sq": 0.0}

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, beta1: float, beta2: float) -> None:
        super().__init__(parameters, learning_rate)
        self._beta1, self._beta2 = beta1, beta2

    def _next_rate(self) -> float:
        return self.learning_rate * math.sqrt(1 - self._beta2**self.updates) / (1 - self._beta1**self.updates)

    def _move(self, weights: list[Tensor], gradients: list[Tensor], *moments: list[Tensor]) -> None:
        exp_avg, exp_avg_sq = moments
        fused_adam(weights, gradients, exp_avg, exp_avg_sq, self.rate, (self._beta1, self._beta2), epsilon=1e-8)


class TensorFlowRMSProp(RepeatableOptimizer):
    """w -= lr · g / √(s + 1e-10),  s ← 0.9 s + 0.1 g²,  s = 1 at first (PyTorch's: s = 0, epsilon outside the root)."""

    moments: ClassVar[Mapping[str, float]] = {"mean_square": 0.0}

    def _first(self, name: str, weight: Tensor) -> Tensor:
        return torch.ones_like(weight)

    def _move(self, weights: list[Tensor], gradients: list[Tensor], *moments: list[Tensor]) -> None:
        for weight, gradient, square in zip(weights, gradients, *moments, strict=True):
            square.mul_(0.9).addcmul_(gradient, gradient, value=0.1)
            weight.sub_(self.rate * gradient / (square + 1e-10).sqrt())
