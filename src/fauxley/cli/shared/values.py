"""Values as people write them on the command line: numbers such as 44.1k, 1e4, 16_000 or 48kHz, and paths."""

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from tyro.conf import arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from fauxley.errors import FauxleyError

_NUMBER = re.compile(r"([+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:e[+-]?\d{1,3})?)\s*([km]?)(?:hz)?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1000, "m": 1_000_000}
_LARGEST = 2**63 - 1  # what arrays, files and tensors count with
_LARGEST_REAL = 2**127  # about what float32 holds

Cluster = Annotated[str | None, arg(metavar="URL")]
"""Where to compute; see `fauxley.parallel`."""


class UnreadableError(FauxleyError):
    """What was written is not what was asked for: no number, a fraction, an empty name."""

    exit_code = 2

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} {reason}")
        self.text = text


def read_whole(text: str) -> int:
    """The whole number that `text` means: `20`, `1e4`, `44.1k`.

    Raises:
        UnreadableError: it means none, or one with a fraction, or one beyond 64 bits.
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
    """The number that `text` means: `0.5`, `2e-4`, `1.5k`. Infinity and NaN are none.

    Raises:
        UnreadableError: it means none, or one that is too large.
    """
    value = _read(text)
    if abs(value) > _LARGEST_REAL:
        raise UnreadableError(text, "is too large")
    return float(value)


def _read(text: str) -> Fraction:
    found = _NUMBER.fullmatch(text.strip())
    try:
        if found:
            return Fraction(found[1].replace("_", "")) * _FACTORS[found[2].lower()]
    except (ValueError, OverflowError):
        pass
    raise UnreadableError(text, "is not a number; write it as in 20, 0.5, 1e4 or 44.1k")


def registry() -> ConstructorRegistry:
    """What tyro is to read numbers by."""
    rules = ConstructorRegistry()

    @rules.primitive_rule
    def numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | PrimitiveConstructorSpec[float] | None:
        if info.type is int:
            return PrimitiveConstructorSpec(
                1, "INT", lambda words: read_whole(words[0]), _is_whole, lambda value: [str(value)]
            )
        if info.type is float:
            return PrimitiveConstructorSpec(
                1, "FLOAT", lambda words: read_real(words[0]), _is_number, lambda value: [str(value)]
            )
        return None

    @rules.primitive_rule
    def paths(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
        if info.type is not Path:
            return None
        return PrimitiveConstructorSpec(
            1, "PATH", lambda words: _read_path(words[0]), lambda value: isinstance(value, Path), lambda p: [str(p)]
        )

    return rules


def _read_path(text: str) -> Path:
    if not text or "\0" in text:  # an empty one would mean this folder; it comes from a variable that is not set
        raise UnreadableError(text, "names no file or folder; is a variable of your shell not set?")
    return Path(text)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, float) or _is_whole(value)
