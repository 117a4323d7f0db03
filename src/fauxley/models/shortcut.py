"""Shortcuts: other, faster ways to what a module's `forward` computes, and when they may be taken.

`forward` is what a module means, and what whoever adds a layer overrides or hangs a hook on. A shortcut that went on
regardless would silently leave the addition out. So each names the `forward` that it was written for, and is open only
as long as that is the one that would run, and nothing else with it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn
from torch.nn.modules import module as torch_module

MethodT = TypeVar("MethodT", bound=Callable[..., Any])
_HOOKS = "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"


def shortcut_of(forward: Callable[..., Any]) -> Callable[[MethodT], MethodT]:
    """Mark a method as a shortcut of a `forward`."""

    def mark(method: MethodT) -> MethodT:
        method.shortcut_of = forward  # type: ignore[attr-defined]
        return method

    return mark


def is_open(module: nn.Module, shortcut: Callable[..., Any]) -> bool:
    """Whether a method of `module` still computes what calling the module does."""
    return runs(module, getattr(shortcut, "shortcut_of", None))


def runs(module: nn.Module, forward: Callable[..., Any] | None) -> bool:
    """Whether calling `module` runs this `forward` of its class, and nothing else: no override, no hooks."""
    return (
        type(module).forward is forward
        and "forward" not in vars(module)
        and not any(getattr(module, hooks) for hooks in _HOOKS)
        and not torch_module._has_any_global_hook()  # type: ignore[no-untyped-call]
    )
