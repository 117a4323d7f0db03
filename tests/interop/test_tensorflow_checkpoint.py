import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from fauxley.errors import FauxleyError
from fauxley.interop.tensorflow_checkpoint import open_checkpoint

from .bundles import VARIABLES, read_all, write_bundle, write_raw

PARITY = Path(os.environ.get("FAUXLEY_PARITY_DIR") or Path(__file__).parents[3] / "shared" / "parity") / "checkpoint"


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


def test_raw_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(write_raw(tmp_path)))
    for path in (tmp_path, tmp_path / "manifest.json"):
        found = read_all(path)
        for name, value in VARIABLES.items():
            np.testing.assert_array_equal(found[name], value.astype("<f4") if name != "global_step" else value)
        assert open_checkpoint(path).step == 1234567


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
