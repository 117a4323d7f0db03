"""The page of all commands and their options, made from what `--help` says, so that it cannot say anything else."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from unittest import mock

from fauxley.cli.main import COMMANDS, main

Groups = dict[str, dict[str, str]]  # title → option → text
_WIDE = "2000"  # columns: nothing is wrapped, so an option is a line


@dataclass(frozen=True)
class Help:
    """What `fauxley COMMAND --help` says: paragraphs, then options by group, each with its text."""

    paragraphs: list[str]
    groups: Groups

    @property
    def flags(self) -> set[str]:
        """The names of all options, such as `--count`."""
        return {word for group in self.groups.values() for option in group for word in re.findall(r"--[\w.-]+", option)}


def commands() -> Iterator[tuple[str, ...]]:
    """All commands, those with sub-commands once for each of them, and for none if that does something, too."""
    for name in COMMANDS:
        identifier = name.replace("-", "_")
        command = getattr(import_module(f"fauxley.cli.{identifier}"), identifier)
        yield from ((name, each) if each else (name,) for each in (command if isinstance(command, dict) else [""]))


def help_of(*command: str) -> Help:
    """Read the help text of a command."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with mock.patch.dict(os.environ, COLUMNS=_WIDE), redirect_stdout(said):
        main([*command, "--help"])
    paragraphs: list[str] = []
    groups: Groups = {}
    group: dict[str, str] = {}
    said.seek(0)
    for line in said.read().splitlines():
        if title := re.match(r"╭─ (.+?) ─+╮", line):
            group = groups.setdefault(title[1], {})
        elif line.startswith("│"):
            _add(line.strip("│ "), line.startswith("│  "), group)
        elif line.strip() and not line.startswith(("╰", "usage:")):
            paragraphs.append(line.strip())
    return Help(paragraphs, {title: options for title, options in groups.items() if options})


def _add(line: str, continued: bool, group: dict[str, str]) -> None:
    """Take a line of a box into the options of a group."""
    if continued and group:
        last = next(reversed(group))
        group[last] = f"{group[last]} {line}".strip()
    elif line.startswith("-") or re.match(r"[A-Z{\[]", line):
        option, _, text = re.split(r"( {2,}|$)", line, maxsplit=1)
        group[option] = text.strip()


def commands_page() -> str:
    """The page as Markdown. Of the presets of `train`, the first is shown whole and others by what differs from it."""
    parts = [
        "# Commands and options",
        """Made from the commands themselves; `fauxley COMMAND --help` says the same.
[What holds for all commands](../commands.md) is on a page of its own.""",
    ]
    begun = ""
    preset = Help([], {})
    for name, *rest in commands():
        found = help_of(name, *rest)
        if name != begun:
            begun = name
            parts.append(f"## fauxley {name}")
        if rest:
            parts.append(f"### fauxley {name} {rest[0]}")
        if name != "train" or not rest or not preset.groups:
            parts += [*map(_paragraph, found.paragraphs), *_options(found.groups, {})]
        else:
            parts += [_escape(found.paragraphs[0]), "What differs from `fauxley train wavegan`:"]
            parts += _options(found.groups, preset.groups)
        if name == "train" and rest and not preset.groups:
            preset = found
    return "\n\n".join(parts) + "\n"


def _options(groups: Groups, but: Groups) -> Iterator[str]:
    """Options and their texts, those left out that `but` has with the same text."""
    for title, options in groups.items():
        new = {option: text for option, text in options.items() if but.get(title, {}).get(option) != text}
        if new:
            yield f"**{title.capitalize()}**"
            yield from (f"`{option}`\n:   {_escape(text) or '–'}" for option, text in new.items())


def _paragraph(text: str) -> str:
    """A paragraph of a help text, with its command, if it shows one, as code."""
    before, _, command = text.rpartition("fauxley ")
    if not before:
        return f"    {text}"
    is_example = before.startswith("Example") and before.endswith(": ")
    return f"{before.strip()}\n\n    fauxley {command}" if is_example else _escape(text)


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]|#])", r"\\\1", text)
