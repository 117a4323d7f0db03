"""Where to compute, and what to say when there is no room for it."""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def in_memory(advice: str) -> Iterator[None]:
    """Turn running out of memory, the GPU's or the machine's, into one line that ends in `advice`."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise FauxleyError(f"out of memory; {advice}") from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" not in str(error):  # PyTorch has no class of its own for it
            raise
        raise FauxleyError(f"out of memory; {advice}") from error
