"""Optimisers for both players, with TensorFlow 1's update rules where PyTorch's are not the same.

What changes from update to update is worked out on the host and laid into a tensor before the update, `prepare`; the
update itself, `apply`, then looks the same every time, so that a CUDA graph can hold it.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from fauxley.errors import FauxleyError, UsageError


@dataclass(frozen=True)
class Optimizer(ABC):
    """How gradients become updates."""

    learning_rate: float = 1e-4
    """Step size."""
    decay: Literal["none", "linear"] = "none"
    """How the learning rate changes until the last step: not at all, or along a line to zero."""
    warmup: int = 0
    """Steps over which the learning rate rises from zero."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"learning_rate must be positive; got {self.learning_rate}")
        if self.warmup < 0:
            raise UsageError(f"warmup must not be negative; got {self.warmup}")

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> "RepeatableOptimizer":
        """An optimiser of one player's weights."""

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of the step after `step` steps, of `steps` in all."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup))
        return rate * max(0.0, 1 - step / steps) if self.decay == "linear" else rate


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    beta1: float = 0.5
    """Decay of the mean of gradients."""
    beta2: float = 0.9
    """Decay of the mean of their squares."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 0 and less than 1; got {getattr(self, name)}")

    def build(self, parameters: Iterable[nn.Parameter]) -> "TensorFlowAdam":
        return TensorFlowAdam(parameters, {"lr": self.learning_rate, "betas": (self.beta1, self.beta2)})


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp as TensorFlow 1 has it: the mean square begins at one, so that the first steps are small."""

    def build(self, parameters: Iterable[nn.Parameter]) -> "TensorFlowRMSProp":
        return TensorFlowRMSProp(parameters, {"lr": self.learning_rate})


class _Plain(torch.optim.Optimizer):
    """PyTorch's optimisers import its compiler, to keep it out: a second, and 72 MB for as long as a run lasts."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)


def require_like(value: Any, like: Tensor, what: str) -> None:
    """Check that a value from a file is a plain tensor of a shape and type, and of finite numbers.

    Raises:
        FauxleyError: it is not.
    """
    plain = isinstance(value, Tensor) and value.layout == torch.strided
    if not plain or (value.dtype, value.shape) != (like.dtype, like.shape):
        raise FauxleyError(f"{what} is not {str(like.dtype).removeprefix('torch.')} of shape {tuple(like.shape)}")
    if not torch.isfinite(value).all():
        raise FauxleyError(f"{what} holds numbers that are not finite")


def require_count(value: Any, what: str) -> None:
    """Check that a value from a file counts something.

    Raises:
        FauxleyError: it does not.
    """
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise FauxleyError(f"{what} cannot be {value!r:.40}")


class RepeatableOptimizer(_Plain):
    """An optimiser whose updates differ in nothing but the contents of tensors.

    Attributes:
        moments: what is kept for each weight, by name, in its shape; and the least that each of it can be.
        rates: the step size that the next update takes, for each group of weights: () on their device.
    """

    moments: ClassVar[Mapping[str, float]]

    def __init__(self, parameters: Iterable[nn.Parameter], defaults: dict[str, Any]) -> None:
        super().__init__(parameters, defaults)
        self.rates = [torch.zeros((), device=group["params"][0].device) for group in self.param_groups]

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Take over the moments and the number of updates that `state_dict` gave; rates and decays stay as built.

        Raises:
            FauxleyError: they do not fit the weights. Nothing is changed then.
        """
        self.check(saved)
        for group, its in zip(self.param_groups, saved["param_groups"], strict=True):
            group |= {"updates": its["updates"]} if "updates" in its else {}
        weights = [weight for group in self.param_groups for weight in group["params"]]
        self.state.clear()
        for number, values in saved["state"].items():
            device = weights[number].device
            self.state[weights[number]] = {name: value.to(device, copy=True) for name, value in values.items()}

    def check(self, saved: Any) -> None:
        """Compare what `load_state_dict` is to take over with the weights: a kernel given another shape would crash.

        Raises:
            FauxleyError: it does not fit.
        """
        weights = [weight for group in self.param_groups for weight in group["params"]]
        for group, its in zip(self.param_groups, saved["param_groups"], strict=True):
            if len(its["params"]) != len(group["params"]):
                raise FauxleyError("it is of other weights")
            require_count(its.get("updates", 0), "the number of updates")
        for number, values in saved["state"].items():
            if number not in range(len(weights)) or values.keys() != self.moments.keys():
                raise FauxleyError("it is of another optimiser")
            for name, least in self.moments.items():
                require_like(values[name], weights[number], f"{name} of weight {number}")
                if not (values[name] >= least).all():
                    raise FauxleyError(f"{name} of weight {number} is negative")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        self.prepare()
        self.apply()

    def prepare(self) -> None:
        """The host's part of an update."""
        for group, rate in zip(self.param_groups, self.rates, strict=True):
            rate.fill_(self._rate(group))

    @torch.no_grad()
    def apply(self) -> None:
        """The device's part."""
        for group, rate in zip(self.param_groups, self.rates, strict=True):
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._apply(weights, [weight.grad for weight in weights], rate, group)

    def _rate(self, group: dict[str, Any]) -> float:
        """Step size of the next update."""
        return float(group["lr"])

    @abstractmethod
    def _apply(self, weights: list[Tensor], gradients: list[Tensor], rate: Tensor, group: dict[str, Any]) -> None:
        """Move the weights."""


