"""Dataclasses ⇄ JSON, tagged by class name.

A dataclass becomes `{"type": "WaveGAN", "clip_length": 16384, ...}`. Reading needs the set of classes that may
appear, so that a file never decides what is constructed, and refuses what it does not know: an unknown field is a
misspelling or comes from a newer version, and silently dropping it would train or play something else.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fauxley.errors import FauxleyError

_TAG = "type"


class UnknownFieldError(FauxleyError):
    """There is a field that this version does not know: nothing is damaged, it may come from a newer one."""


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
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UnknownFieldError(f"{cls.__name__} has no field {name!r}{hint}")
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
