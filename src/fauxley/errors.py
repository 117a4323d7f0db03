"""What goes wrong for a reason the user can act on.

The message of a `FauxleyError` is one line that says what is wrong and what to do. The command line prints that
line and exits with `exit_code`; anything else that is raised is a bug.
"""

from pathlib import Path


class FauxleyError(Exception):
    """Something failed: a file is broken, a disk is full, training diverged."""

    exit_code = 1


class UsageError(FauxleyError, ValueError):
    """Something was asked for that makes no sense: a negative count, an unknown preset."""

    exit_code = 2


def printable(text: Path | str) -> str:
    """A name for a one-line message: line breaks and bytes that are no text are written as escapes."""
    text = str(text)
    return text if text.isprintable() else ascii(text)[1:-1]
