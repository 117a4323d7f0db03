"""Reading values from the command line: numbers such as 44.1k, 1e4, 16_000 or 48kHz, and paths."""

import math
import re
from fractions import Fraction
from pathlib import Path

from fauxley.errors import FauxleyError

_NUMBER = re.compile(r"([+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:e[+-]?\d{1,3})?)\s*([km]?)(?:hz)?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1000, "m": 1_000_000}
_LARGEST = 2**63 - 1  # the range of sizes of arrays, files and tensors
_LARGEST_REAL = 2**127  # about the range of float32
_LONGEST = 60  # characters of a value that a message repeats


class RefusedError(FauxleyError):
    """A value on the command line is refused. It is no `ValueError`, because tyro would catch that and print a box."""

    exit_code = 2


class UnreadableError(RefusedError):
    """A value on the command line cannot be read: it is not a number, not a whole one, or an empty name."""

    def __init__(self, text: str, reason: str) -> None:
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        super().__init__(f"{shown!r} {reason}")
        self.text = text


def read_whole(text: str) -> int:
    """Read a whole number: `20`, `1e4`, `44.1k`.

    Raises:
        UnreadableError: it is not a number, not a whole one, or exceeds 64 bits.
    """
    value = _read(text)
    if value.denominator != 1:
        raise UnreadableError(
            text, f"is not a whole number; {math.floor(value)} and {math.ceil(value)} are the nearest"
        )
    if abs(value) > _LARGEST:
        raise UnreadableError(text, "is too large")
    return int(value)


def read_real(text: str) -> float:
    """Read a finite number: `0.5`, `2e-4`, `1.5k`.

    Raises:
        UnreadableError: it is not a number, or too large.
    """
    value = _read(text)
    if abs(value) > _LARGEST_REAL:
        raise UnreadableError(text, "is too large")
    return float(value)


def read_path(text: str) -> Path:
    """Read a path.

    Raises:
        UnreadableError: it is empty, or cannot be a path.
    """
    if not text or "\0" in text:  # an empty path, often from a shell variable that is not set, would be this folder
        raise UnreadableError(text, "names no file or folder; is a variable of your shell not set?")
    return Path(text)


def _read(text: str) -> Fraction:
    found = _NUMBER.fullmatch(text.strip())
    try:
        if found:
            return Fraction(found[1].replace("_", "")) * _FACTORS[found[2].lower()]
    except (ValueError, OverflowError):
        pass
    raise UnreadableError(text, "is not a number; write it as in 20, 0.5, 1e4 or 44.1k")
