"""What a command writes to: outputs that take every character, and that may lose their reader.

A console may know few characters: legacy ones of Windows do, and pipes there. A symbol of ours then becomes what people
typed before there was one; a character of somebody's file name is written as its number.

A reader that has gone (`fauxley scan sounds | head`, a terminal that was closed) is no failure: the output is let go
of, and the exit code stays 0.
"""

import codecs
import errno
import io
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

# What writing says when there is no reader: a pipe, a terminal, a pipe on Windows.
_NO_READER = {errno.EPIPE, errno.EIO, errno.EINVAL}
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
    """Connect outputs that were closed before the start (`>&-`, a program without a console) to nowhere."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:  # the lowest that is free is this one; workers need it as well
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False))


def _with_lookalikes(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding does not have; see `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    escaped = (character.encode("ascii", "backslashreplace").decode("ascii") for character in unknown)
    return "".join(_LOOKALIKES.get(own, other) for own, other in zip(unknown, escaped, strict=True)), error.end


def say(text: str) -> None:
    """Print a line on stderr, if there is still somebody to read it."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def lacks_reader(error: OSError) -> bool:
    """Whether an error comes from writing to an output that nobody reads any more."""
    return error.errno in _NO_READER and error.filename is None and release_outputs()


def release_outputs() -> bool:
    """Connect outputs that nobody reads to nowhere; return whether there was one.

    Otherwise Python itself complains, when it ends, of what it cannot get rid of.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and not stream.closed]
    unread = [stream for stream in streams if _is_unread(stream)]
    for stream in unread:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
    return bool(unread)


def _is_unread(stream: IO[Any]) -> bool:
    try:
        stream.flush()
    except OSError:
        return True
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # in memory
        return False
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are reported in any case
    return bool(poll.poll(0))


def messages() -> IO[str]:
    """stderr, for reports on long work: the work goes on when nobody reads them."""
    return cast(IO[str], _Forgiving(sys.stderr))


class _Forgiving:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
