"""Where to compute, and what to say when there is no room for it."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from fauxley.errors import FauxleyError, UsageError

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def choose_device(device: Device, local_rank: int | None = None) -> "torch.device":
    """The device asked for; `auto` is a GPU if there is one.

    Args:
        local_rank: number of this process among those of this machine, each of which takes a GPU of its own.

    Raises:
        FauxleyError: a GPU was asked for and there is none, or none for this process.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise FauxleyError("no CUDA device can be used here; leave out --device, or give --device cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank is None:
        return torch.device("cuda")
    if local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"more processes than GPUs; give torchrun --nproc-per-node {torch.cuda.device_count()}, or --device cpu"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def prefer_speed() -> None:
    """Have a GPU's convolutions computed as fast as float32 allows where it is the signals' precision; for training.

    TF32 (10 bits of mantissa in the products, float32 sums) in convolutions only: dense layers are small, and the rest
    is left exact. Sizes never change, so that trying out cuDNN's algorithms once pays; which one wins may differ from
    run to run, and with it the last bits.
    """
    import torch

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "ieee"


def keep_freed_memory() -> None:
    """Have the C library keep the memory of freed tensors for the next ones, for as long as this process lives.

    glibc gives large blocks back to the system at once, and gets them anew, zeroed page by page: a tenth of a training
    step on a CPU. Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**26)):
            mallopt(option, value)


@contextmanager
def in_memory(advice: str) -> Iterator[None]:
    """Turn running out of memory, the GPU's or the machine's, into one line that ends in `advice`."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise FauxleyError(f"out of memory; {advice}") from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" not in str(error):  # PyTorch has no class of its own for it
            raise
        raise FauxleyError(f"out of memory; {advice}") from error
