"""The `fauxley` command: finds the sub-command, runs it, and turns errors into one line and an exit code.

Importing PyTorch takes longer than printing a help text should, so a sub-command is imported only when it is run. Each
is a module in `fauxley.cli` that holds a function whose signature is its command line (by tyro), or a dictionary of
such functions if it has sub-commands of its own; the one named "" runs when none is given.
"""

import difflib
import errno
import importlib
import os
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from fauxley import __version__
from fauxley.errors import FauxleyError, UsageError
from fauxley.machine import importing, wait_briefly
from fauxley.stopping import stoppable
from fauxley.storage import destination
from fauxley.terminal.outputs import lacks_reader, prepare_outputs, release_outputs, say

# Sub-command → what it does, in one line. `fauxley.cli.<name>` holds `<name>`.
COMMANDS = {
    "demo": "take the whole tour on the built-in drum kit, in a few minutes",
    "scan": "report what is in a folder of sounds, what is broken, and which settings suit it",
    "cut": "cut long recordings of footsteps, claps, drums into their hits",
    "prepare": "decode a folder of sounds once into a dataset",
    "train": "train a model; run it again to resume",
    "train-inversion": "give a SpecGAN a network that estimates phases, instead of Griffin-Lim",
    "generate": "make new sounds",
    "models": "list the models that ship: labels, licences, figures",
    "vary": "make variations of one of a model's sounds, or of a recording",
    "morph": "make the sounds between sounds",
    "knobs": "list a model's knobs (brighter, longer, harder) and how far they reach",
    "export": "export sampler kits, models for other programs, or a page for the browser",
    "push": "share a model in a repository of the Hugging Face Hub",
    "pull": "fetch a model from a repository of the Hugging Face Hub",
    "train-classifier": "train a classifier on labelled sounds, for judging generated ones",
    "evaluate": "judge a model, and find copies: a report with figures, pictures and sounds",
    "compare": "compare several models in one table",
    "studio": "play models in the browser, and listen through folders of sounds",
    "listen": "run a listening test in the browser: create, serve, report, export",
    "bench": "measure how fast this machine trains and generates",
    "cache": "show or empty the caches on this machine",
    "import-tensorflow": "convert a checkpoint of the official code to a model",
    "completion": "make bash, zsh or fish complete commands and flags",
}
# Seconds. When one process fails, torchrun ends the others at once; the one that reports the error needs time to.
_PATIENCE = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 (ok), 1 (failed) or 2 (wrong use)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    prepare_outputs()
    if arguments[:1] != ["train"] or os.environ.get("RANK", "0") == "0" or "MASTER_ADDR" not in os.environ:
        code = _run(arguments)
        release_outputs()
        return code
    # One of many processes that torchrun has started; only rank 0 prints.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = _run(arguments)
        if code and sys.stderr is nowhere:
            time.sleep(_PATIENCE)
        return code


def _run(arguments: Sequence[str]) -> int:
    requests: list[int] = []
    try:
        with stoppable(requests), warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: None if requests else say(f"warning: {message}")
            return _dispatch(arguments)
    except BaseException as error:
        if requests:
            say("fauxley: stopped")
            return 128 + requests[0]
        return _explain(error)


def _explain(error: BaseException) -> int:
    """Print in one line what went wrong, and return the exit code; an error that is a bug is raised again."""
    if isinstance(error, FauxleyError):
        say(f"fauxley: {error}")
        return error.exit_code
    if isinstance(error, MemoryError | OverflowError | RecursionError):  # absurd sizes that no check has foreseen
        reason = "out of memory" if isinstance(error, MemoryError) else "a number is too large to compute with"
        say(f"fauxley: {reason}; give smaller numbers, or smaller files")
        return 1
    if not isinstance(error, OSError):
        raise error
    if lacks_reader(error):
        return 0
    say(f"fauxley: {_describe(error)}")  # a full disk, a missing permission
    return 1


def _find(name: str) -> Any:
    """A command: a function, or a dictionary of those of its sub-commands."""
    _known(name, COMMANDS, "command")
    identifier = name.replace("-", "_")
    if not name.startswith(("train", "bench")):  # to training a machine is given, not a part of it beside other work
        wait_briefly()
    with importing():
        return getattr(importlib.import_module(f"fauxley.cli.{identifier}"), identifier)


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"fauxley {__version__}")
        return 0
    name, *rest = arguments
    command = _find(name)
    prog = f"fauxley {name}"
    if isinstance(command, dict) and rest and not rest[0].startswith("-"):
        if name == "train" and rest[0] not in command and Path(rest[0]).exists():
            raise UsageError(f"{rest[0]} is not a preset; give sounds with --data {rest[0]}")
        _known(rest[0], [each for each in command if each], f"{name} preset" if name == "train" else f"{name} command")
        command, prog, rest = command[rest[0]], f"{prog} {rest[0]}", rest[1:]
    elif isinstance(command, dict) and "" in command:
        command = command[""]
    return _execute(command, prog, rest)


def _execute(command: Any, prog: str, arguments: Sequence[str]) -> int:
    """Run a command, or the one that the arguments name in a dictionary of them."""
    import tyro

    from fauxley.cli.shared.options import registry, with_flags
    from fauxley.cli.shared.values import RefusedError, UnreadableError

    try:
        if isinstance(command, dict):
            tyro.extras.subcommand_cli_from_dict(command, args=arguments, prog=prog, registry=registry())
        else:
            tyro.cli(command, args=arguments, prog=prog, registry=registry())
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich ends the program if nobody reads its tables
            return 0
        # tyro has printed its own help or errors
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except UnreadableError as error:
        raise UsageError(f"{_flag_before(error.text, arguments)}{error}") from error
    except (UsageError, RefusedError) as error:
        raise UsageError(with_flags(str(error), command) if callable(command) else str(error)) from error
    return 0


def _flag_before(text: str, arguments: Sequence[str]) -> str:
    """The flag to which a value was given, with a colon, for a message."""
    flag = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        flag = name if name.startswith("--") else flag
        if flag and text in (argument, value if equals else None):
            return f"{flag}: "
    return ""


def _known(name: str, known: Iterable[str], kind: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"unknown {kind} {name!r}; {hint}")


def _overview() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return f"""fauxley learns a kind of sound from a folder of examples and then makes endless new ones.

usage: fauxley COMMAND ...

{commands}

'fauxley COMMAND --help' explains a command; 'fauxley --version' prints the version.

example:
  fauxley generate drums --out new-drums --count 20
  fauxley train --data my-sounds --run runs/mine
  fauxley generate runs/mine --out new-sounds --count 20"""


def _describe(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text += "; free some room and run it again"
    if not isinstance(error.filename, str):
        return text
    path = destination(Path(error.filename))
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        in_the_way = next((each for each in (path, *path.parents) if each.exists()), None)
        if in_the_way is not None and in_the_way.is_file():
            return f"{in_the_way} is a file, but a folder is needed; move it away, or choose another name"
        if in_the_way is not None and error.errno != errno.ENOTDIR:
            return f"{in_the_way} is a folder, but a file is needed; move it away, or choose another name"
    return f"{path}: {text}"
