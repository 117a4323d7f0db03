"""Folders damaged in hundreds of ways are read or refused in one line. `benchmarks/fuzz_files.py` tries thousands."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

from fauxley.errors import FauxleyError

_FILE = Path(__file__).parents[1] / "benchmarks" / "fuzz_files.py"
_COUNTS = {"run": 12, "study": 30, "wavenet": 40, "specgan": 25}
_FIRST = 10_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="damages folders in ways that only POSIX knows"),
]


@pytest.fixture(scope="module")
def fuzzer():
    spec = importlib.util.spec_from_file_location("fuzz_files", _FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_files"] = module  # where dataclasses look up annotations
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fuzz_files"]


_KINDS = (
    *("wavegan", "specgan", "wavenet", "dataset", "shards", "run", "state", "classifier", "study", "tensorflow", "job"),
)


@pytest.mark.parametrize("kind", _KINDS)
def test_damaged_folders_are_read_or_refused(fuzzer, kind):
    bugs = []
    outcomes = fuzzer.fuzz(kind, 0, _FIRST, _COUNTS.get(kind, 60), bugs.append)
    assert bugs == []
    assert outcomes["refused"] or kind == "job"
    assert outcomes.keys() <= {"read", "refused"}


def test_all_kinds_are_tried(fuzzer):
    assert set(_KINDS) == set(fuzzer.KINDS)


def test_what_a_reader_lets_through_is_found(fuzzer, tmp_path):
    """The fuzzer itself: an exception of another kind, an error of two lines and an endless loop are bugs."""

    def careless(folder):
        (folder / "a.json").read_text()[100_000]

    def wordy(folder):
        raise FauxleyError("one\ntwo")

    def make(folder):
        folder.mkdir()
        (folder / "a.json").write_text('{"a": 1}')

    make(tmp_path / "good")
    for use, said in ((careless, "BUG: "), (wordy, "BUG: not one line"), (shutil.disk_usage, "read")):
        _, outcome = fuzzer.try_case(fuzzer.Kind(make, use), tmp_path / "good", tmp_path, 3)
        assert outcome.startswith(said)
