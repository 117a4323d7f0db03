"""What this machine has room for, and one line for what it has not."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fauxley.errors import FauxleyError

if TYPE_CHECKING:
    import torch

# A container's limits, of both versions of control groups.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_bytes(device: "torch.device | None" = None) -> int | None:
    """The memory of a GPU, or else of this machine or container; None where the system does not tell."""
    if device is not None and device.type == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    found = [total for total in (_physical_bytes(), *map(_limit, _LIMITS)) if total]
    return min(found, default=None)


def require_memory(what: str, least: int, advice: str, device: "torch.device | None" = None) -> None:
    """Refuse what needs more memory than there is.

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
        raise FauxleyError(f"{what} needs {size(least)} of memory or more, and {where} has {size(there)}; {advice}")


def require_disk(what: str, least: int, folder: Path, advice: str) -> None:
    """Refuse what needs more room on a disk than is free there.

    Raises:
        FauxleyError: there is not as much.
    """
    there = next((parent for parent in (folder, *folder.absolute().parents) if parent.exists()), None)
    try:
        free = None if there is None else shutil.disk_usage(there).free
    except OSError:  # a file system that does not tell
        return
    if free is not None and least > free:
        raise FauxleyError(f"{what} needs {size(least)} of disk or more, and {size(free)} are free; {advice}")


def size(count: int) -> str:
    """A number of bytes for people: `3 kB`, `1.5 GB`, `20,000 TB`."""
    value, unit = float(min(count, 10**30)), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    if unit == "TB" and value >= 1e6:
        return f"{value:.0e} TB".replace("e+", "e")
    return f"{value:.1f} {unit}" if value < 10 and unit != "bytes" else f"{value:,.0f} {unit}"


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
