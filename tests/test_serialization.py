"""Dataclasses there and back, and everything a file may not do to them."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from fauxley.errors import FauxleyError
from fauxley.serialization import from_json, parse_json, parse_versioned, read_file, reading, to_json


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not proper JSON"),
        (b"{", "not proper JSON"),
        (b"\0", "not proper JSON"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"NaN", "'NaN' is not a finite number"),
        (b"[-Infinity]", "'-Infinity' is not a finite number"),
        (b"1e999", "'1e999' is not a finite number"),
        (b"9" * 301, "out of range"),
        (b"-" + b"9" * 5000, "out of range"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 41 + b"]" * 41, "nested too deeply"),
        (b'{"a": ' * 300 + b"1" + b"}" * 300, "nested too deeply"),
    ],
)
def test_what_is_no_proper_json_is_said_in_one_line(content, said):
    with pytest.raises(FauxleyError) as caught:
        parse_json(content)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_proper_json_is_read_as_it_is():
    value = {"a": [1, -2.5, 1e-300, 10**299, True, None, "übel \u2028"], "b": {"c": []}}
    assert parse_json(json.dumps(value)) == value
    assert parse_json(b"\xef\xbb\xbf" + json.dumps(value).encode()) == value  # as some editors save it
    assert parse_json("[" * 39 + "]" * 39)


def test_files_are_read_up_to_a_size_and_only_if_they_are_files(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_file(file, 5) == b"12345"
    (tmp_path / "link").symlink_to(file)
    assert read_file(tmp_path / "link", 5) == b"12345"
    for path, said in ((tmp_path, "not a file"), (tmp_path / "none", "does not exist"), (file, "too large")):
        with pytest.raises(FauxleyError, match=said):
            read_file(path, 4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes among its files")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FauxleyError, match="not a file"):
        read_file(tmp_path / "pipe")


def test_a_version_is_known_or_the_error_says_what_to_do():
    assert parse_versioned(b'{"format_version": 2, "a": 1}', "here", "song", (1, 2))["a"] == 1
    for content in (b"[]", b"{}", b'{"format_version": true}', b'{"format_version": "1"}', b'{"format_version": 1.0}'):
        with pytest.raises(FauxleyError, match="here cannot be read: it has no format version"):
            parse_versioned(content, "here", "song", (1,))
    with pytest.raises(FauxleyError, match=r"here has song format 3; .* reads 1 and 2; .* install"):
        parse_versioned(b'{"format_version": 3}', "here", "song", (1, 2))


def test_numbers_that_no_float_can_hold_do_not_fit_a_float():
    with pytest.raises(FauxleyError, match=r"Outer.ratio cannot be 1000"):
        from_json({"type": "Outer", "name": "n", "ratio": 10**400}, CLASSES)


def test_an_error_of_the_system_is_said_in_words(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FauxleyError) as caught, reading("it cannot be read"):
        (tmp_path / "file" / "deeper").read_bytes()
    assert str(caught.value).startswith("it cannot be read: ")
    assert "Errno" not in str(caught.value)
