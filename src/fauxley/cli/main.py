"""The `fauxley` command: finds the sub-command, runs it, and turns errors into one line and an exit code.

Importing PyTorch takes longer than printing a help text may, so a sub-command is imported only when it is run:
each lives in a module of its own in `fauxley.cli`, as a function whose signature is its command line (by tyro), or
as a dictionary of such functions when it has sub-commands of its own; that of "" is run when none of them is named.
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
from fauxley.machine import importing, wait_asleep
from fauxley.stopping import stoppable
from fauxley.storage import destination
from fauxley.terminal.outputs import lacks_reader, prepare_outputs, release_outputs, say

# Sub-command → what it does, in one line. `fauxley.cli.<name>` holds `<name>`.
COMMANDS = {
    "demo": "the whole tour on the built-in drum kit, in a few minutes",
    "scan": "what is in a folder of sounds, what is broken, which settings suit it",
    "cut": "cut long recordings of footsteps, claps, drums into their hits",
    "prepare": "decode a folder of sounds once into a dataset",
    "train": "train a model; run it again to resume",
    "train-inversion": "teach a SpecGAN to find the phases of its spectrograms",
    "generate": "make new sounds",
    "models": "the models that ship, ready to play: what they know, their licences, their figures",
    "vary": "make variations of one of a model's sounds, or of a recording",
    "morph": "make the sounds between sounds",
    "knobs": "what a model's sounds can be turned to: brighter, longer, harder, and how far",
    "export": "sampler kits, models for other programs, a page for the browser",
    "push": "share a model in a repository of the Hugging Face Hub",
    "pull": "fetch a model from such a repository",
    "train-classifier": "teach a classifier the labels of sounds, to judge generated ones by",
    "evaluate": "how good a model is, and whether it copied: a report with figures, pictures and sounds",
    "compare": "several models in one table",
    "studio": "play models in the browser, and listen through folders of sounds",
    "listen": "ask people in the browser how good a model sounds: create, serve, report, export",
    "bench": "how fast this machine trains and generates",
    "cache": "what is kept on this machine to save work; empties it",
    "import-tensorflow": "turn a checkpoint of the official code into a model",
    "completion": "make bash, zsh or fish complete commands and flags",
}
# Seconds. As soon as one process fails, torchrun ends the others, and must not end the one that has yet to speak.
_PATIENCE = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 (ok), 1 (failed) or 2 (wrong use)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    prepare_outputs()
    if arguments[:1] != ["train"] or os.environ.get("RANK", "0") == "0" or "MASTER_ADDR" not in os.environ:
        code = _run(arguments)
        release_outputs()
        return code
    # One of many processes that torchrun has started, of which rank 0 speaks for all.
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
    """Say in one line what went wrong, and give the exit code for it; what is a bug is raised again."""
    if isinstance(error, FauxleyError):
        say(f"fauxley: {error}")
        return error.exit_code
    if isinstance(error, MemoryError | OverflowError | RecursionError):  # what nobody has foreseen of absurd sizes
        reason = "out of memory" if isinstance(error, MemoryError) else "a number is beyond what can be computed with"
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
        wait_asleep()
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
            raise UsageError(f"{rest[0]} is no preset; sounds are given with --data {rest[0]}")
        _known(rest[0], [each for each in command if each], f"{name} preset" if name == "train" else f"{name} command")
        command, prog, rest = command[rest[0]], f"{prog} {rest[0]}", rest[1:]
    elif isinstance(command, dict) and "" in command:
        command = command[""]
    import tyro

    from fauxley.cli.shared.options import registry
    from fauxley.cli.shared.values import UnreadableError

    try:
        if isinstance(command, dict):
            tyro.extras.subcommand_cli_from_dict(command, args=rest, prog=prog, registry=registry())
        else:
            tyro.cli(command, args=rest, prog=prog, registry=registry())
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich ends the program where nobody reads its tables
            return 0
        # tyro prints its own help and errors
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except UnreadableError as error:
        raise UsageError(f"{_flag_before(error.text, rest)}{error}") from error
    return 0


def _flag_before(text: str, arguments: Sequence[str]) -> str:
    """The flag that was given a value, with a colon."""
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
            return f"{in_the_way} is a file, where a folder is to be; move it away, or choose another name"
        if in_the_way is not None and error.errno != errno.ENOTDIR:
            return f"{in_the_way} is a folder, where a file is to be; move it away, or choose another name"
    return f"{path}: {text}"
