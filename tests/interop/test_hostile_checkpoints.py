"""Damaged and malicious checkpoints are refused in one line: no crash, no hang, no memory."""

import json
import os
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fauxley.errors import FauxleyError

from .bundles import VARIABLES, block, entry, field, header, read_all, seal, table, varint, write_bundle, write_raw


@pytest.mark.slow
def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.ckpt-7", VARIABLES, per_block=2)
    draws = random.Random(2)
    for file in (tmp_path / "model.ckpt-7.index", tmp_path / "model.ckpt-7.data-00000-of-00001"):
        good = file.read_bytes()
        for _ in range(300):
            place, bit = draws.randrange(len(good)), draws.randrange(8)
            file.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
            try:
                found = read_all(tmp_path)
            except FauxleyError:
                continue
            # Only what carries no meaning may change: the block of metadata, the footer's padding.
            for name, value in VARIABLES.items():
                np.testing.assert_array_equal(found[name], value)
        file.write_bytes(good)


HUGE = 1 << 62
ONE = entry(1, (2,), 0, 8, 0)
HOSTILE = {
    "a shape beyond memory": [(b"", header()), (b"G", entry(1, (HUGE, 4), 0, 16, 0))],
    "a shape that wraps around": [(b"", header()), (b"G", entry(1, (1 << 32, 1 << 32, 4), 0, 16, 0))],
    "a negative size": [(b"", header()), (b"G", entry(1, ((1 << 64) - 1,), 0, 4, 0))],
    "a size beyond the file": [(b"", header()), (b"G", entry(1, (1 << 35,), 0, 1 << 37, 0))],
    "an offset beyond the file": [(b"", header()), (b"G", entry(1, (2,), (1 << 64) - 8, 8, 0))],
    "many dimensions": [(b"", header()), (b"G", entry(1, (1,) * 9, 0, 4, 0))],
    "a wrong checksum": [(b"", header()), (b"G", ONE)],
    "an unknown type": [(b"", header()), (b"G", entry(7, (2,), 0, 8, 0))],
    "a missing data file": [(b"", header(2)), (b"G", entry(1, (2,), 0, 8, 0, 1))],
    "a data file too many": [(b"", header()), (b"G", entry(1, (2,), 0, 8, 0, 1))],
    "no data files": [(b"", header(0)), (b"G", ONE)],
    "countless data files": [(b"", header(HUGE)), (b"G", entry(1, (2,), 0, 8, 0, HUGE - 1))],
    "a big-endian machine": [(b"", header(endianness=1)), (b"G", ONE)],
    "no header": [(b"G", ONE)],
    "slices": [(b"", header()), (b"G", ONE + field(7, b""))],
    "a shape that is a number": [(b"", header()), (b"G", field(1, 1) + field(2, 5) + field(5, 8))],
    "a dimension that is a number": [(b"", header()), (b"G", field(1, 1) + field(2, field(2, 5)) + field(5, 8))],
    "a message cut short": [(b"", header()), (b"G", ONE[:-1])],
    "a group": [(b"", header()), (b"G", b"\x0b")],
    "keys out of order": [(b"", header()), (b"H", ONE), (b"G", ONE)],
    "a key twice": [(b"", header()), (b"G", ONE), (b"G", ONE)],
    "a very long key": [(b"", header()), (b"G" * 2000, ONE)],
    "too many variables": [(b"", header())] + [(b"%06d" % number, ONE) for number in range(10_001)],
}


