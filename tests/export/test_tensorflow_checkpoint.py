import json
import os
import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from fauxley.errors import FauxleyError
from fauxley.export.crc32c import crc32c
from fauxley.export.tensorflow_checkpoint import open_checkpoint

from .bundles import block, entry, field, header, seal, table, varint, write_bundle

PARITY = Path(os.environ.get("FAUXLEY_PARITY_DIR") or Path(__file__).parents[3] / "shared" / "parity") / "checkpoint"
VARIABLES = {
    "G/a/kernel": np.arange(300, dtype="<f4").reshape(2, 150),
    "G/a/bias": np.zeros((0, 3), "<f4"),
    "G/b/kernel": np.linspace(-1, 1, 5).astype("<f8"),
    "global_step": np.array(1234567, "<i8"),
}


def only_data(folder: Path, index: bytes, data: bytes = b"") -> Path:
    (folder / "model.ckpt-1.index").write_bytes(index)
    (folder / "model.ckpt-1.data-00000-of-00001").write_bytes(data)
    return folder


def read_all(path: Path) -> dict[str, np.ndarray]:
    checkpoint = open_checkpoint(path)
    return {name: checkpoint.read(name) for name in checkpoint.shapes}


def bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_checksum_is_crc_32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    data = random.Random(0).randbytes(9000)
    for length in (0, 1, 511, 2047, 2048, 2049, 4096, 9000):
        assert crc32c(data[:length]) == bit_by_bit(data[:length])


def test_the_checksum_goes_on_from_piece_to_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(1).randbytes(20_000)
    whole = crc32c(data)
    monkeypatch.setattr("fauxley.export.crc32c._PIECE", 4096)
    assert crc32c(data) == whole


@pytest.mark.parametrize(("shards", "per_block"), [(1, 100), (1, 1), (3, 2)])
def test_what_was_written_is_read(tmp_path: Path, shards: int, per_block: int) -> None:
    write_bundle(tmp_path / "model.ckpt-7", VARIABLES, shards, per_block)
    found = read_all(tmp_path)
    assert found.keys() == VARIABLES.keys()
    for name, value in VARIABLES.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
    assert open_checkpoint(tmp_path).step == 1234567


def test_a_checkpoint_goes_by_many_names(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        write_bundle(tmp_path / f"model.ckpt-{step}", {"G": np.array(step, "<f4")})
    write_bundle(tmp_path / "other-999", {"G": np.array(999, "<f4")})
    prefix = tmp_path / "model.ckpt-9"
    for name in (".index", ".data-00000-of-00001", ".meta", ""):
        assert open_checkpoint(prefix.with_name(prefix.name + name)).path == prefix
    assert open_checkpoint(tmp_path).path.name == "model.ckpt-100"  # the highest number, not the last name
    state = tmp_path / "checkpoint"
    for text, chosen in {
        'model_checkpoint_path: "model.ckpt-9"\nall_model_checkpoint_paths: "model.ckpt-10"\n': 9,
        'model_checkpoint_path: "/home/someone/train/model.ckpt-10"\n': 10,
        'model_checkpoint_path: "model.ckpt-11"\n': 100,  # an older one that was deleted
        'model_checkpoint_path: "../model.ckpt-9/.."\n': 100,
        "\0\xff nonsense": 100,
    }.items():
        state.write_text(text, encoding="latin-1")
        checkpoint = open_checkpoint(tmp_path)
        assert (checkpoint.path.name, checkpoint.step) == (f"model.ckpt-{chosen}", chosen)


@pytest.mark.parametrize("name", ["nowhere", "empty", "model.ckpt-5"])
def test_nothing_there_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FauxleyError, match=r"is not there|holds no checkpoint"):
        open_checkpoint(tmp_path / name)


def test_arguments_of_the_training_are_read(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.ckpt-7", VARIABLES)
    (tmp_path / "args.txt").write_text("data_dir,a,b\nnothing\nwavegan_dim,64")
    assert open_checkpoint(tmp_path).arguments == {"data_dir": "a,b", "wavegan_dim": "64"}


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


def write_raw(folder: Path) -> dict[str, dict[str, object]]:
    """A folder of raw weights as behind the official web page, without its manifest."""
    manifest: dict[str, dict[str, object]] = {}
    for name, value in VARIABLES.items():
        filename = name.replace("/", "_")
        value.astype(value.dtype if name == "global_step" else "<f4").tofile(folder / filename)
        manifest[name] = {"filename": filename, "shape": list(value.shape)}
    return manifest


def test_raw_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(write_raw(tmp_path)))
    for path in (tmp_path, tmp_path / "manifest.json"):
        found = read_all(path)
        for name, value in VARIABLES.items():
            np.testing.assert_array_equal(found[name], value.astype("<f4") if name != "global_step" else value)
        assert open_checkpoint(path).step == 1234567


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


@pytest.mark.parametrize("kind", ["wavegan", "specgan"])
def test_parity_every_tensor_of_an_official_checkpoint(kind: str) -> None:
    expected_file = PARITY / f"{kind}_expected.npz"
    if not expected_file.is_file():
        pytest.skip(f"no official checkpoint in {PARITY}; set FAUXLEY_PARITY_DIR")
    expected = np.load(expected_file, allow_pickle=False)
    checkpoint = open_checkpoint(PARITY / kind)
    assert set(checkpoint.shapes) == set(expected["ckpt_names"])
    assert checkpoint.step == expected["global_step"]
    columns = ("names", "shapes", "dtypes", "sum", "sumsq", "crc32")
    for name, shape, dtype, total, squares, crc in zip(*(expected[f"ckpt_{c}"] for c in columns), strict=True):
        value = checkpoint.read(str(name))
        assert (",".join(map(str, value.shape)), value.dtype) == (shape, np.dtype(str(dtype)))
        assert zlib.crc32(value.tobytes()) == crc
        np.testing.assert_allclose(value.astype(np.float64).sum(), total, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(np.square(value.astype(np.float64)).sum(), squares, rtol=1e-9, atol=1e-9)
