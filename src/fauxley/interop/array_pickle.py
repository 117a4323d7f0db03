"""Pickled numpy arrays, read without executing anything.

A pickle is a program for a small stack machine, and what makes it dangerous is that it may name any function and have
it called. This is another machine for the same programs: it imports nothing and calls nothing. The few names that
pickled arrays need are mere words here, and applying one of them builds a plain description of an array; any other
name, and any instruction that arrays do not need, is an error. That covers all protocols, 0 to 5, of Python 2 and 3,
old and new numpy.
"""

import codecs
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fauxley.errors import FauxleyError

_TYPES = {"f4", "f8"}
_QUOTED = re.compile(rb"""(['"])(?:[^\\]|\\[\\'"ntr]|\\x[0-9a-f]{2})*\1""", re.DOTALL)

_Word = Literal["reconstruct", "ndarray", "dtype", "frombuffer", "encode"]
_WORDS: dict[tuple[str, str], _Word] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",  # how Python 3 writes bytes in old protocols
    **{(f"numpy.{core}.multiarray", "_reconstruct"): "reconstruct" for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): "frombuffer" for core in ("core", "_core")},
}


def load_arrays(program: bytes) -> Any:
    """What a pickle holds: `PickledArray`s in tuples, or whatever else needs no function.

    Raises:
        FauxleyError: it is damaged, or asks for anything that float32 and float64 arrays do not need.
    """
    try:
        return _Machine(program).run()
    except (ValueError, struct.error) as error:
        raise FauxleyError(f"it is damaged: {error}") from error


@dataclass
class _Dtype:
    code: str
    order: str = "<"


@dataclass
class PickledArray:
    """An array as it was pickled, not yet checked."""

    dtype: _Dtype | None = None
    shape: Any = None
    data: Any = None

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        """The numbers.

        Raises:
            FauxleyError: it does not have this shape.
        """
        data = self.data.encode("latin-1") if isinstance(self.data, str) else self.data
        if self.dtype is None or not isinstance(data, bytes) or not isinstance(self.shape, tuple):
            raise FauxleyError("an array is incomplete")
        dtype = np.dtype(self.dtype.order + self.dtype.code)
        sizes = all(type(size) is int for size in self.shape)
        if not sizes or self.shape != shape or len(data) != math.prod(shape) * dtype.itemsize:
            raise FauxleyError(f"an array is not of shape {shape}")
        return np.frombuffer(data, dtype).reshape(shape)


@dataclass(frozen=True)
class _Name:
    word: _Word