class TensorFlowAdam(RepeatableOptimizer):
    """Adam that adds epsilon, 1e-8, to √v before the correction of its bias, as TensorFlow does, not after.

        m ← β1 m + (1 - β1) g,  v ← β2 v + (1 - β2) g²,  w -= lr · √(1 - β2ᵗ) / (1 - β1ᵗ) · m / (√v + 1e-8)

    Early on, with β2 = 0.999 and small gradients, that is a visible difference. With the corrections in the step size,
    nothing but that depends on t; PyTorch's kernel is told that t is infinite, which makes its own corrections 1.
    """

    moments: ClassVar[Mapping[str, float]] = {"exp_avg": -math.inf, "exp_avg_sq": 0.0}

    def _rate(self, group: dict[str, Any]) -> float:
        group["updates"] = group.get("updates", 0) + 1
        beta1, beta2 = (beta ** group["updates"] for beta in group["betas"])
        return float(group["lr"] * math.sqrt(1 - beta2) / (1 - beta1))

    def _apply(self, weights: list[Tensor], gradients: list[Tensor], rate: Tensor, group: dict[str, Any]) -> None:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight] = {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
        means, squares = ([self.state[weight][name] for weight in weights] for name in ("exp_avg", "exp_avg_sq"))
        beta1, beta2 = group["betas"]
        infinite = [torch.full_like(rate, math.inf)] * len(weights)
        torch._fused_adam_(
            weights,
            gradients,
            means,
            squares,
            [],
            infinite,
            lr=rate,
            beta1=beta1,
            beta2=beta2,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


class TensorFlowRMSProp(RepeatableOptimizer):
    """w -= lr · g / √(s + 1e-10),  s ← 0.9 s + 0.1 g²,  s = 1 at first (PyTorch's: s = 0, epsilon outside the root)."""

    moments: ClassVar[Mapping[str, float]] = {"mean_square": 0.0}

    def _apply(self, weights: list[Tensor], gradients: list[Tensor], rate: Tensor, group: dict[str, Any]) -> None:
        for weight, gradient in zip(weights, gradients, strict=True):
            state = self.state[weight]
            if not state:
                state["mean_square"] = torch.ones_like(weight)
            state["mean_square"].mul_(0.9).addcmul_(gradient, gradient, value=0.1)
            weight.sub_(rate * gradient / (state["mean_square"] + 1e-10).sqrt())
