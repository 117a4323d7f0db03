"""SpecGAN's `moments.pkl`: mean and standard deviation of every bin, as the official `moments` command writes them."""

from pathlib import Path

import numpy as np

from fauxley.errors import FauxleyError
from fauxley.interop.array_pickle import PickledArray, load_arrays

_MAX_FILE = 1 << 20  # bytes; real ones have a few thousand


def read_moments(path: Path, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (bins,), float32, read without executing anything.

    Raises:
        FauxleyError: the file is not there, damaged, or holds anything but two such arrays.
    """
    if not path.is_file():
        raise FauxleyError(f"{path} does not exist")
    if path.stat().st_size > _MAX_FILE:
        raise FauxleyError(f"{path} is larger than {_MAX_FILE >> 20} MiB: not a file of moments")
    try:
        pair = load_arrays(path.read_bytes())
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise FauxleyError("it does not hold two arrays")
        mean, std = (_values(item, bins) for item in pair)
        if std.min() < 0:
            raise FauxleyError("a standard deviation is negative")
    except FauxleyError as error:
        raise FauxleyError(f"{path} is not a usable file of moments: {error}") from error
    return mean, std


def _values(item: object, bins: int) -> np.ndarray:
    if not isinstance(item, PickledArray):
        raise FauxleyError("it does not hold two arrays")
    with np.errstate(all="ignore"):
        values = item.values((bins,)).astype(np.float32)
    if not np.isfinite(values).all():
        raise FauxleyError("an array holds numbers that are not finite")
    return values
