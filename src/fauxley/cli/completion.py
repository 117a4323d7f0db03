"""`fauxley completion`: prints scripts by which shells complete commands, presets and flags."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union

import tyro

from fauxley.cli.shared.options import registry


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], tyro.conf.Positional], /) -> None:
    """Print a script by which a shell completes commands, presets and flags when you press Tab.

    Write it to where your shell looks for it, and open a new shell.

    Example, bash: fauxley completion bash > ~/.local/share/bash-completion/completions/fauxley

    Example, zsh, where ~/.zfunc is in fpath: fauxley completion zsh > ~/.zfunc/_fauxley

    Example, fish: fauxley completion fish > ~/.config/fish/completions/fauxley.fish

    Args:
        shell: Shell for which to print the script.
    """
    tyro.cli(_choice(_commands()), prog="fauxley", args=["--tyro-write-completion", shell, "-"], registry=registry())


def _commands() -> dict[str, Any]:
    """All commands by name, as functions or as dictionaries of their sub-commands."""
    from fauxley.cli.main import COMMANDS

    identifiers = {name: name.replace("-", "_") for name in COMMANDS if name != completion.__name__}
    found = {name: getattr(importlib.import_module(f"fauxley.cli.{i}"), i) for name, i in identifiers.items()}
    return {**found, completion.__name__: completion}


def _choice(commands: Mapping[str, Any]) -> Any:
    """A type that tyro reads as a choice of sub-commands."""
    functions = {name: _nested(each) if isinstance(each, Mapping) else each for name, each in commands.items()}
    return Union[  # noqa: UP007 - of types that are not known before
        tuple(
            Annotated[Any, tyro.conf.subcommand(name=name, constructor=function)]
            for name, function in functions.items()
            if name
        )
    ]


def _nested(commands: Mapping[str, Any]) -> Callable[..., None]:
    """A function whose first argument chooses a sub-command; its others are those of the command without a name."""
    choice: Any = Annotated[_choice(commands), tyro.conf.arg(name="")]
    unnamed = inspect.signature(commands[""], eval_str=True).parameters.values() if "" in commands else ()

    def command(*_: Any, **__: Any) -> None:
        """Has sub-commands."""

    chosen = inspect.Parameter("chosen", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=choice)
    # Optional, because completion needs no values, and a sub-command may not have them.
    flags = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=None, annotation=each.annotation | None)
        for each in unnamed
    ]
    command.__signature__ = inspect.Signature([chosen, *flags])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in (chosen, *flags)}
    return command
