import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fauxley.errors import FauxleyError
from fauxley.interop.moments import read_moments

PARITY = Path(os.environ.get("FAUXLEY_PARITY_DIR") or Path(__file__).parents[3] / "shared" / "parity") / "checkpoint"
MEAN = np.linspace(-9, 3, 129).astype(np.float32)
STD = np.linspace(0.5, 4, 129).astype(np.float32)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], tuple[np.ndarray, np.ndarray]]:
    def read_bytes(data: bytes) -> tuple[np.ndarray, np.ndarray]:
        (tmp_path / "moments.pkl").write_bytes(data)
        return read_moments(tmp_path / "moments.pkl", 129)

    return read_bytes


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_all_protocols_byte_orders_and_numpys(read: Any, protocol: int, dtype: str, core: bytes) -> None:
    data = pickle.dumps((MEAN.astype(dtype), STD.astype(dtype)), protocol)
    present = b"numpy._core" if b"numpy._core" in data else b"numpy.core"
    data = renamed(data, present, core)
    mean, std = read(data)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_array_equal(mean, MEAN)
    np.testing.assert_array_equal(std, STD)


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """A pickle with a module's name exchanged, the counts in front of it too."""
    for module in (b".multiarray", b".numeric"):
        before, after = old + module, new + module
        data = data.replace(bytes([0x8C, len(before)]) + before, bytes([0x8C, len(after)]) + after)
        data = data.replace(b"c" + before + b"\n", b"c" + after + b"\n")
    return data


def python_2(protocol: int) -> bytes:
    """What Python 2 wrote: strings in quotes with escapes, or counted."""

    def string(value: bytes) -> bytes:
        if protocol == 0:
            return b"S" + repr(value)[1:].encode() + b"\n"
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + struct.pack("<i", len(value)) + value

    def array(values: np.ndarray) -> bytes:
        empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt" + string(b"b") + b"tR"
        dtype = b"cnumpy\ndtype\n(" + string(b"f4") + b"I0\nI1\ntR(I3\n" + string(b"<") + b"NNNI-1\nI-1\nI0\ntb"
        return empty + b"(I1\n(L129L\nt" + dtype + b"I00\n" + string(values.tobytes()) + b"tb"

    return b"(" + array(MEAN) + b"p1\n" + array(STD) + b"tp2\n0g2\n."


@pytest.mark.parametrize("protocol", [0, 1])
def test_python_2(read: Any, protocol: int) -> None:
    expected = pickle.loads(python_2(protocol), encoding="latin-1")
    mean, std = read(python_2(protocol))
    np.testing.assert_array_equal(mean, expected[0])
    np.testing.assert_array_equal(std, STD)


def test_parity_official_moments() -> None:
    if not (PARITY / "specgan_expected.npz").is_file():
        pytest.skip(f"no official checkpoint in {PARITY}; set FAUXLEY_PARITY_DIR")
    expected = np.load(PARITY / "specgan_expected.npz", allow_pickle=False)
    mean, std = read_moments(PARITY / "specgan" / "moments.pkl", len(expected["X_mean"]))
    np.testing.assert_array_equal(mean, expected["X_mean"])
    np.testing.assert_array_equal(std, expected["X_std"])


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


