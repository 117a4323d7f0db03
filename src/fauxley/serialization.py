"""Dataclasses ⇄ JSON, tagged by class name, and the one way in which files of JSON are read.

A dataclass becomes `{"type": "WaveGAN", "clip_length": 16384, ...}`. Reading needs the set of classes that may
appear, so that a file never decides what is constructed, and refuses what it does not know: an unknown field is a
misspelling or comes from a newer version, and silently dropping it would train or play something else.

Whoever made a file may be a stranger. So no more of it is read than its kind can need, and what Python's parser would
let through (NaN, numbers that no float can hold, a name given twice, nesting that overflows the stack of whoever walks
through it later) is an error like any other: one line.
"""

import dataclasses
import difflib
import json
import math
import stat
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fauxley.errors import FauxleyError

MOST_BYTES = 16 << 20  # of a file of JSON, unless its kind is known to be smaller
_DEEPEST = 40  # levels of nesting; fauxley writes five
_LONGEST_INTEGER = 300  # digits; float64 ends at 308
_TAG = "type"
# What reading can raise on content that somebody else has made.
_UNREADABLE = (FauxleyError, OSError, LookupError, ValueError, TypeError, ArithmeticError, RuntimeError, MemoryError)


class UnknownFieldError(FauxleyError):
    """There is a field that this version does not know: nothing is damaged, it may come from a newer one."""


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file.

    Raises:
        FauxleyError: it does not exist, is no regular file (a pipe would block for ever), is larger than `most` bytes,
            or cannot be read.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise FauxleyError(f"{path} is not a file")
        if about.st_size > most:
            raise FauxleyError(f"{path} is larger than {most >> 20} MiB, too large for what it should be")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FauxleyError(f"{path} does not exist") from error
    except OSError as error:
        raise FauxleyError(f"{path} cannot be read: {error.strerror or error}") from error


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        FauxleyError: it is none, or holds what no program of ours would write.
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_finite, parse_constant=_finite
        )
    except UnicodeDecodeError as error:
        raise FauxleyError("it is not text in UTF-8") from error
    except RecursionError as error:
        raise FauxleyError("it is nested too deeply") from error
    except (ValueError, MemoryError) as error:
        raise FauxleyError(f"it is not proper JSON: {one_line(error)}") from error
    level = [value]
    for _ in range(_DEEPEST):
        containers = [item for item in level if isinstance(item, (dict, list))]
        level = [each for item in containers for each in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return value
    raise FauxleyError("it is nested too deeply")


def parse_versioned(content: bytes, where: object, kind: str, versions: Collection[int]) -> dict[str, Any]:
    """The object that a file of JSON holds, whose `format_version` is one of those that this program reads.

    Args:
        where: the file, for messages.
        kind: what the file is of, for messages: "model".

    Raises:
        FauxleyError: it is damaged, or of another version.
    """
    with reading(f"{where} cannot be read"):
        data = parse_json(content)
        version = data.get("format_version") if isinstance(data, dict) else None
        if type(version) is not int:
            raise FauxleyError("it has no format version")
    if version not in versions:
        reads = f"this fauxley reads {' and '.join(map(str, versions))}; update it: install the newest fauxley"
        raise FauxleyError(f"{where} has {kind} format {_shorten(version)}; {reads}")
    return dict(data)


def read_versioned(path: Path, kind: str, versions: Collection[int], most: int = MOST_BYTES) -> dict[str, Any]:
    """`parse_versioned` of a file of at most `most` bytes; raises what that and `read_file` raise."""
    return parse_versioned(read_file(path, most), path, kind, versions)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into a `FauxleyError` of one line, "`what`: the reason"."""
    try:
        yield
    except UnknownFieldError as error:
        raise UnknownFieldError(
            f"{what}: it holds a setting that this fauxley does not know ({error}); install the newest fauxley"
        ) from error
    except _UNREADABLE as error:
        raise FauxleyError(f"{what}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """What an exception says, without line breaks and not at length."""
    if isinstance(error, KeyError):
        return f"it lacks the entry {_shorten(error.args[0] if error.args else '')}"
    if isinstance(error, OSError) and error.strerror:  # without its number and its repetition of the path
        return error.strerror
    text = " ".join(str(error).split())
    return (text if len(text) <= 300 else text[:297] + "...") or type(error).__name__


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for name, value in pairs:
        if name in built:
            raise ValueError(f"{_shorten(name)} is there twice")
        built[name] = value
    return built


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError("a number is out of range")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{_shorten(text)} is not a finite number")
    return value


def to_json(value: Any) -> Any:
    """Turn a dataclass, with all that it holds, into what `json.dumps` takes.

    Raises:
        TypeError: something in it has no JSON form.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_TAG: type(value).__name__, **fields}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_json(data: Any, classes: Iterable[type]) -> Any:
    """Rebuild the dataclass that `to_json` wrote; `classes` are those that may appear in it.

    Raises:
        UnknownFieldError: an unknown field.
        FauxleyError: an unknown type, a missing field, or a value of the wrong kind.
    """
    by_name = {cls.__name__: cls for cls in classes}
    if not isinstance(data, dict) or _TAG not in data:
        raise FauxleyError(f"expected an object with a {_TAG!r}; got {_shorten(data)}")
    return _build(data, by_name)


def _build(data: dict[str, Any], by_name: Mapping[str, type]) -> Any:
    cls = by_name.get(str(data[_TAG]))
    if cls is None:
        raise FauxleyError(f"unknown type {_shorten(data[_TAG])}; known: {', '.join(sorted(by_name))}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in data:
        if name != _TAG and name not in fields:
            near = difflib.get_close_matches(name[:60], fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UnknownFieldError(f"{cls.__name__} has no field {_shorten(name)}{hint}")
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _convert(data[name], hints[name], f"{cls.__name__}.{name}", by_name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise FauxleyError(f"{cls.__name__} lacks the field {name!r}")
    return cls(**values)


def _convert(value: Any, hint: Any, where: str, by_name: Mapping[str, type]) -> Any:
    """Turn the JSON `value` into what the annotation `hint` asks for."""
    if isinstance(value, dict) and _TAG in value:
        built = _build(value, by_name)
        if Any not in _options(hint) and type(built) not in _options(hint):
            raise FauxleyError(f"{where} cannot be a {type(built).__name__}")
        return built
    for option in _options(hint):
        origin = typing.get_origin(option)
        if option is Any or (option is type(None) and value is None):
            return value
        if origin is typing.Literal and any(value is v or value == v for v in typing.get_args(option)):
            return value
        if origin in (tuple, list) and isinstance(value, list):
            item = typing.get_args(option)[0]
            return origin(_convert(entry, item, where, by_name) for entry in value)
        if option is Path and isinstance(value, str):
            return Path(value)
        if option is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            with suppress(OverflowError):  # an integer may be beyond any float
                return float(value)
        if isinstance(option, type) and type(value) is option:
            return value
    raise FauxleyError(f"{where} cannot be {_shorten(value)}")


def _options(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the hint alone; `Annotated` is looked through."""
    if typing.get_origin(hint) is typing.Annotated:
        return _options(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(option for part in typing.get_args(hint) for option in _options(part))
    return (hint,)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