@pytest.mark.slow
@pytest.mark.parametrize("pairs", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_index_is_an_error(tmp_path: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    only_data(tmp_path, table(block(pairs)), bytes(16))
    assert_error(tmp_path)


BLOCKS = {
    "empty": seal(b""),
    "of restarts only": seal(struct.pack("<I", 1 << 31)),
    "that shares what is not there": seal(varint(5) + varint(1) + varint(0) + b"G" + struct.pack("<II", 0, 1)),
    "with an endless number": seal(b"\xff" * 40 + struct.pack("<II", 0, 1)),
    "with a huge number": seal(varint(0) + varint(HUGE) + varint(HUGE) + struct.pack("<II", 0, 1)),
    "compressed by snappy": block([(b"", header())], compression=1),
    "compressed by who knows": block([(b"", header())], compression=77),
}


@pytest.mark.parametrize("contents", BLOCKS.values(), ids=BLOCKS)
def test_a_hostile_block_is_an_error(tmp_path: Path, contents: bytes) -> None:
    only_data(tmp_path, table(contents), bytes(16))
    assert_error(tmp_path)


@pytest.mark.slow
def test_a_block_named_a_thousand_times_is_read_once(tmp_path: Path) -> None:
    good = block([(b"", header()), (b"G", ONE)])
    handle = varint(0) + varint(len(good) - 5)
    index = block([(b"%06d" % number, handle) for number in range(50_000)])
    footer = varint(0) + varint(0) + varint(len(good)) + varint(len(index) - 5)
    tail = footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    only_data(tmp_path, good + index + tail, bytes(16))
    assert_error(tmp_path)


def test_files_too_large_or_no_files_are_refused(tmp_path: Path) -> None:
    with only_data(tmp_path, b"").joinpath("model.ckpt-1.index").open("wb") as file:
        file.truncate(1 << 40)
    assert_error(tmp_path)
    (tmp_path / "model.ckpt-1.index").unlink()
    os.mkfifo(tmp_path / "model.ckpt-1.index")  # reading it would wait for ever
    assert_error(tmp_path)


@pytest.mark.parametrize(
    "name", [".index", "..index", "...index", "a\nb.index", "\x1b[31m.index", "checkpoint", "a" * 249 + ".index"]
)
def test_odd_names_do_no_harm(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert_error(tmp_path)
    if name.isprintable():
        assert_error(tmp_path / name)


@pytest.mark.slow
def test_fuzzed_files_are_read_or_refused(tmp_path: Path) -> None:
    """Thousands of damaged indices, half of them with proper checksums, so that what lies behind those is reached."""
    write_bundle(tmp_path / "model.ckpt-1", VARIABLES, per_block=100)
    index = tmp_path / "model.ckpt-1.index"
    good, draws = index.read_bytes(), random.Random(3)
    contents = table_contents(good)
    refused = 0
    for number in range(3000):
        if number % 2:
            index.write_bytes(damaged(draws, good))
        else:
            index.write_bytes(table(seal(damaged(draws, contents))))
        refused += not survives(tmp_path)
    assert 1000 < refused < 3000


@pytest.mark.slow
def test_fuzzed_manifests_are_read_or_refused(tmp_path: Path) -> None:
    good = json.dumps(write_raw(tmp_path)).encode()
    draws = random.Random(4)
    for _ in range(1000):
        (tmp_path / "manifest.json").write_bytes(damaged(draws, good))
        survives(tmp_path)


def table_contents(index: bytes) -> bytes:
    """The first block of a table whose first block is all."""
    size = index.index(struct.pack("<II", 0, 1)) + 8
    assert seal(index[:size]) == index[: size + 5]
    return index[:size]


def damaged(draws: random.Random, data: bytes) -> bytes:
    place = draws.randrange(len(data))
    match draws.randrange(5):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + bytes([data[place] ^ 1 << draws.randrange(8)]) + data[place + 1 :]
        case 2:
            return data[:place] + draws.randbytes(draws.randrange(1, 9)) + data[place + draws.randrange(9) :]
        case 3:
            return data[:place] + varint(draws.randrange(1 << 64)) + data[place + 1 :]
        case _:
            return data[:place] + data[draws.randrange(len(data)) :]


def survives(folder: Path) -> bool:
    """Whether it is read; if not, it is refused in one line. Neither takes memory."""
    tracemalloc.start()
    try:
        read_all(folder)
    except FauxleyError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return False
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 << 20
    return True


def assert_error(folder: Path) -> None:
    assert not survives(folder)


@pytest.mark.parametrize(
    "value",
    [
        {"filename": "../secret", "shape": [2]},
        {"filename": "/etc/passwd", "shape": [2]},
        {"filename": "..", "shape": [2]},
        {"filename": "sub/secret", "shape": [2]},
        {"filename": "link", "shape": [2]},
        {"filename": "fifo", "shape": [2]},
        {"filename": "a\0b", "shape": [2]},
        {"filename": "a" * 5000, "shape": [2]},
        {"filename": "nowhere", "shape": [2]},
        {"filename": 7, "shape": [2]},
        {"filename": "good", "shape": [3]},
        {"filename": "good", "shape": [-2, -1]},
        {"filename": "good", "shape": [True, 2]},
        {"filename": "good", "shape": [1 << 62]},
        {"filename": "good", "shape": [2.0]},
        {"filename": "good", "shape": "2"},
        {"filename": "good", "shape": [1] * 99},
        {"filename": "good"},
        ["good", [2]],
        None,
    ],
)
def test_a_hostile_manifest_is_an_error(tmp_path: Path, value: object) -> None:
    folder = tmp_path / "weights"
    (folder / "sub").mkdir(parents=True)
    for name in ("good", "sub/secret", "../secret"):
        (folder / name).write_bytes(bytes(8))
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "fifo")
    (folder / "manifest.json").write_text(json.dumps({"G": value}))
    assert_error(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", "{", "[" * 500_000, '{"a": ' * 100_000, "\0"])
def test_a_manifest_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert_error(tmp_path)


def only_data(folder: Path, index: bytes, data: bytes = b"") -> Path:
    (folder / "model.ckpt-1.index").write_bytes(index)
    (folder / "model.ckpt-1.data-00000-of-00001").write_bytes(data)
    return folder
