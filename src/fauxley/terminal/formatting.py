"""Text for people: numbers in sentences (how many of what, how long), and tables that fit the terminal."""

import sys

from rich.console import Console

_IRREGULAR = {"has": "have", "is": "are", "was": "were", "it": "they"}
_UNBOUNDED = 10_000  # columns, where there is no terminal whose width could matter


def counted(count: float, noun: str) -> str:
    """A count with its noun: `1 file`, `20 files`, `10,000 steps`, `0.5 minutes`."""
    return f"{count:{',' if isinstance(count, int) else 'g'}} {several(count, noun)}"


def several(count: float, noun: str) -> str:
    """A noun, or a verb or pronoun that goes with it, in the singular or plural that a count asks for."""
    if count == 1:
        return noun
    return _IRREGULAR.get(noun) or f"{noun}s"


def duration(seconds: float) -> str:
    """The length of a sound, or of many together: `0.35 s`, `12.4 min`, `3.1 h`, `4.2 days`."""
    return f"{seconds:.2f} s" if seconds < 60 else waiting_time(seconds)


def waiting_time(seconds: float) -> str:
    """A time to wait: `40 s`, `12.4 min`, `3.1 h`, `4.2 days`, `12 years`; hours up to 48."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    days = seconds / 86400
    if days < 730:
        return f"{days:.1f} days"
    years = days / 365.25
    return f"{years:,.0f} years" if years < 1e6 else f"{years:.0e} years".replace("e+", "e")


def output_console() -> Console:
    """The console that tables are printed on: as wide as the terminal, or unbounded where there is none."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


def shorten(text: str, console: Console, share: float = 0.5) -> str:
    """Cut the middle out of a name that is longer than a share of the terminal's width; its end tells most."""
    room = max(20, int(console.width * share))
    if len(text) <= room:
        return text
    head = (room - 1) // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"
