"""Optimisers for both players, with TensorFlow 1's update rules where PyTorch's are not the same."""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from fauxley.errors import UsageError


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
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
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

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return TensorFlowAdam(parameters, self.learning_rate, (self.beta1, self.beta2), fused=True)


class _Plain(torch.optim.Optimizer):
    """PyTorch's optimisers import its compiler, to keep it out: a second, and 72 MB for as long as a run lasts."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class TensorFlowAdam(_Plain, torch.optim.Adam):
    """Adam that adds epsilon, 1e-8, to √v before the correction of its bias, as TensorFlow does, not after.

    Early on, with β2 = 0.999 and small gradients, that is a visible difference.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            group["updates"] = group.get("updates", 0) + 1
            group["eps"] = 1e-8 / math.sqrt(1 - group["betas"][1] ** group["updates"])
        _adam_step(self)


_adam_step = inspect.unwrap(torch.optim.Adam.step)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp as TensorFlow 1 has it: the mean square begins at one, so that the first steps are small."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return TensorFlowRMSProp(parameters, self.learning_rate)


class TensorFlowRMSProp(_Plain):
    """w -= lr · g / √(s + 1e-10),  s ← 0.9 s + 0.1 g²,  s = 1 at first (PyTorch's: s = 0, epsilon outside the root)."""

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        super().__init__(parameters, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["mean_square"] = torch.ones_like(weight)
                state["mean_square"].mul_(0.9).addcmul_(weight.grad, weight.grad, value=0.1)
                weight.addcdiv_(weight.grad, (state["mean_square"] + 1e-10).sqrt(), value=-group["lr"])
