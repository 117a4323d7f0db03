"""This machine: which device computes, what it has room for, and how much memory was used.

What exceeds it ends in one line that says what to lower. PyTorch is imported only by the functions that need it.
"""

import ctypes
import gc
import importlib
import math
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fauxley.errors import FauxleyError, UsageError

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4

# A container's limits, of both versions of control groups.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

# Linux's counts of this process's memory.
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SPINS = 10_000  # of a thread of libgomp that waits, before it sleeps


def choose_device(device: Device, local_rank: int | None = None) -> "torch.device":
    """Choose the device asked for; `auto` is a GPU if there is one.

    Args:
        local_rank: number of this process among those of this machine, each of which takes a GPU of its own.

    Raises:
        FauxleyError: a GPU was asked for and there is none, or none for this process.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise FauxleyError("no CUDA device can be used here; choose the device auto or cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank is None:
        return torch.device("cuda")
    if local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"more processes than GPUs; give torchrun --nproc-per-node {torch.cuda.device_count()}, "
            "or choose the device cpu"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def usable(device: "torch.device | str") -> "torch.device":
    """A device of PyTorch, tried out.

    Raises:
        UsageError: it cannot be used here.
    """
    import torch

    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"the device {str(device)!r:.40} cannot be used here; give cpu, or that of a GPU") from error


def prefer_speed() -> None:
    """Let a GPU compute convolutions of float32 signals as fast as it can; for training.

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


def wait_briefly() -> None:
    """Have threads that compute together soon sleep while they wait for one another; call before PyTorch is imported.

    By default the threads of libgomp (GNU's OpenMP, which PyTorch brings along on Linux) wait actively for a long time.
    Where other programs want the processors, too, a waiting thread then keeps the one that it waits for from running,
    hundreds of times a sound. Threads that sleep at once are slow where nothing else runs. So they wait actively for
    some microseconds, and then sleep. Nothing is changed if the environment has `OMP_WAIT_POLICY` or `GOMP_SPINCOUNT`.
    The figures are in docs/performance.md.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with a single thread.

    The first thread of a program that computes with several keeps them. If another does later, there are more threads
    than processors, and libgomp has them all sleep at once, which takes twice as long: see `wait_briefly`.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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


def memory_bytes(device: "torch.device | None" = None) -> int | None:
    """The memory of a GPU, or else of this machine or container; None where the system does not tell."""
    if device is not None and device.type == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    found = [total for total in (_physical_bytes(), *map(_limit, _LIMITS)) if total]
    return min(found, default=None)


def require_memory(what: str, least: int, advice: str, device: "torch.device | None" = None) -> None:
    """Check that there is enough memory for something.

    Args:
        what: subject of the sentence, such as "training this".
        least: bytes that it needs at the least.
        advice: how to need less.

    Raises:
        FauxleyError: this machine has not as much.
    """
    there = memory_bytes(device)
    if there is not None and least > there:
        where = "the GPU" if device is not None and device.type == "cuda" else "this machine"
        raise FauxleyError(
            f"{what} needs {format_bytes(least)} of memory or more, and {where} has {format_bytes(there)}; {advice}"
        )


def require_disk(what: str, least: int, folder: Path, advice: str) -> None:
    """Check that enough of a disk is free.

    Raises:
        FauxleyError: there is not as much.
    """
    there = next((parent for parent in (folder, *folder.absolute().parents) if parent.exists()), None)
    try:
        free = None if there is None else shutil.disk_usage(there).free
    except OSError:  # a file system that does not tell
        return
    if free is not None and least > free:
        raise FauxleyError(
            f"{what} needs {format_bytes(least)} of disk or more, and {format_bytes(free)} are free; {advice}"
        )


def format_bytes(count: int) -> str:
    """A number of bytes for people: `3 kB`, `1.5 GB`, `20,000 TB`."""
    value, unit = float(min(count, 10**30)), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    if unit == "TB" and value >= 1e6:
        return f"{value:.0e} TB".replace("e+", "e")
    return f"{value:.1f} {unit}" if value < 10 and unit != "bytes" else f"{value:,.0f} {unit}"


def peak_megabytes(device: "torch.device") -> float:
    """The most memory in use so far: tensors on a GPU; on a CPU the whole process, with Python and PyTorch.

    NaN on Windows, which keeps no such count that Python can ask for.
    """
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e6
    if _STATUS.is_file():  # Linux's ru_maxrss would include the process that started this one
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    try:
        resource = importlib.import_module("resource")
    except ModuleNotFoundError:
        return math.nan
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e3 if sys.platform != "darwin" else peak / 1e6


def forget_peak(device: "torch.device") -> None:
    """Begin to count the peak anew; where the system does not offer that, it stays what it was."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        try:
            _CLEAR.write_text("5", encoding="ascii")
        except OSError:  # not allowed in some containers
            return


@contextmanager
def importing() -> Iterator[None]:
    """Keep the garbage collector away from modules: while they are imported, from then on, and when the process ends.

    PyTorch makes a quarter of a million objects that stay. The collector would go through them every time their number
    has grown by a quarter, and twice at the end, and find nothing: a third of the time that importing PyTorch takes.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def _physical_bytes() -> int | None:
    if sys.platform == "win32":
        return _windows_bytes()
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _windows_bytes() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of sysinfoapi.h."""

        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((f"bytes_{place}", ctypes.c_uint64) for place in range(7)),
        )

    status = Status(length=ctypes.sizeof(Status))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - there on Windows alone
    return int(status.bytes_0) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # none, or "max"
        return None
