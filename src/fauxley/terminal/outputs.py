"""What a command writes to: outputs that are there, and that take every character.

A console may know few characters: legacy ones of Windows do, and pipes there. A symbol of ours then becomes what people
typed before there was one; a character of somebody's file name is written as its number.
"""

import codecs
import io
import os
import sys

_LOOKALIKES = {
    "→": "->",
    "←": "<-",
    "⇄": "<->",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "±": "+-",
    "×": "x",
    "·": ".",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "∞": "inf",
    "√": "sqrt",
    "Σ": "sum",
    "²": "2",
    "³": "3",
    "¹": "1",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "✓": "ok",
    "✗": "no",
    "•": "*",
    "█": "#",
    "░": ".",
    **dict(zip("₀₁₂⁴", "0124", strict=True)),
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "λ": "lambda",
    "μ": "mu",
    "π": "pi",
    "σ": "sigma",
    **dict.fromkeys("─━╌╴╶╸╺╾╼", "-"),
    **dict.fromkeys("│┃", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┡┩╇┳┻╋", "+"),
}
_HANDLER = "fauxley.lookalikes"


def on_one_line(text: str) -> str:
    """A text that somebody else wrote, without what would move the cursor, colour the terminal or turn the line around.

    Of other characters that cannot be seen only spaces stay.
    """
    return "".join(letter for letter in text if letter.isprintable())


def prepare_outputs() -> None:
    """Make stdout and stderr take what is written to them."""
    _open_closed()
    codecs.register_error(_HANDLER, _with_lookalikes)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _open_closed() -> None:
    """Open to nowhere what was closed before we were started (`>&-`, a program without a console)."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:  # the lowest that is free is this one; workers need it as well
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False))


def _with_lookalikes(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding does not have; see `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    escaped = (character.encode("ascii", "backslashreplace").decode("ascii") for character in unknown)
    return "".join(_LOOKALIKES.get(own, other) for own, other in zip(unknown, escaped, strict=True)), error.end