MALICIOUS = {
    "GLOBAL and REDUCE": b"cos\nsystem\n(S'COMMAND'\ntR.",
    "STACK_GLOBAL": b"\x80\x04" + short("os") + short("system") + b"\x93" + short("COMMAND") + b"\x85R.",
    "builtins.eval": b"c__builtin__\neval\n(S'COMMAND'\ntR.",
    "a dotted name": b"\x80\x04" + short("numpy") + short("os.system") + b"\x93" + short("COMMAND") + b"\x85R.",
    "numpy's own loader": b"cnumpy\nload\n(S'COMMAND'\ntR.",
    "numpy's test runner": b"cnumpy.testing._private.utils\nrunstring\n(S'COMMAND'\n}tR.",
    "INST": b"(S'COMMAND'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'COMMAND'\no.",
    "NEWOBJ": b"\x80\x02cos\nsystem\n(S'COMMAND'\nt\x81.",
    "NEWOBJ_EX": b"\x80\x04cos\nsystem\n(S'COMMAND'\nt}\x92.",
    "BUILD on a class": b"cnumpy\nndarray\n(S'COMMAND'\ntb.",
    "BUILD on a word": b"c_codecs\nencode\n}S'x'\nS'COMMAND'\nsb.",
    "a word applied to a word": b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\ntR.",
    "a word applied wrongly": b"cnumpy\nndarray\n(S'COMMAND'\ntR.",
    "a string applied": b"S'system'\n(S'COMMAND'\ntR.",
    "encode with an encoding's name": b"c_codecs\nencode\n(I1\nS'COMMAND'\ntR.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "PERSID": b"PCOMMAND\n.",
    "BINPERSID": b"S'COMMAND'\nQ.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "an object array": pickle.dumps((np.array([None] * 129, object), STD), 2),
}


@pytest.mark.parametrize("program", MALICIOUS.values(), ids=MALICIOUS)
def test_nothing_is_ever_executed(read: Any, tmp_path: Path, program: bytes) -> None:
    trace = tmp_path / "executed"
    command = f"touch {trace}"
    program = program.replace(bytes([len("COMMAND")]) + b"COMMAND", bytes([len(command)]) + command.encode())
    program = program.replace(b"COMMAND", command.encode())
    with pytest.raises(FauxleyError) as error:
        read(program)
    assert len(str(error.value).splitlines()) == 1
    assert not trace.exists()


def test_objects_that_act_on_being_unpickled_are_refused(read: Any, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return os.system, (f"touch {tmp_path / 'executed'}",)

    for protocol in range(6):
        for program in (Payload(), (MEAN, Payload()), (MEAN, STD, Payload())):
            with pytest.raises(FauxleyError, match="nothing was executed"):
                read(pickle.dumps(program, protocol))
    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"N.",
        b"t.",
        b"((((.",
        b"\x8d" + b"\xff" * 8 + b".",
        b"\x8e" + b"\xff" * 7 + b"\x7f.",
        b"I" + b"9" * 100_000 + b"\n.",
        b"g9999999999\n.",
        b"h\x05.",
        b"S'\\q'\n.",
        b"S'unclosed\n.",
        b"V\\uzzzz\n.",
        b"\x8c\x01\xff.",
        b"(" * 500_000 + b"t" * 500_000 + b".",
        b")" + b"\x85" * 500_000 + b".",
        pickle.dumps(MEAN),
        pickle.dumps((MEAN, STD, STD)),
        pickle.dumps((MEAN, STD[:5])),
        pickle.dumps((MEAN[None], STD[None])),
        pickle.dumps((MEAN, -STD)),
        pickle.dumps((MEAN, STD * np.nan)),
        pickle.dumps((MEAN.astype(int), STD)),
        pickle.dumps((MEAN.astype(np.float64) * 1e300, STD)),
        pickle.dumps({"mean": MEAN, "std": STD}),
        b"cnumpy\ndtype\n(S'f4'\ntR.",
        bytes(1 << 20) + b".",
        bytes((1 << 20) + 1),
    ],
    ids=range(28),
)
def test_what_holds_no_moments_is_an_error(read: Any, program: bytes) -> None:
    with pytest.raises(FauxleyError) as error:
        read(program)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("good", [*(pickle.dumps((MEAN, STD), p) for p in range(6)), python_2(0)], ids=range(7))
def test_fuzzed_moments_are_read_or_refused(read: Any, good: bytes) -> None:
    draws = random.Random(5)
    for _ in range(500):
        place = draws.randrange(min(len(good), 400) if draws.random() < 0.8 else len(good))
        some = draws.randbytes(draws.randrange(1, 4))
        program = draws.choice([good[:place], good[:place] + some + good[place + len(some) :], some + good[place:]])
        try:
            mean, std = read(program)
        except FauxleyError:
            continue
        assert mean.shape == std.shape == (129,)
        assert np.isfinite(mean).all()
