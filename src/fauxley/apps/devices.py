"""Where to compute."""

from typing import Literal

import torch

from fauxley.errors import FauxleyError

Device = Literal["auto", "cpu", "cuda"]


def choose_device(device: Device) -> torch.device:
    """The device asked for; `auto` is a GPU if there is one.

    Raises:
        FauxleyError: a GPU was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise FauxleyError("no CUDA device can be used here; leave out --device, or give --device cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
