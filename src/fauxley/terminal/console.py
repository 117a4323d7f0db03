"""Tables that are whole in files and pipes, and fit the width of a terminal."""

import sys

from rich.console import Console

_UNBOUNDED = 10_000  # columns, where there is no terminal whose width could matter


def output_console() -> Console:
    """Where tables are printed: as wide as the terminal, or as wide as they are where there is none."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


def shorten(text: str, console: Console, share: float = 0.5) -> str:
    """A name cut in its middle to a share of a terminal's width: its end tells more than what it has in common."""
    room = max(20, int(console.width * share))
    if len(text) <= room:
        return text
    head = (room - 1) // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"