@dataclass
class _Machine:
    """Runs a pickle's instructions on a stack of inert values."""

    program: bytes
    place: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        while True:
            code = self.take(1)
            if code == b".":
                return self.pop()
            if code in _CONSTANTS:
                self.stack.append(_CONSTANTS[code])
            elif code in _COUNTED:
                self.push_counted(*_COUNTED[code])
            elif code in _TUPLES:
                size = _TUPLES[code]
                self.stack.append(tuple(reversed([self.pop() for _ in range(size)])))
            elif code in _OTHERS:
                _OTHERS[code](self)
            else:
                raise FauxleyError(f"it has an instruction, {code!r}, that arrays do not need; nothing was executed")

    def take(self, count: int) -> bytes:
        if self.place + count > len(self.program):
            raise FauxleyError("it is cut short")
        self.place += count
        return self.program[self.place - count : self.place]

    def line(self) -> bytes:
        end = self.program.find(b"\n", self.place)
        if end < 0:
            raise FauxleyError("it is cut short")
        return self.take(end + 1 - self.place)[:-1]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise FauxleyError("its stack runs empty")
        return self.stack.pop()

    def push_counted(self, width: int, encoding: str) -> None:
        data = self.take(self.number(width))
        self.stack.append(data if encoding == "bytes" else data.decode(encoding, "strict"))

    def push_string(self) -> None:
        """Python 2's, in quotes, with escapes."""
        text = self.line().strip()
        if not _QUOTED.fullmatch(text):
            raise FauxleyError("a string has no quotes, or escapes that Python does not write")
        self.stack.append(codecs.escape_decode(text[1:-1])[0])

    def push_integer(self) -> None:
        text = self.line().strip().removesuffix(b"L")
        if not re.fullmatch(rb"-?\d{1,18}", text):
            raise FauxleyError("a number is not one")
        self.stack.append(int(text))

    def push_name(self, module: Any, name: Any) -> None:
        module, name = (item.decode("latin-1") if isinstance(item, bytes) else item for item in (module, name))
        word = _WORDS.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if word is None:
            shown = f"{module}.{name}"[:80] if isinstance(module, str) and isinstance(name, str) else "something"
            raise FauxleyError(f"it asks for {shown!r}, which arrays do not need; nothing was executed")
        self.stack.append(_Name(word))

    def push_named_on_stack(self) -> None:
        name, module = self.pop(), self.pop()
        self.push_name(module, name)

    def push_tuple(self) -> None:
        if not self.marks:
            raise FauxleyError("its stack runs empty")
        start = self.marks.pop()
        self.stack[start:] = [tuple(self.stack[start:])]

    def remember(self, key: int) -> None:
        item = self.pop()
        self.stack.append(item)
        self.memo[key] = item

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise FauxleyError("it refers to what is not there")
        self.stack.append(self.memo[key])

    def apply(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise FauxleyError("it applies what is no function; nothing was executed")
        self.stack.append(_apply(function.word, arguments))

    def build(self) -> None:
        state, item = self.pop(), self.pop()
        if isinstance(item, PickledArray) and item.dtype is None and isinstance(state, tuple) and len(state) == 5:
            _, item.shape, item.dtype, _, item.data = state
            if not isinstance(item.dtype, _Dtype):
                raise FauxleyError("an array has no proper type")
        elif isinstance(item, _Dtype) and isinstance(state, tuple) and len(state) >= 2:
            item.order = _text(state[1]).replace("|", "<").replace("=", "<")
            if item.order not in ("<", ">"):
                raise FauxleyError("an array has no proper type")
        else:
            raise FauxleyError("it changes what is no array; nothing was executed")
        self.stack.append(item)


def _apply(word: _Word, arguments: tuple[Any, ...]) -> Any:
    match word, arguments:
        case "reconstruct", (_Name("ndarray"), *_):
            return PickledArray()
        case "dtype", (code, *_):
            code = _text(code)
            if code not in _TYPES:
                raise FauxleyError(f"an array is of type {code[:20]!r}, not float32 or float64")
            return _Dtype(code)
        case "frombuffer", (bytes(data), _Dtype() as dtype, tuple(shape), *_):
            return PickledArray(dtype, shape, data)
        case "encode", (str(text), *_):
            return text.encode("latin-1")
    raise FauxleyError("it applies a function in a way that arrays do not need; nothing was executed")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise FauxleyError("an array has no proper type")
    return value


_CONSTANTS: dict[bytes, Any] = {b"N": None, b"\x88": True, b"\x89": False, b")": ()}
# Width of the count of bytes, and what the bytes are. Python 2's strings are bytes.
_COUNTED = {
    b"T": (4, "bytes"),
    b"U": (1, "bytes"),
    b"X": (4, "utf-8"),
    b"\x8c": (1, "utf-8"),
    b"\x8d": (8, "utf-8"),
    b"B": (4, "bytes"),
    b"C": (1, "bytes"),
    b"\x8e": (8, "bytes"),
    b"\x96": (8, "bytes"),
}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_OTHERS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.take(1),  # the protocol's number
    b"\x95": lambda m: m.take(8),  # a frame's length
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"t": _Machine.push_tuple,
    b"0": _Machine.pop,
    b"I": _Machine.push_integer,
    b"L": _Machine.push_integer,
    b"K": lambda m: m.stack.append(m.number(1)),
    b"M": lambda m: m.stack.append(m.number(2)),
    b"J": lambda m: m.stack.append(struct.unpack("<i", m.take(4))[0]),
    b"\x8a": lambda m: m.stack.append(int.from_bytes(m.take(m.number(1)), "little", signed=True)),
    b"S": _Machine.push_string,
    b"V": lambda m: m.stack.append(m.line().decode("raw-unicode-escape")),
    b"c": lambda m: m.push_name(m.line(), m.line()),
    b"\x93": _Machine.push_named_on_stack,
    b"R": _Machine.apply,
    b"b": _Machine.build,
    b"p": lambda m: m.remember(_key(m.line())),
    b"q": lambda m: m.remember(m.number(1)),
    b"r": lambda m: m.remember(m.number(4)),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"g": lambda m: m.recall(_key(m.line())),
    b"h": lambda m: m.recall(m.number(1)),
    b"j": lambda m: m.recall(m.number(4)),
}


def _key(text: bytes) -> int:
    if not re.fullmatch(rb"\d{1,9}", text):
        raise FauxleyError("a reference is no number")
    return int(text)
