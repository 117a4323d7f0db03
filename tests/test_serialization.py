"""Dataclasses there and back, and everything a file may not do to them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from fauxley.errors import FauxleyError
from fauxley.serialization import from_json, to_json


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Other:
    size: int = 1


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    either: Inner | Other = field(default_factory=Other)
    ratio: float = 0.5
    mode: Literal["slow", "fast"] = "slow"
    flag: bool = False
    widths: tuple[int, ...] = ()
    folder: Path | None = None
    tagged: Annotated[float, "unit"] = 1.0
    anything: Any = None


CLASSES = (Outer, Inner, Other)


@pytest.mark.parametrize(
    "value",
    [
        Outer("plain"),
        Outer("all", Inner(3), Inner(4), 1e-7, "fast", True, (1, 2), Path("a/b"), 2.5, {"x": [1, None]}),
        Outer('übel "quoted"\n', either=Other(2)),
        Inner(),
    ],
)
def test_there_and_back_through_text(value):
    assert from_json(json.loads(json.dumps(to_json(value))), CLASSES) == value


def test_the_class_is_written_beside_the_fields():
    assert to_json(Inner(3)) == {"type": "Inner", "size": 3}


def test_missing_fields_take_their_defaults_and_whole_numbers_pass_for_ratios():
    built = from_json({"type": "Outer", "name": "n", "ratio": 2}, CLASSES)
    assert built == Outer("n", ratio=2.0)
    assert isinstance(built.ratio, float)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"type": "Popen", "args": "ls"}, "unknown type 'Popen'; known: Inner, Other, Outer"),
        ({"name": "n"}, "expected an object with a 'type'"),
        ([1], "expected an object"),
        (None, "expected an object"),
        ({"type": "Outer"}, "lacks the field 'name'"),
        ({"type": "Outer", "name": "n", "iner": {}}, "no field 'iner'; did you mean 'inner'"),
        ({"type": "Outer", "name": 3}, "Outer.name cannot be 3"),
        ({"type": "Outer", "name": "n", "inner": {"type": "Other"}}, "Outer.inner cannot be a Other"),
        ({"type": "Outer", "name": "n", "inner": {"type": "Inner", "size": True}}, "Inner.size cannot be True"),
        ({"type": "Outer", "name": "n", "inner": {"type": "Inner", "size": 1.5}}, "Inner.size cannot be 1.5"),
        ({"type": "Outer", "name": "n", "ratio": True}, "Outer.ratio cannot be True"),
        ({"type": "Outer", "name": "n", "ratio": "much"}, "Outer.ratio cannot be 'much'"),
        ({"type": "Outer", "name": "n", "mode": "medium"}, "Outer.mode cannot be 'medium'"),
        ({"type": "Outer", "name": "n", "widths": [1, "2"]}, "Outer.widths cannot be '2'"),
        ({"type": "Outer", "name": "n", "widths": {"type": "Inner"}}, "Outer.widths cannot be a Inner"),
        ({"type": "Outer", "name": "n", "flag": 1}, "Outer.flag cannot be 1"),
        ({"type": "Outer", "name": "x" * 1000, "mode": "y" * 1000}, "Outer.mode"),
        ({"type": ["Outer"], "name": "n"}, "unknown type"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_short_line(data, said):
    with pytest.raises(FauxleyError) as caught:
        from_json(data, CLASSES)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_what_has_no_json_form_is_refused():
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_json(Outer("n", anything=object()))
